"""Groups of products that a list should show only once: those with one `group_id`, variants and
duplicates."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from crossaisle.clean_config import Mode
from crossaisle.data.clean.doubles import Double, joined, pictures, twins, variants
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.report import Change, Proposal, Review, StepReport

LARGEST = 60
"""Maximum size of a detected group; a larger one is more likely a common phrase than a product."""


@dataclass(frozen=True, kw_only=True)
class Groupings:
    """Fills the column `group`: the shop's own `group_id`, else the id of the group's first product.

    Groups are detected by picture, by title and brand (`doubles.twins`) and by titles that differ in colour,
    size and pack (`doubles.variants`). Products that the shop itself has grouped are left alone.
    """

    mode: Mode
    confidence: float
    review: Review
    name: str = "groups"

    def __call__(self, products: Products) -> tuple[Products, StepReport]:
        start = time.perf_counter()
        frame = products.frame
        given = (
            frame["group"]
            if "group" in frame.columns
            else pl.Series("group", [None] * len(frame), dtype=pl.String)
        )
        ids = frame["item_id"].to_list()
        own = np.array([not name for name in given], bool)
        every = [d for d in _doubles(products) if own[d.one] and own[d.other]]
        doubles = _surest(every)
        proposals = [
            Proposal(
                before=ids[d.other],
                after=ids[d.one],
                confidence=d.confidence,
                rows=1,
                why=f"{d.why}: {frame['title'][d.other]!r}, {frame['title'][d.one]!r}",
            )
            for d in doubles
        ]
        chosen, settled = self.review.settle(
            self.name, proposals, apply=self.mode == "on", confidence=self.confidence
        )
        row = {name: at for at, name in enumerate(ids)}
        pairs = [
            Double(row[after], row[before], 1.0, "")
            for before, after in chosen.items()
            if before in row and after in row
        ]
        if self.mode == "on":
            undecided = [d for d in every if (self.name, ids[d.other]) not in self.review.decisions]
            pairs += [d for d in undecided if d.confidence >= self.confidence]
        leader = joined(len(frame), pairs)
        size = np.bincount(leader, minlength=len(frame))
        grouped = (size[leader] > 1) & (size[leader] <= LARGEST)
        after = [ids[leader[at]] if grouped[at] and own[at] else name for at, name in enumerate(given)]
        if self.mode == "on":
            products = replace(products, frame=frame.with_columns(pl.Series("group", after, dtype=pl.String)))
        before = given.to_list()
        changes = [
            Change("group", at, b or "", a or "")
            for at, (b, a) in enumerate(zip(before, after, strict=True))
            if self.mode == "on" and a != b
        ]
        sizes = Counter(name for name in after if name is not None)
        report = StepReport(
            name=self.name,
            setting=self.mode,
            rows_in=len(products),
            rows_out=len(products),
            changes=changes,
            proposals=settled,
            facts={
                "groups": sum(n > 1 for n in sizes.values()),
                "products_in_them": sum(n for n in sizes.values() if n > 1),
                "largest": max(sizes.values(), default=0),
                "given_by_the_shop": int((~own).sum()),
                "too_large_to_be_one": int((size > LARGEST).sum()),
            },
            seconds=time.perf_counter() - start,
        )
        return products, report


def _doubles(products: Products) -> list[Double]:
    """Pairs of rows with the same product, each with its most confident reason."""
    titles, brands = products.texts("title"), products.texts("brand")
    images = products.frame["image"].to_list() if "image" in products.frame.columns else [None] * len(titles)
    best: dict[tuple[int, int], Double] = {}
    for found in (twins(titles, brands), variants(titles, brands), pictures(images)):
        for double in found:
            key = (double.one, double.other)
            if key not in best or double.confidence > best[key].confidence:
                best[key] = double
    return list(best.values())


def _surest(doubles: list[Double]) -> list[Double]:
    """For each row, the most confident of its matches with earlier rows."""
    of_row: dict[int, Double] = {}
    for double in sorted(doubles, key=lambda d: (-d.confidence, d.one, d.other)):
        of_row.setdefault(double.other, double)
    return [of_row[at] for at in sorted(of_row)]
