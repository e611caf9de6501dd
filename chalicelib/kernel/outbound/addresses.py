"""Which URLs that people enter may be called, and which IP addresses behind them.

Without this check an address could lead into our own network, or to the instance metadata service,
which hands out credentials (https://owasp.org/www-community/attacks/Server_Side_Request_Forgery).
An address is checked twice: its text when somebody enters it, and the IP addresses of its name each
time a connection is made, since a name may resolve to something else by then.

The grammar is narrower than RFC 3986 on purpose: a text that two parsers could read differently is
not accepted.
"""

import ipaddress
import re
import socket
from ipaddress import IPv4Address, IPv6Address

import msgspec

LONGEST = 500
_LONGEST_NAME = 253
_HTTP_PORT, _TLS_PORT = 80, 443
_FIRST_UNPRIVILEGED_PORT, _LAST_PORT = 1024, 65_535
#: The form of an address. Without flags, since the OpenAPI document shows this pattern too.
SHAPE = (
    r"^(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>(?:/[A-Za-z0-9._~-]+)*)/?\Z"
)
_SHAPE = re.compile(SHAPE)
_NAME = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)
#: A host whose last label is a number is an IPv4 address: https://url.spec.whatwg.org/#host-parsing
_ENDS_AS_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\Z")
_INSIDE_NAMES = (
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "lan",
    "home.arpa",
    "ip6-localhost",
    "ip6-loopback",
)
#: Forbidden on every stage: link-local, multicast and reserved addresses, tunnels to others, and
#: metadata services, which hand out credentials.
_ALWAYS_FORBIDDEN = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "169.254.0.0/16",
            "168.63.129.16/32",  # of Azure
            "100.100.100.200/32",  # of Alibaba Cloud
            "192.0.0.0/24",
            "192.88.99.0/24",
            "224.0.0.0/3",
            "::/128",
            "::ffff:0:0/96",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "2002::/16",
            "2001::/32",
            "fe80::/10",
            "fd00:ec2::/32",  # of AWS
            "ff00::/8",
        ),
    )
)
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
Ip = IPv4Address | IPv6Address


class Hostile(Exception):
    """The address must not be called. Its argument is the rest of a sentence: "the address ..."."""


class Address(msgspec.Struct, frozen=True):
    """The URL of a service, in its parts."""

    scheme: str
    host: str  #: lower case; an IPv6 address without its brackets
    port: int
    path: str  #: without a slash at its end

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse(text: str, *, private: bool) -> Address:
    """The parts of an address; raises Hostile. `private` allows private networks and plain HTTP."""
    match = _SHAPE.match(text)
    if match is None or len(text) > LONGEST:
        raise Hostile(
            "must be an address such as https://cloud.example.com:5000/v3, without a query"
        )
    scheme = match["scheme"].lower()
    address = Address(
        scheme=scheme,
        host=match["host"].lower().strip("[]"),
        port=int(match["port"] or (_TLS_PORT if scheme == "https" else _HTTP_PORT)),
        path=match["path"],
    )
    _check_path(address.path)
    if address.scheme != "https" and not private:
        raise Hostile("must begin with https://, since a password is sent to it")
    _check_port(address.port, private=private)
    _check_host(address.host, bracketed=match["host"].startswith("["), private=private)
    return address


def _check_path(path: str) -> None:
    if any(part in (".", "..") for part in path.split("/")):
        raise Hostile("must not have . or .. in its path")


def _check_port(port: int, *, private: bool) -> None:
    if not 0 < port <= _LAST_PORT:
        raise Hostile("must have a port from 1 to 65535")
    if port != _TLS_PORT and port < _FIRST_UNPRIVILEGED_PORT and not private:
        raise Hostile("must have the port 443 or one above 1023")


def _check_host(host: str, *, bracketed: bool, private: bool) -> None:
    try:
        literal = ipaddress.ip_address(host) if bracketed else IPv4Address(host)
    except ValueError:
        if bracketed:
            raise Hostile("must have an IPv6 address in its brackets") from None
        _check_name(host, private=private)
    else:
        check_ip(literal, private=private)


def _check_name(host: str, *, private: bool) -> None:
    if _ENDS_AS_NUMBER.match(host):
        raise Hostile("must have a name, or an IPv4 address as four decimal numbers")
    if not _NAME.match(host) or len(host) > _LONGEST_NAME:
        raise Hostile("must have a host name of letters, digits, hyphens and dots")
    if private:
        return
    if "." not in host or any(host == name or host.endswith(f".{name}") for name in _INSIDE_NAMES):
        raise Hostile("must not name a host of a private network")


def check_ip(ip: Ip, *, private: bool) -> None:
    """Raises Hostile unless `ip` may be called."""
    if any(ip in network for network in _ALWAYS_FORBIDDEN if network.version == ip.version):
        raise Hostile("must not lead to link-local, metadata, multicast or tunnelled addresses")
    outside = ip.is_global and (isinstance(ip, IPv4Address) or ip in _PUBLIC_V6)
    if not outside and not private:
        raise Hostile("must not lead into a private network")


def resolved(host: str, port: int, *, private: bool) -> list[str]:
    """The IP addresses that `host` resolves to now, IPv4 first. Every one has passed `check_ip`.

    Raises Hostile when one of them must not be called, and OSError when the name does not resolve.
    """
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # What follows a % is the zone of an IPv6 address.
    ips = {ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers}
    for ip in ips:
        check_ip(ip, private=private)
    return [str(ip) for ip in sorted(ips, key=lambda ip: (ip.version, int(ip)))]
