"""Who calls, for which tenant, and secrets at rest.

tokens    bearer tokens of the issuer, judged by the authorizer
tenancy   the caller, the tenant that is meant, and its configuration
vault     secrets at rest, encrypted with one data key per tenant
"""
