"""What the pages of a shop may send for one visitor: little, short, and of one visitor only."""

from __future__ import annotations

import hashlib
import time
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from crossaisle.data.query import Placement, Query
from crossaisle.errors import ConfigError
from crossaisle.serve.api.requests.list_schemas import EXPLAINED
from crossaisle.serve.api.requests.schemas import Body, Id
from crossaisle.serve.store.records import Event

MOST_EVENTS = 50
_EXAMPLE = "v-0123456789abcdef0123456789abcdef"


class Visitor(Body):
    """Who is asked for."""

    visitor: Annotated[Id, Field(description="A random id (v- and 32 hex digits) or a signed one")]
    signature: Annotated[
        str | None,
        Field(
            max_length=80,
            description="EXPIRES.HEX: seconds since 1970, and the HMAC-SHA256 of EXPIRES.VISITOR with the "
            "secret of the key. Required if the key was made with --sign",
        ),
    ] = None


class VisitorListRequest(Visitor):
    """A row of recommendations for one visitor."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"visitor": _EXAMPLE, "placement": "goes_with", "items": ["834103"], "n": 6}]
        }
    )
    placement: Placement = "for_you"
    items: Annotated[list[Id], Field(max_length=100, default_factory=list)]
    """The item in view or the cart, for `goes_with` and `similar`."""
    n: Annotated[int, Field(ge=1, le=24)] = 6
    why: bool = False
    """Whether to say in a sentence why each item is there."""
    habits: bool = True
    """In `goes_with`, whether what the visitor bought before counts beside what is in view."""

    def query(self) -> Query:
        """`ConfigError` where fields contradict each other."""
        if self.why and self.n > EXPLAINED:
            raise ConfigError(f"n must be at most {EXPLAINED} with why (found {self.n})")
        items = tuple(self.items)
        return Query(
            placement=self.placement,
            user=self.visitor,
            items=items,
            n=self.n,
            explain=self.why,
            habits=self.habits,
        )


class VisitorEvent(Body):
    """Something that the visitor just did. It has no time of its own: it counts at the time it arrives."""

    item: Id
    kind: Literal["view", "cart", "purchase"] = "view"
    key: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    """Known again only among the events of this visitor; with it, an event that is sent twice counts once."""
    placement: Placement | None = None
    """Of the row in which the item was clicked."""
    quantity: Annotated[float | None, Field(gt=0, le=1000)] = None
    value: Annotated[float | None, Field(ge=0, le=1e6)] = None
    """Price of one, in the shop's currency."""


class VisitorEvents(Visitor):
    """What one visitor did, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"visitor": _EXAMPLE, "events": [{"item": "1024306", "placement": "goes_with"}]}]
        }
    )
    events: Annotated[list[VisitorEvent], Field(min_length=1, max_length=MOST_EVENTS)]

    def stored(self) -> list[Event]:
        """The events as the store keeps them."""
        now = time.time()
        return [
            Event(self._key(one), self.visitor, one.item, one.kind, now, one.value, one.quantity)
            for one in self.events
        ]

    def _key(self, event: VisitorEvent) -> str | None:
        """A key of this visitor's own: nobody finds out by trying which keys others have used."""
        if event.key is None:
            return None
        digest = hashlib.sha256(f"{self.visitor}\n{event.key}".encode()).hexdigest()
        return f"visitor/{digest}"
