"""`Client`: the endpoints of the service as typed methods."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Unpack
from urllib.parse import quote

from crossaisle.api_types import (
    AuditLine,
    CategorySize,
    Counted,
    Differences,
    Dropped,
    ExperimentResults,
    Forgotten,
    Health,
    Models,
    NumberedList,
    Product,
    ProductPage,
    RankedList,
    RecommendedList,
    RulesInForce,
    Shop,
    StoredRule,
    Taken,
    Totals,
    UserRecord,
    read,
)
from crossaisle.client.transport import Transport
from crossaisle.data.query import Placement, QueryControls

if TYPE_CHECKING:
    import httpx

BATCH = 1000
"""Events or items per request."""
PAGE, END = 10_000, 2**62 - 1
"""Events per answer, and a position after all events."""


class Client:
    """A client of one service. Thread-safe; close it, or use it in a `with` statement.

    Requests answered with 429 or 503, or not at all, are retried after `Retry-After`, or with increasing
    pauses. That is safe: every event gets a key by which the service recognizes a repeated one.
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
        """`key`: an API key. `shop`: its name, if the service has several. `timeout`: seconds. `retries`: how
        often a request is retried. `rng`: spreads the pauses. Raises `ConfigError` if `url` is not http(s).
        """
        self._transport = Transport(
            url, key=key, shop=shop, timeout=timeout, retries=retries, rng=rng, transport=transport
        )
        self._ask = self._transport.ask

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
        """A list for a user, or for a session (`history`) or a cart (`items`), which is not stored.

        `controls` are those of `crossaisle.Query`, with its defaults. `n` is at most 100, or 20 with
        `explain`; `offset` gets the next page.
        """
        request: dict[str, Any] = {
            "placement": placement,
            "user": user,
            "history": None if history is None else list(history),
            "items": list(items),
            **{name: _plain(value) for name, value in controls.items()},
        }
        found: RecommendedList = read(RecommendedList, self._ask("POST", "/api/recommend", body=request))
        return found

    def goes_with(
        self, item: str, *, user: str | None = None, **controls: Unpack[QueryControls]
    ) -> RecommendedList:
        """What complements an item; for several, use `recommend` with `items`."""
        return self.recommend(user, placement="goes_with", items=[item], **controls)

    def similar(
        self, item: str, *, user: str | None = None, **controls: Unpack[QueryControls]
    ) -> RecommendedList:
        """Substitutes for an item."""
        return self.recommend(user, placement="similar", items=[item], **controls)

    def trending(self, **controls: Unpack[QueryControls]) -> RecommendedList:
        """What is popular now, the same for everyone."""
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
        """A list that another system found, at most 1,000 items, the best first.

        For a user, a session (`history`), or the items `in_view`. Of `controls` all but `n`, `offset` and
        `include_items`; `in_stock`, `exclude_seen` and `one_per_title` are off unless given.
        """
        request: dict[str, Any] = {
            "items": list(items),
            "placement": placement,
            "user": user,
            "history": None if history is None else list(history),
            "in_view": list(in_view),
            **{name: _plain(value) for name, value in controls.items()},
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
        """Sends one event. Once this returns, it counts in the next list. Without a key it gets one."""
        one = {"user": user, "item": item, "kind": kind, "time": time, "key": key}
        body = _event({**one, "value": value, "quantity": quantity})
        found: Counted = read(Counted, self._ask("POST", "/api/events", body=body))
        return found

    def events(self, events: Iterable[Mapping[str, Any]], *, partial: bool = False) -> Counted:
        """Sends many events, in requests of 1,000 each; fields as in `event`.

        An invalid event fails its whole request with `ServiceError`, and nothing of it is stored. With
        `partial`, valid events are stored and invalid ones are described in the answer.
        """
        total = Counted(accepted=0, duplicates=0)
        for part in _parts(_event(one) for one in events):
            if partial:
                lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in part).encode()
                headers = {"content-type": "application/x-ndjson"}
                answer = self._ask("POST", "/api/events", content=lines, headers=headers)
            else:
                answer = self._ask("POST", "/api/events", body=part)
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

    # Items

    def items(
        self,
        words: str = "",
        *,
        category: str | None = None,
        sort: Literal["best", "price", "-price", "title"] = "best",
        min_price: float | None = None,
        max_price: float | None = None,
        in_stock: bool = False,
        adult: bool = False,
        n: int = 20,
        offset: int = 0,
    ) -> ProductPage:
        """Items by words of title, brand and category, or by id; plurals and small slips are understood."""
        query = {
            **{"q": words, "category": category, "sort": sort, "min_price": min_price},
            **{
                "max_price": max_price,
                "in_stock": in_stock or None,
                "adult": adult or None,
                "n": n,
                "offset": offset,
            },
        }
        found: ProductPage = read(ProductPage, self._ask("GET", "/api/items", query=query))
        return found

    def item(self, item: str) -> Product:
        """The current state of an item."""
        return self._product("GET", item, None)

    def put_item(self, item: str, **fields: Any) -> Product:
        """Creates or replaces an item: `title` or `image` (an address), and the other fields of an item."""
        return self._product("PUT", item, fields)

    def put_picture(self, item: str, picture: bytes | Path) -> Product:
        """Sets the picture of an item (JPEG, PNG or WebP), which may be new: a path, or the bytes."""
        content = picture if isinstance(picture, bytes) else picture.read_bytes()
        path, headers = f"/api/items/{_part(item)}/picture", {"content-type": _picture_type(content)}
        found: Product = read(Product, self._ask("PUT", path, content=content, headers=headers))
        return found

    def delete_picture(self, item: str) -> None:
        """Deletes a picture that was fetched or uploaded."""
        self._ask("DELETE", f"/api/items/{_part(item)}/picture")

    def patch_item(self, item: str, **fields: Any) -> Product:
        """Changes some fields; the others stay."""
        return self._product("PATCH", item, fields)

    def _product(self, method: str, item: str, body: dict[str, Any] | None) -> Product:
        found: Product = read(Product, self._ask(method, f"/api/items/{_part(item)}", body=body))
        return found

    def put_items(self, items: Iterable[Mapping[str, Any]]) -> int:
        """Sends many items, each with its `id`, in requests of 1,000; returns how many were stored."""
        answers = (self._ask("POST", "/api/items", body=part) for part in _parts(dict(one) for one in items))
        return sum(read(Taken, answer).accepted for answer in answers)

    def patch_items(self, items: Iterable[Mapping[str, Any]]) -> int:
        """Changes some fields of many items, each with its `id`, in requests of 1,000; returns how many."""
        answers = (self._ask("PATCH", "/api/items", body=part) for part in _parts(dict(one) for one in items))
        return sum(read(Taken, answer).accepted for answer in answers)

    def changes(self, n: int = 100, offset: int = 0) -> Differences:
        """Where the catalogue differs from that of the model in use."""
        query = {"n": n, "offset": offset}
        found: Differences = read(Differences, self._ask("GET", "/api/changes", query=query))
        return found

    def drop_changes(self, items: Iterable[str] | None = None) -> int:
        """Makes the model's catalogue count again for some items, or for all; returns for how many."""
        body = {"all": True} if items is None else {"items": list(items)}
        return int(read(Dropped, self._ask("POST", "/api/changes/drop", body=body)).dropped)

    def delete_item(self, item: str) -> None:
        """Removes an item from the shop."""
        self._ask("DELETE", f"/api/items/{_part(item)}")

    def categories(self) -> tuple[CategorySize, ...]:
        """All categories."""
        found: tuple[CategorySize, ...] = read(tuple[CategorySize, ...], self._ask("GET", "/api/categories"))
        return found

    def shop(self) -> Shop:
        """Name, currency, and what this key may do."""
        found: Shop = read(Shop, self._ask("GET", "/api/shop"))
        return found

    def totals(self, days: int = 30) -> Totals:
        """What recommendations led to, by day, placement and arm; needs a key with the scope admin."""
        found: Totals = read(Totals, self._ask("GET", "/api/console/totals", query={"days": days}))
        return found

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
        self._ask("PUT", f"/api/users/{_part(user)}", body=attributes)

    def delete_user(self, user: str) -> int:
        """Deletes everything about a user; returns the number of events deleted.

        Raises `ServiceError` with status 404 if nothing was known.
        """
        found: Forgotten = read(Forgotten, self._ask("POST", "/api/users/delete", body={"user": user}))
        return found.events_deleted

    # Experiments

    def start_experiment(
        self, name: str, arms: Sequence[Mapping[str, Any]], **more: Any
    ) -> ExperimentResults:
        """Starts an experiment; `more`: `kind`, `placement`, `goal`, `metric`, `window_hours`."""
        body = {"name": name, "arms": [dict(arm) for arm in arms], **more}
        found: ExperimentResults = read(ExperimentResults, self._ask("POST", "/api/experiments", body=body))
        return found

    def experiments(self) -> tuple[ExperimentResults, ...]:
        """All experiments with their results, latest first."""
        answer = self._ask("GET", "/api/experiments")
        found: tuple[ExperimentResults, ...] = read(tuple[ExperimentResults, ...], answer)
        return found

    def experiment(self, name: str) -> ExperimentResults:
        """An experiment and its results."""
        answer = self._ask("GET", f"/api/experiments/{_part(name)}")
        found: ExperimentResults = read(ExperimentResults, answer)
        return found

    def stop_experiment(self, name: str) -> ExperimentResults:
        """Ends an experiment."""
        answer = self._ask("POST", f"/api/experiments/{_part(name)}/stop")
        found: ExperimentResults = read(ExperimentResults, answer)
        return found

    def exposures(self, name: str) -> Iterator[NumberedList]:
        """The exposure log: what was shown, with probabilities."""
        after = 0
        while True:
            answer = self._ask("GET", f"/api/experiments/{_part(name)}/exposures", query={"after": after})
            found: tuple[NumberedList, ...] = read(tuple[NumberedList, ...], answer)
            if not found:
                return
            yield from found
            after = found[-1].seq

    # A merchandiser's rules

    def rules(self) -> RulesInForce:
        """A merchandiser's rules, and what each matches."""
        found: RulesInForce = read(RulesInForce, self._ask("GET", "/api/rules"))
        return found

    def put_rules(self, rules: Iterable[Mapping[str, Any]]) -> RulesInForce:
        """Replaces all rules; each has an `id`, an `action` and `items`. If one is refused, all stay."""
        body = {"rules": [dict(rule) for rule in rules]}
        found: RulesInForce = read(RulesInForce, self._ask("PUT", "/api/rules", body=body))
        return found

    def put_rule(self, rule: str, **fields: Any) -> StoredRule:
        """Creates or replaces a rule."""
        found: StoredRule = read(StoredRule, self._ask("PUT", f"/api/rules/{_part(rule)}", body=fields))
        return found

    def patch_rule(self, rule: str, **fields: Any) -> StoredRule:
        """Changes some fields of a rule; None takes one away."""
        found: StoredRule = read(StoredRule, self._ask("PATCH", f"/api/rules/{_part(rule)}", body=fields))
        return found

    def delete_rule(self, rule: str) -> None:
        """Deletes a rule."""
        self._ask("DELETE", f"/api/rules/{_part(rule)}")

    def reset_rules(self) -> RulesInForce:
        """Goes back to the rules that the model was saved with."""
        found: RulesInForce = read(RulesInForce, self._ask("DELETE", "/api/rules"))
        return found

    # State

    def models(self) -> Models:
        """The served model, the previous one, and those that can be activated."""
        found: Models = read(Models, self._ask("GET", "/api/models"))
        return found

    def activate(self, model: str) -> Models:
        """Switches to another saved model."""
        found: Models = read(Models, self._ask("POST", "/api/models/activate", body={"name": model}))
        return found

    def roll_back(self) -> Models:
        """Switches back to the previous model."""
        found: Models = read(Models, self._ask("POST", "/api/models/roll-back"))
        return found

    def audit(self) -> tuple[AuditLine, ...]:
        """Who deleted what and who switched models, latest first."""
        found: tuple[AuditLine, ...] = read(tuple[AuditLine, ...], self._ask("GET", "/api/audit"))
        return found

    def ready(self) -> Health:
        """Whether a model is loaded and warm."""
        found: Health = read(Health, self._ask("GET", "/api/health/ready"))
        return found

    # Life

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _plain(value: Any) -> Any:
    """A control as JSON: any mapping as a dictionary, any other collection as a list."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else value


def _part(text: str) -> str:
    """An id as part of a path. Dots alone would be taken for path segments."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


def _picture_type(content: bytes) -> str:
    if content.startswith(b"\x89PNG"):
        return "image/png"
    return "image/webp" if content[8:12] == b"WEBP" else "image/jpeg"


def _event(one: Mapping[str, Any]) -> dict[str, Any]:
    event = {name: value for name, value in one.items() if value is not None}
    event.setdefault("key", str(uuid.uuid4()))
    if isinstance(event.get("time"), datetime):
        event["time"] = event["time"].isoformat()
    return event


def _parts(events: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(events)
    while part := list(islice(rest, BATCH)):
        yield part
