"""`CatalogueCalls`: items, pictures, categories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from crossaisle.api_types import (
    CategorySize,
    Differences,
    Dropped,
    Product,
    ProductPage,
    Shop,
    Taken,
    read,
)
from crossaisle.client.calls import Calls, batches, path_part, picture_type


class CatalogueCalls(Calls):
    """Calls that read and change a shop's catalogue."""

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
        """Searches items by words in title, brand and category, or by id; plurals and small typos are
        understood."""
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
        """Sets the picture (JPEG, PNG or WebP) of an existing or new item: a path, or the bytes."""
        content = picture if isinstance(picture, bytes) else picture.read_bytes()
        path, headers = f"/api/items/{path_part(item)}/picture", {"content-type": picture_type(content)}
        found: Product = read(Product, self._ask("PUT", path, content=content, headers=headers))
        return found

    def delete_picture(self, item: str) -> None:
        """Deletes a picture that was fetched or uploaded."""
        self._ask("DELETE", f"/api/items/{path_part(item)}/picture")

    def patch_item(self, item: str, **fields: Any) -> Product:
        """Changes some fields of an item; the others keep their values."""
        return self._product("PATCH", item, fields)

    def _product(self, method: str, item: str, body: dict[str, Any] | None) -> Product:
        found: Product = read(Product, self._ask(method, f"/api/items/{path_part(item)}", body=body))
        return found

    def put_items(self, items: Iterable[Mapping[str, Any]]) -> int:
        """Sends many items, each with its `id`, in requests of 1,000; returns how many were stored."""
        answers = (
            self._ask("POST", "/api/items", body=batch) for batch in batches(dict(one) for one in items)
        )
        return sum(read(Taken, answer).accepted for answer in answers)

    def patch_items(self, items: Iterable[Mapping[str, Any]]) -> int:
        """Changes some fields of many items, each with its `id`, in requests of 1,000; returns how many."""
        answers = (
            self._ask("PATCH", "/api/items", body=batch) for batch in batches(dict(one) for one in items)
        )
        return sum(read(Taken, answer).accepted for answer in answers)

    def changes(self, n: int = 100, offset: int = 0) -> Differences:
        """Where the catalogue differs from that of the model in use, ordered by item id."""
        query = {"n": n, "offset": offset}
        found: Differences = read(Differences, self._ask("GET", "/api/changes", query=query))
        return found

    def drop_changes(self, items: Iterable[str] | None = None) -> int:
        """Resets some items, or all, to the model's catalogue; returns how many."""
        body = {"all": True} if items is None else {"items": list(items)}
        return int(read(Dropped, self._ask("POST", "/api/changes/drop", body=body)).dropped)

    def delete_item(self, item: str) -> None:
        """Removes an item from the shop."""
        self._ask("DELETE", f"/api/items/{path_part(item)}")

    def categories(self) -> tuple[CategorySize, ...]:
        """All categories, with their number of items."""
        found: tuple[CategorySize, ...] = read(tuple[CategorySize, ...], self._ask("GET", "/api/categories"))
        return found

    def shop(self) -> Shop:
        """The shop's name and currency, and what this key is allowed to do."""
        found: Shop = read(Shop, self._ask("GET", "/api/shop"))
        return found
