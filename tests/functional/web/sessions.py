"""Sessions with the outside services of tests."""

from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.kernel.outbound import connections, web
from chalicelib.kernel.outbound.web import Limits, Session


def allow_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine may be called, and calls are repeated soon."""
    setting(monkeypatch, private_addresses=True)
    monkeypatch.setattr(web, "REPEAT_AFTER_SECONDS", (0.0, 0.01))


def setting(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    for module in (connections, web):
        monkeypatch.setattr(module, "settings", replace(module.settings, **values))


def session_of(server: ThreadingHTTPServer, **options: Any) -> Session:
    """One that gives a silent service up soon."""
    address = f"http://127.0.0.1:{server.server_port}/v3"
    return Session(address, Limits(read_seconds=1, tries=2), **options)
