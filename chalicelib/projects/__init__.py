"""Projects: a tenant's projects at a cloud provider, and the people who take part in them.

The request that creates a project is answered at once. Then a workflow brings the provider into the
state that our rows describe: the project, its users with their roles and credentials. It shows its
progress, survives every kind of failure, and ends as `active`, or as `failed` with the step and a
reason that people can act on.
"""
