"""`read`: the checked body of a request. Every route that takes JSON reads it here, and only here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

from crossaisle.errors import DataError, shorten
from crossaisle.serve.api.requests.strict_json import parse
from crossaisle.serve.limits.api import ApiLimits

T = TypeVar("T")
DESCRIBED = 20
"""At most this many broken rules of a request are reported."""
SHOWN = 64
"""At most this many characters of a name that was sent are repeated."""
JSON, PLAIN = "application/json", "text/plain"
OBJECT = ("model_type", "model_attributes_type", "dict_type", "mapping_type", "dataclass_type")
"""Pydantic's names of the rule that a value must be an object."""
LINES = ("application/x-ndjson", "application/jsonl", "application/ndjson")
"""JSON, one value per line."""
_LARGE = ThreadPoolExecutor(1, "large bodies")
# One at a time: ten at once would need ten times the memory, and none would be done sooner.


class InvalidError(DataError):
    """A body that breaks rules, each with its place."""

    def __init__(self, errors: Sequence[dict[str, str]]) -> None:
        self.errors = list(errors)
        where, rule = self.errors[0]["where"], self.errors[0]["rule"]
        super().__init__(f"{where}: {rule}" if where else rule)  # a line of NDJSON is named by who reads it


def described(errors: Sequence[Any], where: Sequence[object] = ()) -> list[dict[str, str]]:
    """The first errors of pydantic as a client may see them: place and rule, not what was sent."""
    return [
        {"where": ".".join(_cut(str(part)) for part in (*where, *e["loc"])), "rule": _rule(e)}
        for e in errors[:DESCRIBED]
    ]


def _rule(error: Mapping[str, Any]) -> str:
    """What a value must be, without the names of classes, which nobody outside knows."""
    rule: str = error["msg"]
    return "must be an object" if error.get("type") in OBJECT else rule


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


class Checked(Generic[T]):
    """Validates JSON as some type; `InvalidError` where it breaks a rule."""

    def __init__(self, kind: type[T]) -> None:
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    def __call__(self, value: object) -> T:
        return self.at(value, "body")

    def at(self, value: object, *where: object) -> T:
        """The same for a part of the body."""
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            raise InvalidError(described(found, where)) from None

    @property
    def schema(self) -> dict[str, Any]:
        """For the OpenAPI document."""
        return self._adapter.json_schema(ref_template="#/components/schemas/{model}")


class CheckedList(Generic[T]):
    """The same for a list: first its length, then its elements, up to the first errors."""

    def __init__(self, kind: type[T], what: str, most: int) -> None:
        self._one, self._what, self._most = Checked(kind), what, most

    def __call__(self, value: object) -> list[T]:
        out: list[T] = []
        wrong: list[dict[str, str]] = []
        for row, one in enumerate(listed(value, self._what, self._most)):
            try:
                out.append(self._one.at(one, "body", row))
            except InvalidError as error:
                wrong += error.errors
                if len(wrong) >= DESCRIBED:
                    break
        if wrong:
            raise InvalidError(wrong[:DESCRIBED])
        return out

    @property
    def schema(self) -> dict[str, Any]:
        """For the OpenAPI document."""
        one = self._one.schema
        found = {"type": "array", "items": one, "maxItems": self._most}
        return found | ({"$defs": one.pop("$defs")} if "$defs" in one else {})


def listed(value: object, what: str, most: int) -> list[Any]:
    """A list that is not too long; `DataError`."""
    if not isinstance(value, list):
        raise DataError(f"a batch must be a list of {what}", value=value)
    if len(value) > most:
        raise DataError(f"a batch holds at most {most:,} {what} (found {len(value):,})")
    return value


def takes(check: Checked[Any] | CheckedList[Any], kinds: Sequence[str] = (JSON,)) -> dict[str, Any]:
    """`openapi_extra` of a route that reads such a body."""
    content = {kind: {"schema": check.schema} for kind in kinds}
    return {"requestBody": {"required": True, "content": content}}


def kind_of(request: Request) -> str:
    """The type of a body, without parameters; "" where none is named."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


async def read(request: Request, make: Callable[[Any], T], kinds: Sequence[str] = (JSON,)) -> T:
    """The body, which is JSON, through `make`, which checks it. 415 where it is not sent as one of `kinds`.

    A page of another site may send any text or form without asking first, but nothing that is called JSON.
    """
    if (kind := kind_of(request)) not in kinds:
        raise HTTPException(415, f"a body must be sent as {' or '.join(kinds)} (found {shorten(kind)})")
    content, limits = await request.body(), limits_of(request)
    if len(content) <= limits.inline_bytes:
        return make(parse(content, limits))
    return await asyncio.get_running_loop().run_in_executor(_LARGE, lambda: make(parse(content, limits)))


def limits_of(request: Request) -> ApiLimits:
    """The limits of the application that answers a request."""
    limits: ApiLimits = request.app.state.limits
    return limits
