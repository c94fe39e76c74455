"""Products, categories, the shop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossaisle.api_types.described import DESCRIBED


@dataclass(frozen=True, kw_only=True)
class CleanedField:
    """A value that was cleaned, as an import cleans those of a catalogue."""

    __pydantic_config__ = DESCRIBED
    item_id: str
    field: str
    steps: tuple[str, ...]
    """Rules of the import and steps of `[data.clean]`, such as `markup`, `control_characters`, `brands`;
    `blanks` where only extra blanks were removed."""
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Product:
    """The current state of an item."""

    __pydantic_config__ = DESCRIBED
    item_id: str
    title: str
    description: str
    brand: str
    category: str
    categories: tuple[tuple[str, ...], ...]
    price: float | None
    in_stock: bool
    attributes: dict[str, Any]
    new: bool
    """Whether it was added after the model was fitted."""
    group_id: str | None = None
    """Items of one group are one product in other sizes or colours: given, or found by `[data.clean]`."""
    available_from: float | None = None
    """Seconds since 1970: before, it is not for sale, and `in_stock` is false."""
    expires: float | None = None
    """Seconds since 1970: from then on it is not for sale any more."""
    image: str | None = None
    """Address of its picture, or the path here of one that was uploaded; null if it has none, or a file."""
    url: str | None = None
    """Address of its own page in the shop."""
    currency: str = ""
    """Of the price: a code such as EUR, or a sign; "" unknown."""
    notices: tuple[str, ...] = ()
    """Remarks: that nothing resembles the item, or that its picture is not used."""
    cleaned: tuple[CleanedField, ...] = ()
    """In the answer to `PUT` and `PATCH`: which of the values sent were not kept as they came."""


@dataclass(frozen=True, kw_only=True)
class ProductPage:
    """A page of search results."""

    __pydantic_config__ = DESCRIBED
    total: int
    items: tuple[Product, ...]
    read_as: str | None = None
    """The words that were searched for instead, if some were misspelt."""
    complete: bool = True
    """Whether the items have all words; if none does, those with most of them are returned."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """How many items were stored."""

    __pydantic_config__ = DESCRIBED
    accepted: int
    refused: int = 0
    """Invalid lines of NDJSON."""
    errors: tuple[str, ...] = ()
    """What is wrong with the first refused lines."""
    cleaned: int = 0
    """Values that were not kept as they came."""
    changes: tuple[CleanedField, ...] = ()
    """The first twenty of them."""
    notices: tuple[str, ...] = ()
    """What looks odd about them, such as a group that is unlikely to be one product."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An item that was changed since the model was fitted."""

    __pydantic_config__ = DESCRIBED
    item_id: str
    what: str
    """`changed`, `new` or `removed`."""
    fields: dict[str, dict[str, Any]]
    """Of a changed one: field -> `model` and `now`."""


@dataclass(frozen=True, kw_only=True)
class Differences:
    """A page of them, by id."""

    __pydantic_config__ = DESCRIBED
    total: int
    items: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """How many items were restored to what the model has."""

    dropped: int


@dataclass(frozen=True, kw_only=True)
class CategorySize:
    """A category and the number of its items."""

    name: str
    items: int


@dataclass(frozen=True, kw_only=True)
class Shop:
    """What a page needs to know about a shop."""

    __pydantic_config__ = DESCRIBED
    name: str
    currency: str
    items: int
    categories: bool
    """Whether items have categories, which `discover` and `goes_with` need."""
    examples: tuple[str, ...]
    """Users with a history, to try the page as; only for callers with every scope."""
    scopes: tuple[str, ...]
    """What the caller may do: read, write, admin."""
