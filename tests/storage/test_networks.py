"""Which addresses anybody's source may lie at."""

from ipaddress import ip_network

import pytest

from storage import networks
from storage.networks import Networks, is_ours, is_public

PUBLIC = (
    "1.1.1.1",
    "9.255.255.255",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "193.0.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450:4009::200e",
    "2001:200::1",
    # public addresses of IPv4 in others of IPv6
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1",
)
PRIVATE = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::10.0.0.1",
    "100::1",
    "fc00::1",
    "fdff::1",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1111%eth0",
    "fec0::1",
    "ff02::1",
    "2001::1",
    "2001:10::1",
    "2001:db8::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "64:ff9b:1::1",
    # the same addresses of IPv4 in others of IPv6
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1",
    "2002:a00:1::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    # what is no address at all
    "",
    "localhost",
    "127.1",
    "0x7f000001",
    "2130706433",
    "::ffff",
    "[::1]",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_public_internet_is_anybodys(address: str) -> None:
    assert is_public(address)
    assert Networks().allow(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_every_other_address_is_not(address: str) -> None:
    assert not is_public(address)
    assert not Networks().allow(address)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.20.3.4", True),
        ("::ffff:10.20.3.4", True),
        ("fd00:1::5", True),
        ("1.1.1.1", True),
        ("10.21.0.1", False),
        ("::ffff:10.21.0.1", False),
        ("2002:a14:304::1", False),
        ("127.0.0.1", False),
        ("fd00:2::5", False),
    ],
)
def test_the_operator_allows_networks_beside_it(address: str, allowed: bool) -> None:
    beside = Networks([ip_network("10.20.0.0/16"), ip_network("fd00:1::/32")])

    assert beside.allow(address) is allowed


def test_what_this_machine_has_itself_is_not_anybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_is_public", lambda address: True)

    assert is_ours("127.0.0.1")
    assert not is_ours("1.1.1.1")
    assert Networks().allow("1.1.1.1")
    assert not Networks().allow("127.0.0.1")
    assert Networks([ip_network("127.0.0.1")]).allow("127.0.0.1")
