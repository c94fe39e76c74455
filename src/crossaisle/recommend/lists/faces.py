"""`Faces`: what a list shows of an item, the same for every user."""

from __future__ import annotations

import numpy as np

from crossaisle.recommend.catalogue_view import CatalogueView
from crossaisle.recommend.wording.names import category_name

KEPT = 20_000
"""Items that are at hand: reading ten of them from the table takes as long as filling the list."""
Face = tuple[str, str, str, float | None]
"""Id, title, category and price of an item."""


class Faces:
    """Of one view of a catalogue, which never changes. For any thread."""

    def __init__(self, view: CatalogueView) -> None:
        self._view = view
        self._kept: dict[int, Face] = {}

    def of(self, row: int) -> Face:
        """Of an item row."""
        face = self._kept.get(row)
        if face is None:
            if len(self._kept) >= KEPT:
                self._kept = {}  # others may be reading the old one
            face = self._kept[row] = self._read(row)
        return face

    def _read(self, row: int) -> Face:
        dataset = self._view.dataset
        price = float(str(self._view.prices[row]))  # 4.89, where float() of a float32 is 4.889999866485596
        category = category_name(dataset, row)
        return dataset.item_ids.id(row), self._view.titles[row], category, None if np.isnan(price) else price
