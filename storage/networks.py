"""Which addresses are anybody's to reach, and which lie in a network that is not public.

Everything that is not plainly public is private here: loopback, link-local and private networks, those shared by the
customers of a carrier, multicast, documentation, what is reserved or assigned to nobody.
"""

import socket
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# the special-purpose registries of IANA; spelled out, since Python's own list differs from release to release
_PRIVATE_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
_PRIVATE_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
# where the last 32 bits, or those after the first 16, are an address of IPv4
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet; one that holds an address of IPv4 is what that is."""
    found = _address(address)
    return found is not None and _is_public(found)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in each for each in _PRIVATE_V4)
    inner = _inner(address)
    if inner is not None:
        return _is_public(inner)
    return address in _PUBLIC_V6 and not any(address in each for each in _PRIVATE_V6)


def _address(text: str) -> Address | None:
    """None for what is none, and for one that is good on one interface only (`fe80::1%eth0`)."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _6TO4:
        return IPv4Address(int(address) >> 80 & 0xFFFF_FFFF)
    return None


class Networks:
    """What sources of every project may reach: the public internet, and networks that the operator allows."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self.allowed = tuple(allowed)

    def allow(self, address: str) -> bool:
        """Whether any source may have a connection made to an address.

        Not to a public one that this machine itself has: what is kept from others by a firewall is not kept from us.
        """
        found = _address(address)
        if found is None:
            return False
        # as the operator would write it
        plain = _inner(found) if isinstance(found, IPv6Address) and found in _MAPPED else found
        if any(plain in each or found in each for each in self.allowed):
            return True
        return _is_public(found) and not is_ours(address)


def is_ours(address: str) -> bool:
    """Whether an address is one of this machine; nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect((address, 9))
        except OSError:
            # there is no way there
            return False
        mine: str = asked.getsockname()[0]
        return mine == address
