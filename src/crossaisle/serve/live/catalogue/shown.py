"""`ShownFields`: what a page shows of items besides title and price."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from crossaisle.data.dataset import Dataset
from crossaisle.serve.live.catalogue.picture_files import FOLDER, PictureFiles, version_of
from crossaisle.serve.store.records import Picture

DIGITS = 16
"""Of a picture's digest, in its address."""
KEPT = 20_000
"""Items whose fields are at hand: reading them from the table takes as long as making a list."""


LOOK_AGAIN = 5.0
"""Seconds until the file of a picture is looked at again: it may have been replaced."""


class Shown(NamedTuple):
    brand: str = ""
    image: str | None = None
    """Address of its picture on the web, or the path here of one that was uploaded, or is a file."""
    url: str | None = None
    """Address of its own page."""
    currency: str = ""
    """Of its price: its own where the shop has several, else the shop's."""


class ShownFields:
    """Of one catalogue. Used by one thread."""

    def __init__(
        self,
        dataset: Dataset,
        pictures: Mapping[str, Picture],
        model: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`pictures`: that the store keeps, by item. `model`: folder of the model, beside which a folder
        `pictures` may lie.
        """
        self._clock = clock
        self._looked: dict[str, float] = {}  # when the file of an item's picture was looked at
        self._dataset, self._pictures = dataset, pictures
        self._files = None if model is None else PictureFiles(model.resolve().parent / FOLDER)
        self._kept: dict[str, Shown] = {}
        items = dataset.items
        self._columns = [items[name] for name in ("brand", "image", "url")]
        self._own = items["currency"] if "currency" in items.columns else None
        self._usual = dataset.currency

    def of(self, items: Sequence[str]) -> list[Shown]:
        """Fields of items; empty ones for an item that was deleted meanwhile."""
        kept = self._kept
        now = self._clock() if self._looked else 0.0
        if missing := [
            item for item in items if item not in kept or self._looked.get(item, now) < now - LOOK_AGAIN
        ]:
            if len(kept) + len(missing) > KEPT:
                kept.clear()
                self._looked.clear()
                missing = list(items)
            rows = self._dataset.item_ids.rows(missing)
            for item, row in zip(missing, rows.tolist(), strict=True):
                brand, image, url = (column[max(row, 0)] for column in self._columns)
                price_in = (None if self._own is None else self._own[max(row, 0)]) or self._usual
                shown = Shown(brand, self._image(item, image), web_address(url), price_in)
                kept[item] = Shown() if row < 0 else shown
        return [kept[item] for item in items]

    def file(self, item: str) -> Path | None:
        """The file of an item's picture beside the model; None where there is none. Reads the disk."""
        row = self._dataset.item_ids.get(item)
        image = None if row < 0 else self._columns[1][row]
        return None if self._files is None or not image else self._files.of(image)

    def version(self, item: str) -> str:
        """Another one whenever the picture kept here changes; "" where there is none. Reads the disk."""
        picture = self._pictures.get(item)
        if picture is not None:
            return picture.digest.hex()[:DIGITS]
        file = self.file(item)
        return "" if file is None else version_of(file)

    def _image(self, item: str, image: str | None) -> str | None:
        picture = self._pictures.get(item)
        if picture is None or picture.address:
            file = self._files.of(image) if image and self._files is not None else None
            if image and self._files is not None and "://" not in image:
                self._looked[item] = self._clock()
            if file is None:
                return web_address(image)
            version = version_of(file)
        else:
            version = picture.digest.hex()[:DIGITS]
        # A browser may keep the picture of a version, and asks for another one as soon as there is one.
        return f"/api/items/{quote(item, safe='')}/picture?v={version}"


def web_address(text: str | None) -> str | None:
    """An address on the web; None for a file."""
    return text if (text or "").startswith(("http://", "https://")) else None
