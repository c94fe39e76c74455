"""A shop as it was: its models fitted on what was known at earlier moments, for rankers to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.splits.windows import windows_before
from crossaisle.models.blend import Blend
from crossaisle.models.ranking.tables import ShopTables


@dataclass(frozen=True, eq=False)
class EarlierShop:
    """What a ranker would have seen at the beginning of a window, and what people did in it."""

    blend: Blend
    """Fitted on `dataset`, with the weights of the later one."""
    dataset: Dataset
    tables: ShopTables
    cases: EvalCases


def earlier_shops(
    blend: Blend,
    split: Split,
    parts: Sequence[str],
    placements: Iterable[str],
    *,
    most: int,
    cases: int,
    seed: int = 0,
) -> list[EarlierShop]:
    """The newest window first.

    `parts`: those that rankers may read, of which those are fitted that the `placements` ask; `most` windows,
    and at most so many `cases` of each.
    """
    used = {name for placement in placements for name in blend.weights_for(placement)}
    used |= {name for name in parts if not blend.parts[name].reads_events}
    out = []
    for known, asked in windows_before(split, most):
        fresh = {
            name: cast(Any, replace(cast(Any, part))).fit(known) if part.reads_events else part
            for name, part in blend.parts.items()
            if name in used
        }
        some = np.random.default_rng(seed).permutation(len(asked))[:cases]
        shop = Blend(parts=fresh, weights=blend.weights)
        out.append(EarlierShop(shop, known, ShopTables.of(known, habits=True), asked.take(np.sort(some))))
    return out
