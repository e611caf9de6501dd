"""Who calls, for which tenant, and secrets at rest.

tokens    the issuer's bearer tokens, checked by the authorizer
tenancy   the caller, the tenant of a request, and its configuration
vault     secrets at rest, encrypted with data keys of one tenant and one use
"""
