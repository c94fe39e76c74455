"""`Sender`: sends events to a running service and keeps retrying; used by consumers and replays."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crossaisle.api_types import Counted, read
from crossaisle.client.transport import Transport
from crossaisle.errors import ConfigError, ServiceError, StoreError, shown

_LOG = logging.getLogger(__name__)
REFUSED = (400, 409, 413, 422)
"""Statuses for which the events are to blame."""
STOPPING = (401, 403, 404, 405)
"""Statuses that no retry can change."""
TRIES = 3
"""Number of unexpected errors of the service after which the events are considered to blame."""
LONGEST_WAIT = 5.0
TIMEOUT = 30.0


class Stopped(Exception):
    """Sending was stopped; events in flight may or may not have arrived."""


@dataclass
class Sent:
    """Outcome of sending some events."""

    accepted: int = 0
    duplicates: int = 0
    forgotten: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    """Index of the event in the call, and the reason."""


class Sender:
    """One connection to a service; `url` is its address without secrets, for messages."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        shop: str | None = None,
        stop: threading.Event | None = None,
        patience: float | None = None,
    ) -> None:
        """`url`: of the service, without `/api`. `shop`: needed if the service has several. `patience`:
        seconds to wait for an unreachable service; None: forever. Raises `ConfigError` for an invalid URL."""
        self.url, self.stop = shown(url), stop or threading.Event()
        # No retries in the transport: this class retries by itself, for as long as needed or until stopped.
        self._transport = Transport(url, key=key, shop=shop, timeout=TIMEOUT, retries=0)
        self._patience = patience

    def send(self, events: Sequence[Mapping[str, Any]]) -> Sent:
        """Sends events until the service has answered for each.

        Waits while the service is unreachable or busy; a refused event is found by bisection, and the others
        are stored. Events with a key count once, however often they are sent. Raises `Stopped`, `StoreError`
        when the patience has run out, and `ConfigError` if the service refuses the sender.
        """
        sent = Sent()
        if events:
            self._send(list(enumerate(events)), sent)
        return sent

    def _send(self, events: list[tuple[int, Mapping[str, Any]]], sent: Sent) -> None:
        body = json.dumps([event for _, event in events], ensure_ascii=False).encode("utf-8", "replace")
        answer = self._until_answered(body)
        if isinstance(answer, Counted):
            sent.accepted += answer.accepted
            sent.duplicates += answer.duplicates
            sent.forgotten += answer.forgotten
        elif len(events) == 1:
            sent.refused.append((events[0][0], str(answer)))
        else:
            middle = len(events) // 2
            self._send(events[:middle], sent)
            self._send(events[middle:], sent)

    def _until_answered(self, body: bytes) -> Counted | ServiceError:
        waited, pause, failures = 0.0, 0.1, 0
        while True:
            answer = self._ask(body)
            if isinstance(answer, Counted) or answer.status in REFUSED:
                return answer
            said = f"{self.url}: {answer}"
            if answer.status in STOPPING:
                raise ConfigError(said)
            failures += answer.status not in (0, 429, 503)
            if failures >= TRIES:
                return answer
            if self._patience is not None and waited >= self._patience:
                raise StoreError(f"{said}; gave up after {waited:.0f} s")
            if waited == 0:
                _LOG.warning("%s: waiting", said)
            pause = min(answer.retry_after or 2 * pause, LONGEST_WAIT)
            if self.stop.wait(pause):
                raise Stopped
            waited += pause

    def _ask(self, body: bytes) -> Counted | ServiceError:
        """What the service counted or refused; status 0 if something other than the service answered."""
        try:
            headers = {"content-type": "application/json"}
            answer = self._transport.ask("POST", "/api/events", content=body, headers=headers)
            return read(Counted, answer) or _not_ours()
        except ServiceError as error:
            return error if error.title else ServiceError(str(error), 0)
        except (TypeError, ValueError):
            return _not_ours()

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()


def _not_ours() -> ServiceError:
    return ServiceError("what came is not an answer of this service", 0)
