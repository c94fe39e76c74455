"""Schemas of events and items sent to the service. All their rules are checked here."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from crossaisle.data.text.control import tidied
from crossaisle.data.text.ids import same_id
from crossaisle.data.text.query_text import hint_of
from crossaisle.errors import DataError, shorten
from crossaisle.serve.live.capacity import LARGEST_BODY
from crossaisle.serve.store.store import Event

LONGEST_ID = 256
LONGEST_TEXT = 10_000
LONGEST_VALUE = 1_000
"""Of an attribute."""
MOST_ATTRIBUTES = 100
UNKNOWN = 3
"""At most this many unknown fields of an object are described: finding the closest name takes time."""
FIELDS = ("user", "item", "kind", "time", "key", "value", "quantity")
AHEAD = 86_400.0
"""Seconds by which an event may lie in the future: clocks differ, but not by more."""
_STARTED = time.time() - time.monotonic()
NUMBER = {"type": ["number", "null"], "exclusiveMinimum": -1e15, "exclusiveMaximum": 1e15}

EVENT = {
    "type": "object",
    "required": ["user", "item"],
    "additionalProperties": False,
    "properties": {
        "user": {"type": "string", "minLength": 1, "maxLength": LONGEST_ID},
        "item": {"type": "string", "minLength": 1, "maxLength": LONGEST_ID},
        "kind": {"type": "string", "default": "view", "minLength": 1, "maxLength": 64},
        "time": {
            "description": "ISO 8601 (UTC if no zone is given) or seconds since 1970. Default: now",
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "number", "minimum": 0},
                {"type": "null"},
            ],
        },
        "key": {
            "type": ["string", "null"],
            "minLength": 1,
            "maxLength": LONGEST_ID,
            "description": "Idempotency key: an event whose key is already known is not counted again",
        },
        "value": NUMBER,
        "quantity": NUMBER,
    },
}
"""JSON schema of one event."""


def event_of(body: object, row: int | None = None, key: str | None = None, *, hint: bool = True) -> Event:
    """Checks an event; `DataError` names row, field and rule.

    `key`: used if the event has none. `hint`: whether the error may suggest the closest field name.
    """
    if not isinstance(body, Mapping):
        raise DataError("an event must be an object", row=row, value=body)
    for name in body:
        if name not in FIELDS:
            meant = hint_of(name, FIELDS) if hint else ""
            raise DataError(f"unknown field {shorten(name)}{meant}", row=row)
    kind = body.get("kind", "view")
    own = body.get("key")
    return Event(
        key if own is None else _text(own, "key", row),
        same_id(_text(body.get("user"), "user", row)),
        same_id(_text(body.get("item"), "item", row)),
        _text(kind, "kind", row, 64),
        _time(body.get("time"), row),
        _number(body.get("value"), "value", row),
        _number(body.get("quantity"), "quantity", row),
    )


def _text(value: object, name: str, row: int | None, longest: int = LONGEST_ID) -> str:
    if not isinstance(value, str) or not value or len(value) > longest or not _clean(value):
        rule = f"must be text of 1 to {longest} characters"
        raise DataError(rule, row=row, column=name, value=value)
    return value


def _clean(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def _number(value: object, name: str, row: int | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise DataError("must be a number", row=row, column=name, value=value)
    return float(value)


def _time(value: object, row: int | None) -> float:
    now = time.time()
    if value is None:
        return now
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            rule = "must be ISO 8601 or seconds since 1970"
            raise DataError(rule, row=row, column="time", value=value) from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError("must be ISO 8601 or seconds since 1970", row=row, column="time", value=value)
    # If the clock steps back while the service runs, correct times must not be refused.
    if not 0 <= value <= max(now, _STARTED + time.monotonic()) + AHEAD:
        rule = "must lie between 1970 and one day from now"
        raise DataError(rule, row=row, column="time", value=value)
    return float(value)


def at_most(most: int) -> BeforeValidator:
    """Refuses an object with more entries before checking any of them."""

    def check(value: Any) -> Any:
        if isinstance(value, dict) and len(value) > most:
            raise PydanticCustomError("too_long", f"holds at most {most:,} entries (found {len(value):,})")
        return value

    return BeforeValidator(check)


def _seen(text: str) -> str:
    if not tidied(text):
        raise PydanticCustomError("string_too_short", "must contain visible characters")
    return text


Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID), AfterValidator(same_id)]
Key = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
"""An idempotency key: whatever the sender chose, compared character by character and tidied nowhere."""
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
"""Of an item: tidied with everything else that an import does to texts (`arriving.cleaned`)."""
Title = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_seen)]
Price = Annotated[float, Field(ge=0, lt=1e12, allow_inf_nan=False)]
Moment = Annotated[float, Field(ge=0, lt=1e11, allow_inf_nan=False)]
Address = Annotated[str, Field(min_length=1, max_length=2000, pattern="^https?://")]
Level = Annotated[str, Field(min_length=1, max_length=200)]
Category = Annotated[list[Annotated[Level, AfterValidator(_seen)]], Field(min_length=1, max_length=12)]
Value = (
    Annotated[str, Field(max_length=LONGEST_VALUE)]
    | Annotated[float, Field(allow_inf_nan=False)]
    | bool
    | None
)


def _tidy(attributes: dict[str, Any]) -> dict[str, Any]:
    return {tidied(n): tidied(v) if isinstance(v, str) else v for n, v in attributes.items()}


def _named(attributes: dict[str, Any]) -> dict[str, Any]:
    return {tidied(name): value for name, value in attributes.items()}


_Attributes = Annotated[
    dict[Annotated[str, Field(max_length=100)], Value],
    Field(max_length=MOST_ATTRIBUTES),
    at_most(MOST_ATTRIBUTES),
]
Attributes = Annotated[_Attributes, AfterValidator(_tidy)]
"""Attributes of a user."""


class Body(BaseModel):
    """Known fields and no others, with values of the right types."""

    model_config = ConfigDict(extra="forbid", strict=True)
    called: ClassVar[str] = "field"
    """What messages call a field."""

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_fields(cls, value: Any) -> Any:
        """Says which name was meant; describes only the first few of a million unknown fields."""
        if not isinstance(value, dict) or value.keys() <= cls.model_fields.keys():
            return value
        unknown = (name for name in value if name not in cls.model_fields)
        errors = [
            InitErrorDetails(
                type=PydanticCustomError(
                    "extra_forbidden", "unknown {called}{hint}", {"called": cls.called, "hint": hint}
                ),
                loc=(name,),
                input=None,
            )
            for name in islice(unknown, UNKNOWN)
            for hint in [hint_of(name, cls.model_fields)]
        ]
        raise ValidationError.from_exception_data(cls.__name__, errors)


def _no_default(schema: dict[str, Any]) -> None:
    del schema["default"]


class ItemPatch(Body):
    """Fields of an item to change; the others stay."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"price": 2.49, "in_stock": False}]})
    title: Text | None = None
    description: Text | None = None
    brand: Text | None = None
    categories: Annotated[list[Category], Field(max_length=20)] | None = None
    """Paths, each a list of names, root first; the first path is the primary one."""
    group_id: Annotated[str, Field(max_length=LONGEST_ID)] | None = None
    """Items of one group are one product in other sizes or colours; null: title and brand tell."""
    price: Price | None = None
    in_stock: bool = Field(default=True, json_schema_extra=_no_default)
    """Not null: an item is in stock or is not. Not sent, it stays: the schema tells no default."""
    available_from: Moment | None = None
    """Seconds since 1970: before, it is not for sale."""
    expires: Moment | None = None
    """Seconds since 1970: from then on it is not for sale any more."""
    attributes: Annotated[_Attributes, AfterValidator(_named)] | None = None
    image: Address | None = None
    """Address of its picture: http(s), on a host allowed by `--image-hosts`."""
    url: Address | None = None
    """Address of its own page in the shop."""


class Item(ItemPatch):
    """A whole item. It needs a title or an image."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": ["title"]}, {"required": ["image"]}],
            "examples": [
                {
                    "title": "Oat milk barista",
                    "brand": "Meadow",
                    "categories": [["Dairy", "Milk"]],
                    "price": 2.99,
                },
                {"image": "https://img.example.com/oat-milk.jpg", "categories": [["Dairy", "Milk"]]},
            ],
        },
    )
    title: Title | None = None
    in_stock: bool = True

    @model_validator(mode="after")
    def _has_title_or_picture(self) -> Item:
        if self.title is None and self.image is None:
            raise PydanticCustomError("missing", "give a title or an image")
        return self


class ItemOfBatch(Item):
    """An item with its id, as part of a batch."""

    id: Id


class PatchOfBatch(ItemPatch):
    """Fields of an item to change, with its id, as part of a batch."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "1024306", "price": 2.49}]})
    id: Id


def item_body(item: ItemPatch, row: int | None = None) -> dict[str, Any]:
    """The fields of an item to store: those that were sent, or all of a whole item, so that nothing of an
    older state remains; its categories and its group are those of the model if none are sent.
    """
    if not isinstance(item, Item):
        return sized(item.model_dump(exclude_unset=True, exclude={"id"}), row)
    left = {"id"} if "group_id" in item.model_fields_set else {"id", "group_id"}
    body = item.model_dump(exclude=left)
    return sized(
        {name: value for name, value in body.items() if name != "categories" or value is not None}, row
    )


def sized(body: dict[str, Any], row: int | None = None) -> dict[str, Any]:
    """The body, if it is not too long in the JSON of an answer; else `DataError`."""
    size = len(orjson.dumps(body))
    if size > LARGEST_BODY:
        raise DataError(f"must not exceed {LARGEST_BODY:,} bytes as JSON (found {size:,})", row=row)
    return body
