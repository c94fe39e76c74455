"""`Sender`: puts events into a running service and does not give up: what consumers and replays send with."""

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
"""Answers that say that the events are to blame."""
STOPPING = (401, 403, 404, 405)
"""Answers that no repetition will change."""
TRIES = 3
"""After so many unexpected errors of the service, the events are to blame."""
LONGEST_WAIT = 5.0
TIMEOUT = 30.0


class Stopped(Exception):
    """Sending was stopped; events under way may or may not have arrived."""


@dataclass
class Sent:
    """Outcome of sending some events."""

    accepted: int = 0
    duplicates: int = 0
    forgotten: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    """Number of the event in what was sent, and the reason."""


class Sender:
    """One connection to a service; `url` is its address as messages may hold it."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        shop: str | None = None,
        stop: threading.Event | None = None,
        patience: float | None = None,
    ) -> None:
        """`url`: of the service, without `/api`. `shop`: where it serves several. `patience`: seconds to wait
        for a service that is away, or for ever. Raises `ConfigError` for a URL that is none.
        """
        self.url, self.stop = shown(url), stop or threading.Event()
        # Tries again by itself, for as long as it takes and no longer than until it is told to stop.
        self._transport = Transport(url, key=key, shop=shop, timeout=TIMEOUT, retries=0)
        self._patience = patience

    def send(self, events: Sequence[Mapping[str, Any]]) -> Sent:
        """Sends events until the service has answered for each.

        Waits while the service is away or busy; an event that it refuses is found by halving, and the
        others are kept. Events that carry a key are counted once, however often they have to be sent.
        Raises `Stopped`, `StoreError` when the patience is over, and `ConfigError` where the service
        refuses the sender.
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
        """What the service counted or refused; status 0 where it was not the service that answered."""
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
    return ServiceError("the answer did not come from a crossaisle service", 0)
