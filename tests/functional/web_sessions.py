"""Sessions with the outside services of tests."""

from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.kernel.outbound import web
from chalicelib.kernel.outbound.web import Session


def allow_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine may be called, and limits are short."""
    setting(monkeypatch, private_addresses=True, provider_read_seconds=1, provider_tries=2)
    monkeypatch.setattr(web, "REPEAT_AFTER_SECONDS", (0.0, 0.01))


def setting(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    monkeypatch.setattr(web, "settings", replace(web.settings, **values))


def session_of(server: ThreadingHTTPServer, **options: Any) -> Session:
    return Session(f"http://127.0.0.1:{server.server_port}/v3", **options)
