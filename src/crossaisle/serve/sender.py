"""`Sender`: puts events into a running service and does not give up: what consumers and replays send with."""

from __future__ import annotations

import http.client
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from crossaisle.errors import ConfigError, StoreError

_LOG = logging.getLogger(__name__)
REFUSED = (400, 413, 422)
"""Answers that say that the events are to blame."""
STOPPING = (401, 403, 404, 405)
"""Answers that no repetition will change."""
TRIES = 3
"""After so many unexpected errors of the service, the events are to blame."""
LONGEST_WAIT = 5.0
TIMEOUT = 30.0


class Stopped(Exception):
    """Whoever is sending was told to stop; what was under way may or may not have arrived."""


@dataclass
class Sent:
    """What became of some events."""

    accepted: int = 0
    duplicates: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    """Number of the event in what was sent, and the reason."""


class Sender:
    """One connection to a service."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        stop: threading.Event | None = None,
        patience: float | None = None,
    ) -> None:
        """`url`: of the service, without `/api`. `patience`: seconds to wait for a service that is away, or
        for ever. Raises `ConfigError` for a URL that is none.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{url!r} is no address of a service: it looks like http://127.0.0.1:8080")
        self.url, self.stop = url, stop or threading.Event()
        self._path = f"{parts.path.rstrip('/')}/api/events"
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = make(parts.hostname, parts.port, timeout=TIMEOUT)
        self._headers = {"content-type": "application/json", **(headers or {})}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._patience = patience

    def send(self, events: Sequence[Mapping[str, Any]]) -> Sent:
        """Sends events until the service has answered for each.

        Waits while the service is away or busy; an event that it refuses is found by halving, and the
        others are kept. Events that carry a key are counted once, however often they have to be sent.
        Raises `Stopped`, `StoreError` when the patience is over, and `ConfigError` where the service
        refuses whoever sends.
        """
        sent = Sent()
        if events:
            self._send(list(enumerate(events)), sent)
        return sent

    def _send(self, events: list[tuple[int, Mapping[str, Any]]], sent: Sent) -> None:
        body = json.dumps([event for _, event in events], ensure_ascii=False).encode("utf-8", "replace")
        status, answer = self._until_answered(body)
        if status == 200:
            sent.accepted += int(answer["accepted"])
            sent.duplicates += int(answer["duplicates"])
        elif len(events) == 1:
            sent.refused.append((events[0][0], str(answer.get("detail", f"status {status}"))))
        else:
            middle = len(events) // 2
            self._send(events[:middle], sent)
            self._send(events[middle:], sent)

    def _until_answered(self, body: bytes) -> tuple[int, dict[str, Any]]:
        waited, pause, failures = 0.0, 0.1, 0
        while True:
            try:
                status, headers, answer = self._ask(body)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                status, headers, answer = 0, {}, {"detail": f"{error or type(error).__name__}"}
            if status == 200 or status in REFUSED:
                return status, answer
            said = f"{self.url}: {answer.get('detail', status)}"
            if status in STOPPING:
                raise ConfigError(said)
            failures += status not in (0, 429, 503)
            if failures >= TRIES:
                return status, answer
            if self._patience is not None and waited >= self._patience:
                raise StoreError(f"{said}; gave up after {waited:.0f} s")
            if waited == 0:
                _LOG.warning("%s: waiting", said)
            pause = _seconds(headers.get("retry-after")) or min(2 * pause, LONGEST_WAIT)
            if self.stop.wait(pause):
                raise Stopped
            waited += pause

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        try:
            found = json.loads(text)
        except ValueError:
            found = {}
        whole = isinstance(found, dict) and (answer.status != 200 or {"accepted", "duplicates"} <= set(found))
        if not whole:
            raise http.client.HTTPException(f"status {answer.status}, and not an answer of this service")
        return answer.status, headers, found

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def _seconds(text: str | None) -> float | None:
    return min(float(text), LONGEST_WAIT) if text and text.isdigit() else None
