"""Events: one, a list, or a stream of lines."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any

from fastapi import Header, Path, Request
from fastapi.responses import Response
from pydantic import Field

from crossaisle.api_types import Counted, Forgotten
from crossaisle.errors import ConflictError, DataError, shorten
from crossaisle.serve.api.dependencies import service_of, who_asks
from crossaisle.serve.api.requests.request_body import (
    DESCRIBED,
    JSON,
    LINES,
    Checked,
    kind_of,
    limits_of,
    listed,
    read,
    takes,
)
from crossaisle.serve.api.requests.schemas import EVENT, LONGEST_ID, Body, Key, event_of
from crossaisle.serve.api.requests.strict_json import parse
from crossaisle.serve.api.responses import CONFLICT, answered, as_json
from crossaisle.serve.api.routing import Router
from crossaisle.serve.limits.api import ApiLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.events import known_otherwise
from crossaisle.serve.store.store import Event
from crossaisle.serve.workers.intake import Added

router = Router("/api", tags=["events"], scope="write")
LARGEST_BATCH = 10_000
LONGEST_HEADER = LONGEST_ID - 16
"""Characters of `Idempotency-Key`: with several events a slash and the number of each is added."""
NAMED = 3
"""Unknown kinds and items that an answer names."""
_EXAMPLE = {"user": "1609", "item": "1024306", "kind": "cart", "key": "order-7-line-1"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {"oneOf": [EVENT, {"type": "array", "items": EVENT, "maxItems": LARGEST_BATCH}]},
                "examples": {
                    "one": {"value": _EXAMPLE},
                    "batch": {"value": [_EXAMPLE, {"user": "1609", "item": "1007195"}]},
                },
            },
            "application/x-ndjson": {
                "schema": {"description": "One event per line; invalid lines are counted and described"},
                "example": '{"user":"1609","item":"1007195"}\n',
            },
        },
    }
}
_COUNTED = answered(Counted, {"accepted": 1, "duplicates": 0})
_HEADER = (
    "Key of the event, if it has none of its own. Each of several events gets KEY/row: "
    "its place from 0 in a list, its line from 1 in NDJSON"
)


@router.post("/events", openapi_extra=_BODY, responses=_COUNTED | CONFLICT)
async def add_events(
    request: Request,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=LONGEST_HEADER, description=_HEADER)
    ] = None,
) -> Response:
    """One event, a list of events, or a stream of lines (NDJSON).

    When this answers, the events are on disk and count in the next list. One or a list: all are kept, or
    none. A stream: valid lines are kept, and errors describe the others.
    """
    service = service_of(request)
    if kind_of(request) in LINES:
        stream = _Stream(service, idempotency_key, limits_of(request))
        return as_json(await stream.take(request.stream()))
    events = await read(request, _events(idempotency_key))
    added = await service.add_events(events)
    strange = Strange(service)
    strange.look(events)
    return as_json(_counted(added, strange))


class Keyed(Body):
    """Names an event whose key cannot be part of a path."""

    key: Annotated[Key, Field(examples=["order-7-line-1"])]


_KEYED = Checked(Keyed)
_GONE = answered(Forgotten, {"events_deleted": 1, "overwritten": True})


@router.delete("/events/{key}", responses=_GONE)
async def delete_event(
    request: Request, key: Annotated[str, Path(min_length=1, max_length=LONGEST_ID)]
) -> Response:
    """Deletes the event that was sent with this idempotency key, as if it had never been sent.

    A model that was fitted on it keeps it until it is fitted again.
    """
    return await _deleted(request, key)


@router.post("/events/delete", openapi_extra=takes(_KEYED), responses=_GONE)
async def delete_keyed(request: Request) -> Response:
    """The same for a key of any characters."""
    return await _deleted(request, (await read(request, _KEYED)).key)


async def _deleted(request: Request, key: str) -> Response:
    gone = await service_of(request).withdraw(key, who_asks(request))
    return as_json({"events_deleted": gone.events, "overwritten": gone.overwritten})


def _counted(added: Added, strange: Strange) -> dict[str, Any]:
    counted: dict[str, Any] = {n: count for n, count in added._asdict().items() if count or n != "forgotten"}
    return counted | ({"notices": notices} if (notices := strange.notices()) else {})


def _events(key: str | None) -> Callable[[Any], list[Event]]:
    def make(body: Any) -> list[Event]:
        if not isinstance(body, list):
            return [event_of(body, key=key)]
        batch = listed(body, "events", LARGEST_BATCH)
        return [event_of(one, row, _numbered(key, row)) for row, one in enumerate(batch)]

    return make


def _numbered(key: str | None, row: int) -> str | None:
    return None if key is None else f"{key}/{row}"


class Strange:
    """Events of kinds that nobody has named, and of items that the shop does not have; they are kept."""

    def __init__(self, service: ShopService) -> None:
        self._service = service
        self._kinds: Counter[str] = Counter()
        self._items: Counter[str] = Counter()

    def look(self, events: Sequence[Event]) -> None:
        """Counts what is strange, for `/metrics`, too."""
        dataset = self._service.shop.dataset
        meanings, counts = dataset.meanings, self._service.metrics.counts
        kinds = Counter(event.kind for event in events)
        strange = {kind: n for kind, n in kinds.items() if not meanings.meaning(kind).known}
        items = Counter(event.item for event in events if event.item not in dataset.item_ids)
        self._kinds.update(strange)
        self._items.update(items)
        if strange:
            counts["unknown_kind_events"] += sum(strange.values())
        if items:
            counts["unknown_item_events"] += items.total()

    def notices(self) -> list[str]:
        """What the sender should know."""
        out = []
        if self._kinds:
            named = ", ".join(shorten(kind) for kind, _ in self._kinds.most_common(NAMED))
            out.append(
                f"{self._kinds.total()} event(s) of unknown kinds ({named}): kept, but not counted "
                "until a fit names them in [data.kinds]"
            )
        if self._items:
            named = ", ".join(shorten(item) for item, _ in self._items.most_common(NAMED))
            out.append(
                f"{self._items.total()} event(s) of unknown items ({named}): kept, and counted once "
                "the item is added"
            )
        return out


class _Stream:
    """The lines of one request and their outcome."""

    def __init__(self, service: ShopService, key: str | None, limits: ApiLimits) -> None:
        self._service, self._key, self._limits = service, key, limits
        self._wrong: list[str] = []
        self._refused, self._total = 0, Added(0, 0, 0)
        self._strange = Strange(service)

    async def take(self, chunks: AsyncIterator[bytes]) -> dict[str, Any]:
        """Keeps valid lines; returns the answer."""
        waiting: list[tuple[int, Event]] = []
        together = self._limits.stream_commit_lines
        async for line, text in _lines(chunks, self._limits.stream_line_bytes):
            if line > self._limits.stream_lines and text != b"":
                await self._keep(waiting)
                raise self._too_many()
            if not line % together:
                await asyncio.sleep(0)  # invalid lines must not hold up everybody else
            try:
                if text is None:
                    raise DataError(f"a line must not exceed {self._limits.stream_line_bytes:,} bytes")
                if not text.strip():
                    continue
                hint, key = self._refused < DESCRIBED, _numbered(self._key, line)
                waiting.append((line, event_of(parse(text, self._limits), line, key, hint=hint)))
            except DataError as error:
                self._refuse(line, str(error))
            if len(waiting) >= together:
                await self._keep(waiting)
                waiting = []
        await self._keep(waiting)
        return {**_counted(self._total, self._strange), "refused": self._refused, "errors": self._wrong}

    def _too_many(self) -> DataError:
        return DataError(
            f"a stream holds at most {self._limits.stream_lines:,} lines: send several requests (of those "
            f"before, {self._total.accepted:,} were accepted and {self._refused:,} refused)"
        )

    def _refuse(self, line: int, error: str) -> None:
        self._refused += 1
        if len(self._wrong) < DESCRIBED:
            self._wrong.append(f"line {line}: {error}")

    async def _keep(self, lines: list[tuple[int, Event]]) -> None:
        """Keeps lines in one commit, without those whose keys are known with other events."""
        while lines:
            try:
                added = await self._service.add_events([event for _, event in lines])
            except ConflictError as error:
                for row in error.rows:
                    line, event = lines[row]
                    self._refuse(line, known_otherwise(event))
                lines = [one for row, one in enumerate(lines) if row not in error.rows]
            else:
                self._total = Added(*map(sum, zip(self._total, added, strict=True)))
                self._strange.look([event for _, event in lines])
                return


async def _lines(chunks: AsyncIterator[bytes], longest: int) -> AsyncIterator[tuple[int, bytes | None]]:
    """Number and text of each line; None for one of more than `longest` bytes, which is not buffered."""
    number, rest = 1, bytearray()
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        if len(rest) <= longest:
            rest += first
        for text in others:
            yield number, bytes(rest) if len(rest) <= longest else None
            number, rest = number + 1, bytearray(text)
    yield number, bytes(rest) if len(rest) <= longest else None
