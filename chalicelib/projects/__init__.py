"""Projects: a tenant's projects at a cloud provider, and who takes part in them.

Creating one answers at once. A workflow then makes the provider what the rows say is wanted: the
project, its users with their roles and credentials. It tells its progress, survives every kind of
failure, and ends in `active`, or in `failed` with the step and a reason one can act on.
"""
