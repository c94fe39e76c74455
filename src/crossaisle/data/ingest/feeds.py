"""Columns of Google's product feed, so that a feed can be used as a catalogue without further settings."""

from __future__ import annotations

from collections.abc import Iterable

FEED: dict[str, tuple[str, ...]] = {
    "item_id": ("id",),
    "title": ("title",),
    "description": ("description",),
    "categories": ("product_type", "google_product_category"),
    "brand": ("brand",),
    "group_id": ("item_group_id",),
    "price": ("price",),
    "image": ("image_link",),
    "url": ("link",),
    "in_stock": ("availability",),
    "available_from": ("availability_date",),
    "expires": ("expiration_date",),
}
"""Canonical column -> its names in a feed, of which the first present one is used."""
ATTRIBUTES = ("color", "colour", "size", "material", "pattern", "gender", "age_group")


def feed_columns(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Canonical column -> columns of a product feed; {} if the table is not one.

    A feed has id, title and price, and link or availability; spaces and `_` are equivalent.
    """
    called = {name.lower().replace(" ", "_"): name for name in names}
    if not {"id", "title", "price"} <= set(called) or not {"link", "availability"} & set(called):
        return {}
    found = {
        column: (called[there],)
        for column, known in FEED.items()
        if (there := next((name for name in known if name in called), None)) is not None
    }
    attributes = tuple(called[name] for name in ATTRIBUTES if name in called)
    return found | ({"attributes": attributes} if attributes else {})
