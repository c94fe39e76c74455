"""`fetch`: downloads from http(s) URLs of allowed hosts only.

URLs come from whoever edits a catalogue, so they must not reach into the network of the machine that fetches
them (server-side request forgery): hosts are allowed by name, a name is resolved once and must resolve to
public addresses only, the connection uses the resolved address, and redirects are not followed. Proxy
settings of the environment are ignored. Errors name only the host, since the rest of a URL may contain a
password.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from urllib.parse import quote, urlsplit

from crossaisle.errors import ConfigError, DataError, shorten
from crossaisle.networks import is_public

SECONDS = 10.0
"""Total time limit, from connecting to the last byte."""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """A URL whose host is allowed."""

    scheme: str
    host: str
    port: int
    path: str
    """The path with its query, as sent."""

    @property
    def named(self) -> str:
        """Host and port, as in the `Host` header and in messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True)
class Hosts:
    """The hosts that may be fetched from."""

    allowed: frozenset[tuple[str, int | None]]
    """Pairs of host and port; without a port, the default ports of http and https."""

    @classmethod
    def of(cls, entries: Iterable[str]) -> Hosts:
        """Parses `HOST` or `HOST:PORT` (`[::1]:8000`) entries; `ConfigError` for anything else."""
        found = set()
        for entry in entries:
            try:
                text = f"[{entry}]" if entry.count(":") > 1 and "[" not in entry else entry
                parts = urlsplit(f"//{text}")
                name, port = _host(parts.hostname), parts.port
                plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
            except ValueError:
                name, port, plain = "", None, False
            if not name or not plain or "*" in name:
                raise ConfigError(
                    f"{shorten(entry)} is not a host: write HOST or HOST:PORT, such as img.example.com"
                )
            found.add((name, port))
        return cls(frozenset(found))

    def target(self, address: str) -> Target:
        """Parses a URL; `DataError` unless it may be fetched."""
        try:
            if any(c <= " " or c in "\\\x7f" for c in address):
                raise ValueError
            parts = urlsplit(address)
            host, given = _host(parts.hostname), parts.port
        except ValueError:
            raise DataError("picture's address is not valid") from None
        if parts.scheme not in _PORTS:
            raise DataError("pictures are fetched by http and https only")
        if not host:
            raise DataError("picture's address is not valid")
        if "@" in parts.netloc:
            raise DataError("picture's address must not contain a user or a password")
        port = _PORTS[parts.scheme] if given is None else given
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        query = quote(parts.query, safe="/%:@!$&'()*+,;=~?")
        target = Target(parts.scheme, host, port, f"{path}?{query}" if query else path)
        if (host, port) not in self.allowed and not (
            (host, None) in self.allowed and port == _PORTS[parts.scheme]
        ):
            raise DataError(
                f"pictures may not be fetched from {target.named!r}: allow that host "
                "(crossaisle serve --image-hosts, or model.picture_hosts)"
            )
        return target

    def allows(self, address: str) -> bool:
        """Whether a URL may be fetched."""
        try:
            self.target(address)
        except DataError:
            return False
        return True


def fetch(address: str, hosts: Hosts, *, largest: int, seconds: float = SECONDS) -> bytes:
    """The content at a URL; `DataError` says in one line why it may not or cannot be fetched."""
    target = hosts.target(address)
    end = time.monotonic() + seconds
    late, why = True, ""
    for place in _places(target):
        left = end - time.monotonic()
        late = left <= 0
        if late:
            break
        try:
            with closing(_Connection(target, place, left)) as connection:
                return connection.get(largest)
        except ConnectionRefusedError:
            why = "connection refused"
        # Keep only the text: the exception would keep the socket open as long as it lives.
        except (OSError, HTTPException, ValueError) as error:
            why, late = _said(error), isinstance(error, TimeoutError)
            break
    why = f"it took more than {seconds:g} s" if late else why
    raise DataError(f"picture could not be fetched from {target.named} ({why})")


class _Unusable(OSError):
    """A response that is not a usable picture; its message is our own and safe to show."""


def _said(error: Exception) -> str:
    """The reason, without the host's own words, which might reveal what runs inside a network."""
    if isinstance(error, _Unusable):
        return str(error)
    if isinstance(error, IncompleteRead):
        return "the answer ended too soon"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    if isinstance(error, ConnectionError | RemoteDisconnected):
        return "the connection was closed"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return "the answer is not HTTP"


def resolved(host: str, port: int) -> list[str]:
    """The IP addresses that a name resolves to."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[4][0]) for place in found))


def _places(target: Target) -> list[str]:
    """The IP addresses to connect to: resolved only once, so that a second lookup cannot differ."""
    try:
        places = resolved(target.host, target.port)
    except (OSError, UnicodeError):
        raise DataError(f"picture could not be fetched from {target.named} (no such host)") from None
    # Allowing 10.0.0.7 allows that address; allowing a name does not allow every address it may resolve to.
    if not _is_literal(target.host) and not all(map(is_public, places)):
        raise DataError(
            f"{target.named} does not lead to a public address: to fetch pictures inside a network, allow "
            "the IP address itself"
        )
    return places


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _host(name: str | None) -> str:
    """Normalizes a host: lower case, ASCII, no trailing dot; `ValueError` if it is invalid."""
    if not name:
        return ""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.rstrip(".").encode("idna").decode().lower()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Connection(HTTPConnection):
    """A connection to an IP address for a given host; closed when time is up, even if bytes keep trickling
    in."""

    def __init__(self, target: Target, place: str, seconds: float) -> None:
        super().__init__(target.host, target.port, timeout=seconds)
        self._target, self._place, self._late = target, place, False
        self._wire: socket.socket | None = None
        """The socket, kept even after the base class has dropped it."""
        self._clock = threading.Timer(seconds, self._cut)
        self._clock.daemon = True

    def connect(self) -> None:
        self.sock = self._wire = socket.create_connection((self._place, self._target.port), self.timeout)
        if self._target.scheme == "https":
            self.sock = _tls().wrap_socket(
                self.sock, server_hostname=self._target.host, do_handshake_on_connect=False
            )
            self._wire = self.sock
            self.sock.do_handshake()

    def get(self, largest: int) -> bytes:
        """The body of the response, at most one byte more than `largest`."""
        self._clock.start()
        try:
            headers = {"Host": self._target.named, "Accept": "image/*", "Accept-Encoding": "identity"}
            self.request("GET", self._target.path, headers={**headers, "User-Agent": "crossaisle"})
            with closing(self.getresponse()) as answer:
                data = self._body(answer, largest)
        except (OSError, HTTPException, ValueError):
            if self._late:
                raise TimeoutError from None
            raise
        finally:
            self._clock.cancel()
        if self._late:
            raise TimeoutError
        return data

    def _body(self, answer: HTTPResponse, largest: int) -> bytes:
        if 300 <= answer.status < 400:
            raise DataError(
                f"{self._target.named} redirects, which is not followed: give the address it leads to"
            )
        if answer.status != 200:
            raise _Unusable(f"answered {answer.status}")
        declared = answer.length
        if declared is not None and declared > largest:
            return b"\0" * (largest + 1)
        data = bytearray()
        while len(data) <= largest and (part := answer.read1(65_536)):
            if self._late:  # even after shutdown, a socket returns data received before
                raise TimeoutError
            data += part
        if declared is not None and len(data) < declared:
            raise _Unusable("the answer ended too soon")
        return bytes(data[: largest + 1])

    def _cut(self) -> None:
        self._late, sock = True, self._wire
        if sock is not None:
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:  # already closed
                return
