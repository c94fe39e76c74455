"""`BrowsedCatalogue`: products and categories as visitors of a shop look through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossaisle.recommend.catalogue_view import CatalogueView
from crossaisle.recommend.merchandising.compiled import Merchandising
from crossaisle.recommend.rerank.filters import rows_mask
from crossaisle.serve.live.catalogue.search import Found, KeptIndex, Sort, order_of


@dataclass(frozen=True, kw_only=True)
class Browse:
    """A look at the catalogue."""

    words: str = ""
    category: str | None = None
    sort: Sort = "best"
    min_price: float | None = None
    max_price: float | None = None
    in_stock: bool = False
    adult: bool = False
    """Whether to show what rules keep for adults."""
    n: int = 20
    offset: int = 0


@dataclass(frozen=True)
class Browsed:
    """A page of what is there."""

    rows: list[int]
    total: int
    read_as: str | None
    complete: bool
    """See `Found`."""


class BrowsedCatalogue:
    """A catalogue at one moment."""

    def __init__(
        self, view: CatalogueView, merchandising: Merchandising, before: BrowsedCatalogue | None = None
    ) -> None:
        """`merchandising`: its rules for adults hold here, too; what is never recommended is for sale anyway.
        `before`: the catalogue before the last change; its index is kept where texts are the same.
        """
        self.view, self._merchandising = view, merchandising
        self.index: KeptIndex = KeptIndex() if before is None else before.index

    def browse(self, asked: Browse) -> Browsed:
        """Listed items that fit, the best first. Slow at the first search: not in the event loop."""
        view, prices = self.view, self.view.prices
        fits = view.listed.copy()
        if asked.category:
            fits &= rows_mask(view.dataset.taxonomy.find(asked.category), len(fits))
        restricted = None if asked.adult else self._merchandising.for_adults(everywhere=True)
        if restricted is not None:
            fits &= ~restricted
        if asked.in_stock:
            fits &= view.in_stock
        if asked.min_price is not None:
            fits &= prices >= asked.min_price
        if asked.max_price is not None:
            fits &= prices <= asked.max_price
        found = self.index.of(view).find(asked.words, fits) if asked.words.strip() else Found.all_of(fits)
        rows = order_of(found.scores, view, asked.sort)
        page = rows[asked.offset : asked.offset + asked.n].tolist()
        return Browsed(page, len(rows), found.read_as, found.complete)

    def price_of(self, item: str) -> float | None:
        """What an item costs now; None where that is unknown."""
        row = self.view.dataset.item_ids.get(item)
        price = float(self.view.prices[row]) if row >= 0 else float("nan")
        return None if price != price else price

    def category_sizes(self, *, whole: bool = False) -> dict[str, int]:
        """Categories with listed items, and how many: of the shop's level, or of the `whole` tree."""
        taxonomy, sizes = self.view.dataset.taxonomy, dict[str, int]()
        for depth in range(taxonomy.depth) if whole else (None,):
            codes, names = taxonomy.codes(depth), taxonomy.names(depth)
            counts = np.bincount(codes[(codes >= 0) & self.view.listed], minlength=len(names))
            # Where paths are shorter, names of the depth above come again.
            sizes = {name: int(n) for name, n in zip(names, counts, strict=True) if n} | sizes
        return sizes
