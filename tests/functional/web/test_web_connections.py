"""Connections to outside services: to which addresses, and how their certificates are checked."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.kernel.outbound.web import Hostile, Limits, Session, Unreadable
from tests.functional.services import answering, serving
from tests.functional.web.sessions import allow_this_machine, session_of, setting


@pytest.fixture(autouse=True)
def _local(monkeypatch: pytest.MonkeyPatch) -> None:
    allow_this_machine(monkeypatch)


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(answering(200)) as server, session_of(server) as session:
        assert session.send("GET", "/x").status == 200


def test_a_hostile_address_is_refused_before_any_call(monkeypatch: pytest.MonkeyPatch) -> None:
    setting(monkeypatch, private_addresses=False)

    with pytest.raises(Hostile):
        Session("https://127.0.0.1:5000")


def resolving(monkeypatch: pytest.MonkeyPatch, ips: list[str]) -> list[str]:
    """Names give these addresses from now on, the first for the first look-up and so on."""
    asked: list[str] = []
    genuine = socket.getaddrinfo

    def lookup(host: str, port: Any, *args: Any, **how: Any) -> Any:
        if not host.endswith("example.com"):
            return genuine(host, port, *args, **how)
        asked.append(host)
        return genuine(ips[min(len(asked), len(ips)) - 1], port, *args, **how)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


def test_a_name_that_turns_to_an_inner_address_is_refused_when_it_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting(monkeypatch, private_addresses=False)
    resolving(monkeypatch, ["127.0.0.1"])
    with serving(answering(200)) as server:
        session = Session(f"https://cloud.example.com:{server.server_port}")
        with pytest.raises(Hostile, match="private network"):
            session.send("GET", "/x")
        assert server.requests == []


def test_the_address_that_was_checked_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(answering(200)) as server:
        # A second look-up would find the metadata.
        asked = resolving(monkeypatch, ["127.0.0.1", "169.254.169.254"])
        with Session(f"http://cloud.example.com:{server.server_port}") as session:
            assert session.send("GET", "/x").status == 200
            assert session.send("GET", "/x").status == 200
        assert asked == ["cloud.example.com"]
        host = server.requests[0].headers["Host"]
        assert host == f"cloud.example.com:{server.server_port}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for cloud.example.com that signs itself, and a server's context with it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cloud.example.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("cloud.example.com")]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    file = tmp_path_factory.mktemp("authority") / "both.pem"
    plain = serialization.NoEncryption()
    own = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(made.public_bytes(encoding) + own)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return file, context


def test_tls_verifies_the_name_though_the_connection_goes_to_an_ip_address(
    monkeypatch: pytest.MonkeyPatch, authority: tuple[Path, ssl.SSLContext]
) -> None:
    file, context = authority
    limits = Limits(ca_file=str(file))
    resolving(monkeypatch, ["127.0.0.1"])
    with serving(answering(200), context) as server:
        with Session(f"https://cloud.example.com:{server.server_port}", limits) as session:
            assert session.send("GET", "/x").status == 200
        with Session(f"https://other.example.com:{server.server_port}", limits) as session:
            with pytest.raises(Unreadable, match="certificate"):
                session.send("GET", "/x")
            assert session.tries == 1


def test_a_certificate_of_nobody_we_trust_is_refused(
    monkeypatch: pytest.MonkeyPatch, authority: tuple[Path, ssl.SSLContext]
) -> None:
    resolving(monkeypatch, ["127.0.0.1"])
    with serving(answering(200), authority[1]) as server:
        session = Session(f"https://cloud.example.com:{server.server_port}")
        with session, pytest.raises(Unreadable, match="certificate"):
            session.send("GET", "/x")


@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
def test_the_next_address_of_a_name_is_tried_when_one_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    genuine = socket.getaddrinfo

    def lookup(host: str, *args: Any, **how: Any) -> list[Any]:
        ips = ("127.0.0.1", "127.0.0.2") if host == "cloud.example.com" else (host,)
        return [each for ip in ips for each in genuine(ip, *args, **how)]

    with serving(answering(200), host="127.0.0.2") as server:
        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        with Session(f"http://cloud.example.com:{server.server_port}") as session:
            assert session.send("GET", "/x").status == 200
