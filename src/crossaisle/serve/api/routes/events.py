"""Events: one, a list, or a stream of lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import Header, Request
from fastapi.responses import Response

from crossaisle.api_types import Counted
from crossaisle.errors import ConflictError, DataError
from crossaisle.serve.api.dependencies import service_of
from crossaisle.serve.api.requests.request_body import DESCRIBED, JSON, kind_of, limits_of, listed, read
from crossaisle.serve.api.requests.schemas import EVENT, LONGEST_ID, event_of
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
LINES = ("application/x-ndjson", "application/jsonl", "application/ndjson")
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
    "Key of the event, if it has none of its own. Of several events each gets KEY/row: of a list its place, "
    "from 0; of NDJSON its line, from 1"
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
    return as_json(_counted(await service.add_events(events)))


def _counted(added: Added) -> dict[str, int]:
    return {name: n for name, n in added._asdict().items() if n or name != "forgotten"}


def _events(key: str | None) -> Callable[[Any], list[Event]]:
    def make(body: Any) -> list[Event]:
        if not isinstance(body, list):
            return [event_of(body, key=key)]
        batch = listed(body, "events", LARGEST_BATCH)
        return [event_of(one, row, _numbered(key, row)) for row, one in enumerate(batch)]

    return make


def _numbered(key: str | None, row: int) -> str | None:
    return None if key is None else f"{key}/{row}"


class _Stream:
    """The lines of one request and their outcome."""

    def __init__(self, service: ShopService, key: str | None, limits: ApiLimits) -> None:
        self._service, self._key, self._limits = service, key, limits
        self._wrong: list[str] = []
        self._refused, self._total = 0, Added(0, 0, 0)

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
        return {**_counted(self._total), "refused": self._refused, "errors": self._wrong}

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
