"""Products, categories, the shop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossaisle.api_types.described import DESCRIBED


@dataclass(frozen=True, kw_only=True)
class CleanedField:
    """A value that was not stored as sent, because it was cleaned as an import would clean it."""

    __pydantic_config__ = DESCRIBED
    item_id: str
    field: str
    steps: tuple[str, ...]
    """Rules of the import and steps of `[data.clean]` that changed it, such as `markup`,
    `control_characters`, `brands`; `blanks` if only superfluous white space was removed."""
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
    """Shared by the sizes and colours of one product: given, or found by `[data.clean]`."""
    available_from: float | None = None
    """Seconds since 1970; before this time the item is not for sale, and `in_stock` is false."""
    expires: float | None = None
    """Seconds since 1970; from this time on the item is no longer for sale."""
    image: str | None = None
    """URL of its picture, or its path on this service if it was uploaded; null if it has none, or only a
    file."""
    url: str | None = None
    """URL of its product page in the shop."""
    currency: str = ""
    """Currency of the price: a code such as EUR, or a sign; "" if unknown."""
    notices: tuple[str, ...] = ()
    """Remarks: for example that nothing resembles the item, or that its picture is not used."""
    cleaned: tuple[CleanedField, ...] = ()
    """In responses to `PUT` and `PATCH`: the values that were not stored as sent."""


@dataclass(frozen=True, kw_only=True)
class ProductPage:
    """A page of search results."""

    __pydantic_config__ = DESCRIBED
    total: int
    items: tuple[Product, ...]
    read_as: str | None = None
    """The corrected query, if words were misspelt."""
    complete: bool = True
    """Whether the items match all words; if no item does, those that match most are returned."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """How many items were stored."""

    __pydantic_config__ = DESCRIBED
    accepted: int
    refused: int = 0
    """Number of invalid lines of NDJSON."""
    errors: tuple[str, ...] = ()
    """What is wrong with the first refused lines."""
    cleaned: int = 0
    """Number of values that were not stored as sent."""
    changes: tuple[CleanedField, ...] = ()
    """The first twenty of these values."""
    notices: tuple[str, ...] = ()
    """Anything odd about the items, such as a group whose items are hardly one product."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An item for which the service has stored changes that the model does not know."""

    __pydantic_config__ = DESCRIBED
    item_id: str
    what: str
    """`changed`, `new` or `removed`."""
    fields: dict[str, dict[str, Any]]
    """For a changed item: field -> its values in the `model` and `now`."""


@dataclass(frozen=True, kw_only=True)
class Differences:
    """A page of differences, ordered by item id."""

    __pydantic_config__ = DESCRIBED
    total: int
    items: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """The number of items reset to their state in the model."""

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
    """Whether items have categories, which `discover` and `goes_with` require."""
    examples: tuple[str, ...]
    """Some users with a history, to try lists for; only for callers with all scopes."""
    scopes: tuple[str, ...]
    """What the caller is allowed to do: read, write, admin."""
