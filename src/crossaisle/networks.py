"""Which IP addresses belong to the internet at large."""

from __future__ import annotations

import ipaddress

_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "100.64.0.0/10",  # shared by carriers
            "192.0.0.0/24",  # protocols
            "192.88.99.0/24",  # once the way to 6to4
            "198.18.0.0/15",  # benchmarks
            "240.0.0.0/4",
            "::/96",  # IPv4-compatible, with :: and ::1
            "::ffff:0:0:0/96",  # translated
            "64:ff9b:1::/48",  # NAT64 of a network of one's own
            "100::/63",  # to be discarded, and dummies
            "2001::/23",  # protocols, teredo apart
            "2001:db8::/32",
            "3fff::/20",
            "5f00::/16",  # segment routing
            "fc00::/7",
            "fe80::/10",
            "fec0::/10",  # once site-local
            "ff00::/8",
        ),
    )
)
"""Not of the internet at large, whatever the `ipaddress` of this Python knows of it."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet at large, also where it wraps an IPv4 address."""
    ip: Ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _PRIVATE)
