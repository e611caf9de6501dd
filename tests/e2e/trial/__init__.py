"""A domain that the tests add to a copy of the project, to be packed and deployed with it."""
