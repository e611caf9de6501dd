"""HTTP: routes as domains declare them, and everything that is done around a view.

routes       how a domain declares a route
dispatch     a request's way: caller, body, view, commit, answer
middleware   around every request: the log line, X-Request-Id, Server-Timing, CORS
validation   bodies and queries as structs, with every fault named
idempotency  the stored answer of an Idempotency-Key
etags        ETag, If-Match and If-None-Match
problems     errors as problem+json
cors         calls from the browsers of other origins
openapi/     the API's own description
"""
