"""`CatalogueView`: what lists read of a catalogue, one value per item row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.data.windows import Windows
from crossaisle.recommend.catalogue_order import in_turn
from crossaisle.recommend.rerank.filters import Mask
from crossaisle.recommend.rerank.groups import Groups

KINDS = 0.5
"""Where more of the items than this share their title with another, titles name kinds of products: of forty
yogurts, each is like the others."""
BRANDS = 0.1
"""The same of groups of which more than this share hold several brands."""
SUBSTITUTES = 20
"""A category of so many products has substitutes enough: socks of its brand are not similar to a wallet."""
NEIGHBOURS = 100
"""Up to so many products, what surrounds a small category holds what would do instead: the clothes of a small
shop, but not the groceries of a supermarket."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CatalogueView:
    """A catalogue at one moment. Never changed: a change of the catalogue makes another view."""

    dataset: Dataset
    prices: Floats
    """float32 (n_items,): NaN where unknown."""
    in_stock: Mask
    """bool (n_items,): whether it can be bought, with `windows` whatever the moment; see `on_sale`."""
    listed: Mask
    """bool (n_items,): False for items taken out of the shop."""
    popularity: Floats
    """float (n_items,): decides between equal scores; -1 where unknown."""
    codes: Rows
    """int32 (n_items,): category at the shop's level, -1 unknown."""
    same_title: Groups
    """Items of one product: of one group, or of the same title and brand, whatever their size."""
    same_brand: Groups
    """Items of the same brand."""
    foreign: Mask | None = None
    """bool (n_items,): items priced in another currency than most; None where all are in one."""
    windows: Windows | None = None
    """When items are for sale, where that is to follow the clock; None where `in_stock` says it all."""

    def on_sale(self, rows: Rows | slice = slice(None)) -> Mask:
        """bool: whether some items can be bought at this moment."""
        stock: Mask = self.in_stock[rows]
        return stock if self.windows is None else stock & self.windows.open(rows)

    @classmethod
    def of(cls, dataset: Dataset, popularity: Floats) -> CatalogueView:
        """The catalogue of a data set, all of whose items are listed."""
        return cls(
            dataset=dataset,
            prices=dataset.items["price"].cast(float).to_numpy().astype(np.float32),
            in_stock=dataset.items["in_stock"].fill_null(True).to_numpy().astype(bool),
            listed=np.ones(dataset.n_items, bool),
            popularity=popularity,
            codes=dataset.taxonomy.codes(),
            same_title=Groups.of_items(dataset.items),
            same_brand=Groups.of(dataset.items["brand"]),
            foreign=foreign_prices(dataset.items),
        )

    @cached_property
    def titles(self) -> pl.Series:
        """One title per item, "" where unknown."""
        return self.dataset.items["title"]

    @cached_property
    def lower_titles(self) -> pl.Series:
        """Titles in lower case, for searching."""
        return self.titles.str.to_lowercase()

    @cached_property
    def unsold(self) -> bool:
        """Whether nothing has been bought yet."""
        return not (self.popularity > 0).any()

    @cached_property
    def same_make(self) -> Groups:
        """Items of one brand and category."""
        keys, codes = self.same_brand.keys, self.codes.astype(np.uint64)
        return Groups(np.where((keys > 0) & (self.codes >= 0), keys ^ (codes << np.uint64(40)), 0))

    @cached_property
    def one_product(self) -> Mask:
        """bool (n_items,): items that are one product with those of their group in `same_title`.

        Not where a group is a kind of product: in a shop whose groups hold several brands, and of items
        without a group where most share their title.
        """
        items = self.dataset.items
        if "group" not in items.columns:
            items = items.with_columns(group=pl.lit(""))
        grouped = (items["group"].fill_null("") != "").to_numpy()
        named = self.same_title.shared(~grouped) < KINDS
        one: Mask = np.where(grouped, _of_one_brand(items), named)
        return one

    @cached_property
    def n_categories(self) -> int:
        """How many categories the shop has."""
        return int(self.codes.max(initial=-1)) + 1

    @cached_property
    def families_of_category(self) -> npt.NDArray[np.int64]:
        """int64 (n_categories,): how many products each category has, sizes of one counted once."""
        return self._families_of(self.codes)

    def _families_of(self, codes: Rows) -> npt.NDArray[np.int64]:
        """int64 (largest code + 1,): how many products each code has, sizes of one counted once."""
        keys, alone = self.same_title.keys, np.arange(1, len(codes) + 1, dtype=np.uint64)
        pairs = np.where(keys > 0, keys, alone) ^ (codes.astype(np.uint64) << np.uint64(40))
        found = codes[np.unique(pairs, return_index=True)[1]]
        return np.bincount(found[found >= 0], minlength=int(codes.max(initial=-1)) + 1)

    def neighbours(self, beside: Rows, rows: Rows | slice) -> Mask:
        """bool (n,): which of some item rows are near one of the items `beside`, or have no category.

        Near is what is of its category, or, of a category with fewer than `SUBSTITUTES` products, of the one
        around it, where that has `NEIGHBOURS` products at most.
        """
        near = self.codes[rows] < 0
        depths = self._depths[beside]
        for depth in np.unique(depths).tolist():  # not item by item: a cart may hold a hundred
            codes = self.dataset.taxonomy.codes(depth)
            theirs = np.zeros(int(codes.max(initial=-1)) + 2, bool)
            theirs[codes[beside[depths == depth]]] = True  # code -1 is the last
            near |= theirs[codes[rows]]
        return near

    @cached_property
    def _depths(self) -> npt.NDArray[np.int64]:
        """int64 (n_items,): the level of the category whose products are an item's neighbours."""
        taxonomy = self.dataset.taxonomy
        depths = np.full(len(self.codes), taxonomy.level)
        for depth in range(taxonomy.level - 1, -1, -1):
            inner, around = taxonomy.codes(depth + 1), taxonomy.codes(depth)
            few = (self._families_of(inner) < SUBSTITUTES)[inner]
            small = (self._families_of(around) <= NEIGHBOURS)[around]
            depths[(depths == depth + 1) & few & small] = depth
        return depths

    @cached_property
    def by_popularity(self) -> Rows:
        """int32 (n_items,): all rows, popular ones first; before the first event, a category in turn."""
        if self.unsold:
            return in_turn(self.codes)
        return np.argsort(-self.popularity, kind="stable").astype(np.int32)


def foreign_prices(items: pl.DataFrame) -> Mask | None:
    """bool (n_items,): items priced in another currency than most; None where all are in one."""
    if "currency" not in items.columns:
        return None
    usual = items["currency"].drop_nulls().mode().sort().first()
    return (items["currency"] != usual).fill_null(False).to_numpy().astype(bool)


def _of_one_brand(items: pl.DataFrame) -> bool:
    """Whether the groups of a catalogue hold one brand each."""
    branded = items.filter((pl.col("group") != "") & (pl.col("brand") != ""))
    groups = branded.group_by("group").agg(
        pl.len().alias("items"), pl.col("brand").n_unique().alias("brands")
    )
    several = groups.filter(pl.col("items") > 1)["brands"] > 1
    return int(several.sum()) <= BRANDS * len(several)
