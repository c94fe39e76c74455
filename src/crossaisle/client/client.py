"""`Client`: the endpoints of the service as typed methods."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

from crossaisle.api_types import (
    Counted,
    Forgotten,
    RankedList,
    RecommendedList,
    UserRecord,
    read,
)
from crossaisle.client.calls import batches, event_of, path_part, plain
from crossaisle.client.catalogue import CatalogueCalls
from crossaisle.client.steering import SteeringCalls
from crossaisle.client.transport import Transport
from crossaisle.data.query import Placement, QueryControls

if TYPE_CHECKING:
    import httpx

PAGE, END = 10_000, 2**62 - 1
"""Events per response, and a position beyond all events."""


class Client(CatalogueCalls, SteeringCalls):
    """A client of one service. Thread-safe; close it, or use it in a `with` statement.

    Requests that fail with 429 or 503, or get no response, are retried after `Retry-After` or with
    exponential backoff. That is safe: every event gets a key by which the service recognizes duplicates.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        key: str | None = None,
        shop: str | None = None,
        timeout: float = 10.0,
        retries: int = 4,
        rng: random.Random | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`key`: an API key. `shop`: its name, if the service has several. `timeout`: seconds. `retries`:
        maximum number of retries per request. `rng`: for the jitter of the backoff. Raises `ConfigError` if
        `url` is not http(s)."""
        super().__init__(
            Transport(url, key=key, shop=shop, timeout=timeout, retries=retries, rng=rng, transport=transport)
        )

    # Lists

    def recommend(
        self,
        user: str | None = None,
        *,
        placement: Placement = "for_you",
        history: Sequence[str] | None = None,
        items: Sequence[str] = (),
        **controls: Unpack[QueryControls],
    ) -> RecommendedList:
        """A list for a user, or for a session (`history`) or a cart (`items`), neither of which is stored.

        `controls` are those of `crossaisle.Query`, with its defaults. `n` is at most 100, or 20 with
        `explain`; `offset` selects further pages.
        """
        request: dict[str, Any] = {
            "placement": placement,
            "user": user,
            "history": None if history is None else list(history),
            "items": list(items),
            **{name: plain(value) for name, value in controls.items()},
        }
        found: RecommendedList = read(RecommendedList, self._ask("POST", "/api/recommend", body=request))
        return found

    def goes_with(
        self, item: str, *, user: str | None = None, **controls: Unpack[QueryControls]
    ) -> RecommendedList:
        """Complements of an item; for several, use `recommend` with `items`."""
        return self.recommend(user, placement="goes_with", items=[item], **controls)

    def similar(
        self, item: str, *, user: str | None = None, **controls: Unpack[QueryControls]
    ) -> RecommendedList:
        """Substitutes for an item."""
        return self.recommend(user, placement="similar", items=[item], **controls)

    def trending(self, **controls: Unpack[QueryControls]) -> RecommendedList:
        """Items that are popular now, the same for everyone."""
        return self.recommend(placement="trending", **controls)

    def rank(
        self,
        items: Sequence[str],
        user: str | None = None,
        *,
        placement: Placement = "for_you",
        history: Sequence[str] | None = None,
        in_view: Sequence[str] = (),
        **controls: Unpack[QueryControls],
    ) -> RankedList:
        """Ranks at most 1,000 items that another system retrieved, best first.

        For a user, a session (`history`), or the items `in_view`. Accepts all `controls` except `n`, `offset`
        and `include_items`; `in_stock`, `exclude_seen` and `one_per_title` are off unless given.
        """
        request: dict[str, Any] = {
            "items": list(items),
            "placement": placement,
            "user": user,
            "history": None if history is None else list(history),
            "in_view": list(in_view),
            **{name: plain(value) for name, value in controls.items()},
        }
        found: RankedList = read(RankedList, self._ask("POST", "/api/rank", body=request))
        return found

    # Events

    def event(
        self,
        user: str,
        item: str,
        kind: str = "view",
        *,
        time: datetime | float | None = None,
        key: str | None = None,
        value: float | None = None,
        quantity: float | None = None,
    ) -> Counted:
        """Sends one event, which counts in the next list as soon as this returns. A key is generated if none
        is given."""
        one = {"user": user, "item": item, "kind": kind, "time": time, "key": key}
        body = event_of({**one, "value": value, "quantity": quantity})
        found: Counted = read(Counted, self._ask("POST", "/api/events", body=body))
        return found

    def events(self, events: Iterable[Mapping[str, Any]], *, partial: bool = False) -> Counted:
        """Sends many events, in requests of 1,000 each; fields as in `event`.

        An invalid event fails its whole request with `ServiceError`, and nothing of it is stored. With
        `partial`, valid events are stored and invalid ones are described in the answer.
        """
        total = Counted(accepted=0, duplicates=0)
        for batch in batches(event_of(one) for one in events):
            if partial:
                lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in batch).encode()
                headers = {"content-type": "application/x-ndjson"}
                answer = self._ask("POST", "/api/events", content=lines, headers=headers)
            else:
                answer = self._ask("POST", "/api/events", body=batch)
            one = read(Counted, answer)
            total = Counted(
                accepted=total.accepted + one.accepted,
                duplicates=total.duplicates + one.duplicates,
                forgotten=total.forgotten + one.forgotten,
                refused=total.refused + one.refused,
                errors=total.errors + one.errors,
                notices=total.notices + one.notices,
            )
        return total

    def delete_event(self, key: str) -> None:
        """Deletes the event that was sent with a key; `ServiceError` with status 404 if there is none."""
        self._ask("POST", "/api/events/delete", body={"key": key})

    # Users

    def user(self, user: str) -> UserRecord:
        """Everything stored about a user, events ordered by time."""
        found = self._page(user)
        last, events, shown = found, list(found.events), list(found.shown)
        while last.next is not None or last.shown_next is not None:
            last = self._page(user, last.next or END, last.shown_next or END)
            events += last.events
            shown += last.shown
        events.sort(key=lambda event: event.time)
        return replace(found, events=tuple(events), shown=tuple(shown), next=None, shown_next=None)

    def _page(self, user: str, after: int = 0, shown_after: int = 0) -> UserRecord:
        body = {"user": user, "n": PAGE, "after": after, "shown_after": shown_after}
        found: UserRecord = read(UserRecord, self._ask("POST", "/api/users/show", body=body))
        return found

    def put_user(self, user: str, **attributes: str | float | bool | None) -> None:
        """Sets the attributes of a user."""
        self._ask("PUT", f"/api/users/{path_part(user)}", body=attributes)

    def delete_user(self, user: str) -> int:
        """Deletes everything about a user; returns the number of events deleted.

        Raises `ServiceError` with status 404 if nothing was known.
        """
        found: Forgotten = read(Forgotten, self._ask("POST", "/api/users/delete", body={"user": user}))
        return found.events_deleted

    # Lifecycle

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
