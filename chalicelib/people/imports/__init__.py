"""Importing users from a file: stored at once, worked in the background chunk by chunk."""
