"""`download`: fetches a large file over http(s), with limits on size, time and redirects."""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crossaisle.networks import is_public

LARGEST = 2_000_000_000
"""Default maximum size of a file, in bytes."""
SILENCE = 30.0
"""Read timeout in seconds."""
PATIENCE = 60.0
"""Seconds allowed for connecting and the response headers, and as a grace period for the body."""
SLOWEST = 10_000
"""Minimum average bytes per second of the body, after that grace period."""
REDIRECTS = 5
PIECE = 1 << 20


def download(url: str, target: Path, *, largest: int = LARGEST, patience: float = PATIENCE) -> None:
    """Downloads a URL into a file; raises `OSError` with the reason if that fails.

    Redirects are followed to http and https only, never from https to http, and from a public host only to
    public hosts. Proxy settings of the environment are used.
    """
    start = time.monotonic()
    with _Watch(patience) as watch:
        request = urllib.request.Request(url, headers={"User-Agent": "crossaisle"})
        opener = urllib.request.build_opener(_Redirects(url), _Plain(watch), _Tls(watch))
        answer = watch.during(lambda: opener.open(request, timeout=SILENCE))
    received = 0
    with answer, target.open("wb") as out:
        if (answer.length or 0) > largest:
            raise OSError(f"it is larger than {_size(largest)}")
        while part := answer.read1(PIECE):
            received += len(part)
            if received > largest:
                raise OSError(f"it is larger than {_size(largest)}")
            if time.monotonic() - start > patience + received / SLOWEST:
                raise OSError(f"it downloads slower than {SLOWEST // 1000} KB a second")
            out.write(part)


def _size(count: int) -> str:
    return f"{count / 1e9:g} GB" if count >= 1e8 else f"{count:,} bytes"


class _Watch:
    """Closes connections whose headers take too long, even if bytes keep trickling in."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._late = seconds, False
        self._open: list[http.client.HTTPConnection] = []
        self._clock = threading.Timer(seconds, self._cut)
        self._clock.daemon = True

    def __enter__(self) -> _Watch:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._clock.cancel()

    def during(self, work: Any) -> Any:
        """Runs `work` and returns its result; turns HTTP errors and timeouts into `OSError`."""
        try:
            return work()
        except urllib.error.HTTPError as error:
            error.close()
            raise OSError(f"the server answered {error.code}") from None
        except (OSError, ValueError, http.client.HTTPException):
            if self._late:
                raise OSError(f"no answer in {self._seconds:g} s") from None
            raise

    def watched(self, kind: type[http.client.HTTPConnection], host: str, **options: Any) -> Any:
        """Opens a connection that the timer can close."""
        connection = kind(host, **options)
        self._open.append(connection)
        return connection

    def _cut(self) -> None:
        self._late = True
        for connection in self._open:
            wire = connection.sock
            try:
                if wire is not None:
                    socket.socket.shutdown(wire, socket.SHUT_RDWR)
            except OSError:  # closed already
                continue


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        def made(host: str, **options: Any) -> Any:
            return self._watch.watched(http.client.HTTPConnection, host, **options)

        return self.do_open(made, req)


class _Tls(urllib.request.HTTPSHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        def made(host: str, **options: Any) -> Any:
            return self._watch.watched(http.client.HTTPSConnection, host, **options)

        return self.do_open(made, req)


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = REDIRECTS
    max_repeats = 2

    def __init__(self, first: str) -> None:
        self._tls = first.startswith("https://")
        self._public = _leads_out(first)

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        parts = urlsplit(newurl)
        self._tls = self._tls or req.full_url.startswith("https://")
        why = ""
        if parts.scheme not in ("https", *(() if self._tls else ("http",))) or "@" in parts.netloc:
            why = f"it redirects to {parts.scheme or 'nowhere'}, which is not followed"
        elif self._public and _leads_out(newurl) is False:
            why = "it redirects into a private network, which is not followed"
        if why:
            fp.close()
            raise OSError(why)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _leads_out(url: str) -> bool | None:
    """Whether the host of a URL is public; None if its name cannot be resolved here."""
    parts = urlsplit(url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None
    return all(is_public(str(place[4][0])) for place in found)
