"""Which IP addresses are public, that is, reachable on the internet."""

from __future__ import annotations

import ipaddress

_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT
            "192.0.0.0/24",  # IETF protocol assignments
            "192.88.99.0/24",  # deprecated 6to4 relay anycast
            "198.18.0.0/15",  # benchmarking
            "240.0.0.0/4",
            "::/96",  # IPv4-compatible, includes :: and ::1
            "::ffff:0:0:0/96",  # IPv4-translated
            "64:ff9b:1::/48",  # local-use NAT64
            "100::/63",  # discard-only, and dummy prefix
            "2001::/23",  # IETF protocol assignments; Teredo is treated apart
            "2001:db8::/32",
            "3fff::/20",
            "5f00::/16",  # segment routing
            "fc00::/7",
            "fe80::/10",
            "fec0::/10",  # deprecated site-local
            "ff00::/8",
        ),
    )
)
"""Networks that are not public, even if the `ipaddress` module of an old Python does not know that."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether an IP address is public; for an IPv6 address that embeds an IPv4 address, whether that one
    is."""
    ip: Ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _PRIVATE)
