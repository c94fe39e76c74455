"""Who may ask for what: scopes of routes, whether keys are needed at all, and the address of a client."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from crossaisle.errors import ConfigError, StoreError
from crossaisle.serve.store.api_keys import Keys
from crossaisle.serve.store.store import Store

_LOG = logging.getLogger(__name__)
RouteScope = Literal["public", "health", "visitor", "read", "write", "merchandise", "admin"]
"""What a request needs. `public`: nothing, it is about no shop. `health`: nothing, but any key of the shop if
one is named, because only holders of its keys may learn that it exists. Others: a key with that scope, or
with `admin`."""
KEYED: frozenset[RouteScope] = frozenset({"visitor", "read", "write", "merchandise", "admin"})
"""Scopes that need a key."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LONGEST = 45
"""Characters of the longest address, an IPv6 one that holds an IPv4 one."""


def keyless(host: str, proxies: Sequence[str], stores: Iterable[Store | None]) -> bool:
    """Whether requests need no key: only on loopback, where no key was ever made.

    `stores`: of every shop; None for one that cannot be read, which may hold keys. Raises `ConfigError`
    where other machines can reach the service and a store has no active key.
    """
    keys, whole = [], True
    for store in stores:
        try:
            if store is None:
                whole = False
            else:
                keys.append((store, Keys(store)))
        except StoreError:  # reported by whoever opens it
            whole = False
    empty = [store.name for store, known in keys if not known.any()]
    if (host not in LOOPBACK or proxies) and empty:
        who = "--behind-proxy lets others in" if proxies else f"{host} can be reached by others"
        alone = "leave --behind-proxy out" if proxies else "serve on 127.0.0.1"
        raise ConfigError(
            f"{who} and the store has no API key: make one with  "
            f"crossaisle keys add {empty[0]} NAME  or {alone}"
        )
    if host in LOOPBACK and not proxies and whole and not any(known.made for _, known in keys):
        return True
    for name in empty:
        _LOG.warning("no API key is in use, all requests are refused: run  crossaisle keys add %s NAME", name)
    return False


class Proxies:
    """The proxies that are trusted to name a client's address."""

    def __init__(self, given: Sequence[str]) -> None:
        """`given`: addresses and networks; `ConfigError` for anything else."""
        self._networks = [_network(text) for text in given]

    def client(self, scope: MutableMapping[str, Any], headers: Mapping[bytes, bytes]) -> str:
        """The client's address: the socket's, or the last one that a trusted proxy added."""
        client = scope.get("client")
        if client is None:
            return "unknown"
        peer: str = client[0]
        if not self._networks or not self._trusted(address_of(peer)):
            return peer
        # Anything further left was written by the client.
        named = headers.get(b"x-forwarded-for", b"").rpartition(b",")[2].strip().decode("latin-1")
        address = None if "%" in named else address_of(named)
        if address is None:
            return peer
        scope["client"] = (str(address), 0)
        return str(address)

    def _trusted(self, peer: Address | None) -> bool:
        return peer is not None and any(peer in network for network in self._networks)


def address_of(text: str) -> Address | None:
    """Parses an address; None for anything else. IPv4 mapped into IPv6 becomes IPv4."""
    return _parsed(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigError(
            f"--behind-proxy {text}: not an address or a network such as 127.0.0.1 or 10.0.0.0/24 ({error})"
        ) from None
    if not network.prefixlen:
        raise ConfigError(f"--behind-proxy {text}: this trusts every address; name those of your proxy")
    return network
