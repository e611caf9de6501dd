"""Which addresses of outside services may be called: as text, and as what names resolve to."""

import ipaddress
import socket
from typing import Any

import pytest

from chalicelib.kernel.outbound import addresses
from chalicelib.kernel.outbound.addresses import Hostile

HOSTILE = [
    # schemes, and no scheme
    "http://cloud.example.com/",
    "ftp://cloud.example.com/",
    "file:///etc/passwd",
    "gopher://cloud.example.com/",
    "javascript:alert(1)",
    "data:text/plain,x",
    "//cloud.example.com/",
    "cloud.example.com",
    "",
    # this machine
    "https://localhost/",
    "https://LOCALHOST/",
    "https://a.localhost/",
    "https://127.0.0.1/",
    "https://127.255.255.254/",
    "https://0.0.0.0/",
    "https://[::1]/",
    "https://[::]/",
    # private networks
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://[fd00::1]/",
    "https://[fc00::1]/",
    "https://[fec0::1]/",
    "https://keystone/",
    "https://keystone.internal/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://router.lan/",
    "https://nas.home.arpa/",
    # metadata and link-local
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.170.2/v2/credentials",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fd00:ec2::254]/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    # IPv4 in IPv6
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[2002:a00:1::]/",
    "https://[2001:0:a00:1::]/",
    "https://[::127.0.0.1]/",
    # IPv4 written otherwise
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.1/",
    "https://127.0.1/",
    "https://1.2.3.4.5/",
    "https://256.256.256.256/",
    "https://cloud.example.0x7f/",
    "https://127.0.0.1./",
    "https://\uff11\uff12\uff17.0.0.1/",  # full-width digits
    "https://127\u30020\u30020\u30021/",  # ideographic full stops
    # nobody's
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[ff02::1]/",
    "https://192.0.2.1/",
    "https://198.18.0.1/",
    "https://203.0.113.1/",
    "https://[2001:db8::1]/",
    # two readings
    "https://user:password@cloud.example.com/",
    "https://cloud.example.com@10.0.0.1/",
    "https://cloud.example.com:443@10.0.0.1/",
    "https://cloud.example.com#@10.0.0.1/",
    "https://cloud.example.com/#fragment",
    "https://cloud.example.com/?query=1",
    "https://cloud.example.com\\@10.0.0.1/",
    "https:\\\\cloud.example.com/",
    "https:/cloud.example.com/",
    "https:///cloud.example.com/",
    "https://cloud.example.com/a/../b",
    "https://cloud.example.com/./b",
    "https://cloud.example.com//b",
    "https://cloud.example.com/%2e%2e/b",
    "https://%31%30.0.0.1/",
    "https://cloud..example.com/",
    "https://-cloud.example.com/",
    "https://cloud_1.example.com/",
    "https://cloud.exämple.com/",
    "https://[cloud.example.com]/",
    "https://[::1/",
    "https://::1/",
    # control characters and blanks
    "https://cloud.example.com/\r\nHost: 10.0.0.1",
    "https://cloud.example.com\n",
    "https://cloud.example.com/\x00",
    "https://cloud\t.example.com/",
    " https://cloud.example.com/",
    "https://cloud.example.com/ ",
    "https://cloud.example.com/\u202e",
    # ports and sizes
    "https://cloud.example.com:0/",
    "https://cloud.example.com:22/",
    "https://cloud.example.com:65536/",
    "https://cloud.example.com:99999/",
    "https://cloud.example.com:-1/",
    "https://cloud.example.com:/",
    "https://cloud.example.com:\u0664\u0664\u0663/",
    f"https://{'a.' * 200}example.com/",
    f"https://cloud.example.com/{'a' * 500}",
    f"https://{'a' * 64}.example.com/",
]
FRIENDLY = {
    "https://cloud.example.com": "https://cloud.example.com:443",
    "https://cloud.example.com/": "https://cloud.example.com:443",
    "HTTPS://Cloud.Example.com:5000/v3/": "https://cloud.example.com:5000/v3",
    "https://cloud.example.com:8443/identity/v3": "https://cloud.example.com:8443/identity/v3",
    "https://xn--exmple-cua.com": "https://xn--exmple-cua.com:443",
    "https://8.8.8.8:5000": "https://8.8.8.8:5000",
    "https://[2606:4700::1111]:5000/v3": "https://[2606:4700::1111]:5000/v3",
    "https://1and1.example.com": "https://1and1.example.com:443",
    "https://localhost.example.com": "https://localhost.example.com:443",
}
#: Allowed only where the stage allows our own network.
PRIVATE = [
    "http://127.0.0.1:5000/v3",
    "http://localhost:5000",
    "https://10.0.0.1",
    "http://keystone:5000/v3",
    "https://[fd00::1]:5000",
    "http://[::1]:5000",
    "http://cloud.example.com",
    "https://keystone.internal",
    "https://100.64.0.1",
]
NOT_EVEN_THEN = [
    "https://169.254.169.254/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://0.0.0.0:5000/",
    "http://[::ffff:127.0.0.1]:5000/",
    "http://224.0.0.1/",
    "http://2130706433/",
    "http://127.1/",
    "http://user@localhost/",
    "ftp://localhost/",
]


def test_the_table_is_long_enough() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 40


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_hostile_address_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(Hostile, match=r"^must "):
        addresses.parse(text, private=False)


@pytest.mark.parametrize("text", FRIENDLY)
def test_a_providers_address_is_taken_as_it_is_meant(text: str) -> None:
    assert addresses.parse(text, private=False).url == FRIENDLY[text]


@pytest.mark.parametrize("text", PRIVATE)
def test_our_own_network_may_be_called_only_where_the_stage_allows_it(text: str) -> None:
    assert addresses.parse(text, private=True)
    with pytest.raises(Hostile):
        addresses.parse(text, private=False)


@pytest.mark.parametrize("text", NOT_EVEN_THEN)
def test_metadata_is_never_called(text: str) -> None:
    with pytest.raises(Hostile):
        addresses.parse(text, private=True)


def resolving_to(monkeypatch: pytest.MonkeyPatch, *ips: str) -> None:
    def lookup(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ips]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1%eth0"]
)
def test_a_name_that_leads_inside_is_refused_even_beside_a_public_address(
    monkeypatch: pytest.MonkeyPatch, ip: str
) -> None:
    resolving_to(monkeypatch, "8.8.8.8", ip)

    with pytest.raises(Hostile):
        addresses.resolved("cloud.example.com", 443, private=False)


def test_a_name_that_leads_outside_gives_each_address_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolving_to(monkeypatch, "2606:4700::1111", "8.8.8.8", "8.8.8.8", "1.1.1.1")

    found = addresses.resolved("cloud.example.com", 443, private=False)

    assert found == ["1.1.1.1", "8.8.8.8", "2606:4700::1111"]


@pytest.mark.parametrize("last_octet", [0, 1, 128, 255])
def test_no_address_of_a_private_network_slips_through(last_octet: int) -> None:
    for first in (0, 10, 127, *range(224, 256)):
        ip = ipaddress.IPv4Address(f"{first}.1.2.{last_octet}")
        with pytest.raises(Hostile):
            addresses.check_ip(ip, private=False)
