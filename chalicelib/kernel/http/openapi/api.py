"""Serving the description: `/openapi.json` for programs, `/docs` for people."""

from functools import lru_cache
from typing import Any

import msgspec

from chalicelib.kernel import templates
from chalicelib.kernel.http import mounting
from chalicelib.kernel.http.openapi.document import document
from chalicelib.kernel.http.routes import Reply, Request, Routes
from chalicelib.kernel.version import VERSION

routes = Routes()


@lru_cache(maxsize=8)  # bounded: the address comes from the request's Host header
def _document(server: str) -> dict[str, Any]:
    return document((route for route in mounting.mounted() if route.in_openapi), server, VERSION)


@routes.get("/openapi.json", in_openapi=False)
def read_openapi(request: Request) -> Reply:
    """Read the OpenAPI document."""
    return Reply(json=msgspec.json.encode(_document(request.base_url)))


@routes.get("/docs", in_openapi=False)
def read_docs(request: Request) -> Reply:
    """Read the API's description as a page."""
    description = _document(request.base_url)
    return Reply(
        html=templates.render_page(
            "chalicelib.kernel.http.openapi", "docs.html", {"api": description}
        )
    )
