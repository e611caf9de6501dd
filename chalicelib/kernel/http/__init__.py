"""HTTP: how domains declare routes, and everything that is done around a view.

routes       how a domain declares a route
mounting     mounts the listed routes by name; a domain is imported at its first request
dispatch     the steps of a request: caller, body, view, commit, answer
middleware   around every request: the log line, X-Request-Id, Server-Timing, CORS
validation   bodies and queries as structs, with every error named
idempotency  the stored answer of an Idempotency-Key
etags        ETag, If-Match and If-None-Match
problems     errors as problem+json
cors         calls by browsers on pages of other origins
openapi/     the API's own description
"""
