"""`Groups`: items with the same text, such as their title, found without comparing texts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle.data.distinct import distinct, run_starts
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.rerank.quota import Cap, Index

AT_ONCE = 64
"""Items that are looked at together."""
_UNITS = """bag bags bar bars bottle bottles box bunch can cans cl cm count ct ctn cup cups doz dozen dz each
    fl ft fz g ga gal gallon gr gram grams in inch inches kg kit l lb lbs ld lds liter liters litre litres
    load loads lt ltr m mg ml mm ounce ounces oz ozs pack packs pc pcs pieces pint pk pkg pt qt quart
    quarts roll rolls sheet sheets sq stem stems tablets use uses yd"""
_UNIT = rf"(?:{'|'.join(sorted(_UNITS.split(), key=len, reverse=True))})\.?"
_NUMBER = r"(?:\d+(?:[.,/x-]\d+)*|\.\d+)"
_AMOUNT = "(?i)" + "|".join(
    (
        rf",\s*[.(]?\d[^,%]*?\s?{_UNIT}(?:\W[^,%]*)?$",  # behind the last comma
        rf",\s*(?:{_UNIT}|{_NUMBER})\s*$",
        rf"(?:^|[\s(]){_NUMBER}\s?-?{_UNIT}(?:\s{_UNIT})*(?:\W|$)",
    )
)
"""How much is in it: a number with a unit of measure; behind the last comma also one of them alone."""


def without_amounts(titles: pl.Series) -> pl.Series:
    """Titles (n_items,) without how much is in them; those that consist of nothing else stay as they are."""
    bare = (
        titles.fill_null("")
        .str.replace_all(_AMOUNT, " ")
        .str.replace_all(r"[\s,]+", " ")
        .str.strip_chars(" -")
    )
    return bare.zip_with(bare != "", titles.fill_null(""))


@dataclass(frozen=True, eq=False)
class Groups:
    """Which items share a text. Items without one are in no group."""

    keys: npt.NDArray[np.uint64]
    """uint64 (n_items,): items with equal keys say the same; 0: no text."""

    @classmethod
    def of(cls, *texts: pl.Series) -> Groups:
        """Items alike in all of some texts (n_items,), whatever their case. A blank first one: no group."""
        table = pl.DataFrame(
            [one.fill_null("").str.to_lowercase().alias(str(at)) for at, one in enumerate(texts)]
        )
        keys = table.hash_rows(seed=0).to_numpy().copy()
        keys[keys == 0] = 1
        keys[(table["0"].str.strip_chars() == "").to_numpy()] = 0
        return cls(keys)

    @classmethod
    def of_products(cls, titles: pl.Series, brands: pl.Series) -> Groups:
        """Items of one title and brand, however much is in them: "Milk, 1 gal" is "Milk, 64 oz"."""
        return cls.of(without_amounts(titles), brands)

    @classmethod
    def of_items(cls, items: pl.DataFrame) -> Groups:
        """Items of one product: of one `group`, where they have one, else of the same title and brand."""
        named = cls.of_products(items["title"], items["brand"])
        if "group" not in items.columns:
            return named
        grouped = cls.of(items["group"])
        has = (items["group"].fill_null("") != "").to_numpy()
        return cls(np.where(has, grouped.keys, named.keys))

    def cap(self, rows: Rows, most: int) -> Cap | None:
        """At most so many of each group among some item rows; None where they have no more anyway."""
        alike = np.flatnonzero(self.many[rows])
        _, codes = distinct(self.keys[rows[alike]])
        full = np.bincount(codes) > most
        if not full.any():
            return None
        number = np.where(full, np.cumsum(full) - 1, -1)
        of_rows = np.full(len(rows), -1, np.int32)
        of_rows[alike] = number[codes]
        return Cap(of_rows, np.full(int(full.sum()), most, np.int64))

    def first_of_each(
        self, rows: Rows, most: int, placed: Rows, codes: Rows | None = None, of_code: int = 0
    ) -> Index:
        """int64 (at most `most`,): places in some ranked item rows of the first one of each group, and of all
        that are in none; of `codes` int32 (n_items,), at most `of_code` of each but -1.

        `placed`: items whose groups have theirs. What `quota.select` finds under such caps, one by one.
        """
        taken, chosen, left = set(self.keys[placed].tolist()), [], dict[int, int]()
        taken.discard(0)
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            own = [-1] * len(some) if codes is None else codes[some].tolist()
            for at, (key, code) in enumerate(zip(self.keys[some].tolist(), own, strict=True), start):
                if key in taken:
                    continue
                if code >= 0:
                    if left.get(code, of_code) < 1:
                        continue
                    left[code] = left.get(code, of_code) - 1
                chosen.append(at)
                if key:
                    taken.add(key)
                if len(chosen) == most:
                    return np.array(chosen, np.int64)
        return np.array(chosen, np.int64)

    def members(self, rows: Rows) -> tuple[Rows, npt.NDArray[np.int64]]:
        """The items of the groups of some item rows (n,), these among them, end to end: int32 (m,), and
        int64 (m,) the place in `rows` that each belongs to. Nothing for an item that is alone.
        """
        order, start, size = self._runs
        sizes = size[rows]
        owner = np.repeat(np.arange(len(rows)), sizes)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return order[start[rows][owner] + within], owner

    def shared(self, among: npt.NDArray[np.bool_]) -> float:
        """Of some items, bool (n_items,), the share that are not alone in their group."""
        return float(self.many[among].mean()) if among.any() else 0.0

    @cached_property
    def many(self) -> npt.NDArray[np.bool_]:
        """bool (n_items,): items that are not alone in their group."""
        _, _, size = self._runs
        return size > 0

    @cached_property
    def _runs(self) -> tuple[Rows, Rows, Rows]:
        """int32 (n_items,) each: rows by key, where there the group of each row starts, and how many it has,
        0 for a row that is alone."""
        order = np.argsort(self.keys, kind="stable").astype(np.int32)
        keys = self.keys[order]
        starts = np.flatnonzero(run_starts(keys)).astype(np.int32)
        sizes = np.diff(starts, append=np.int32(len(keys)))
        start, size = np.empty_like(order), np.empty_like(order)
        start[order], size[order] = np.repeat(starts, sizes), np.repeat(sizes, sizes)
        size[(size == 1) | (self.keys == 0)] = 0
        return order, start, size
