"""Connections to addresses that were checked just before, under a deadline."""

from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from chalicelib.kernel.loading import Late
from chalicelib.kernel.outbound import addresses, deadline
from chalicelib.kernel.settings import settings

requests = Late("requests")  # which is large, and not needed to load this module

_MOST_IPS = 3


class _Checked(HTTPConnection):
    """A connection to an IP address that was checked; TLS and the Host header use the name.

    It is under the deadline of whoever uses it, from its handshake on.
    """

    sock: Any

    def putrequest(self, *arguments: Any, **options: Any) -> None:
        if self.sock is not None:
            deadline.hold(self.sock)  # a kept connection has the deadline of a new exchange
        super().putrequest(*arguments, **options)

    def _new_conn(self) -> Any:
        connected = self._connected()
        deadline.hold(connected)
        return connected

    def _connected(self) -> Any:
        name, port = self._dns_host, int(self.port or 0)
        ips = addresses.resolved(name, port, private=settings.private_addresses)[:_MOST_IPS]
        try:
            for left, ip in enumerate(ips, start=1 - len(ips)):
                self._dns_host = ip
                try:
                    return super()._new_conn()
                except (ConnectTimeoutError, NewConnectionError):
                    if left == 0:
                        raise
        finally:
            self._dns_host = name
        raise NewConnectionError(self, "the name has no address")


class _CheckedTls(_Checked, HTTPSConnection):
    """The same with TLS, which verifies the name."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Checked


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _CheckedTls


def new_session(ca_file: str) -> Any:
    """A session of `requests` that repeats nothing and ignores the environment.

    A proxy from the environment would get the requests that are meant for the checked address.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = ca_file or True
    session.headers["User-Agent"] = "backburner"
    for scheme in ("http://", "https://"):
        adapter = requests.adapters.HTTPAdapter(max_retries=0)
        adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        session.mount(scheme, adapter)
    return session
