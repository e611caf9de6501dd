"""The API's own description: OpenAPI 3.1 from the declared routes, and a page for people."""

from chalicelib.kernel.http.openapi.api import routes

__all__ = ["routes"]
