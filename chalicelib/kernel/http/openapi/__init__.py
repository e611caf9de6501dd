"""The API's description: an OpenAPI 3.1 document made from the declared routes, and a page."""

from chalicelib.kernel.http.openapi.api import routes

__all__ = ["routes"]
