"""`Examples`: candidates of validation cases and which of them were right, for training and for judging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.vocabulary import Rows
from crossaisle.models.blend import Blend
from crossaisle.models.dense.batches import batches
from crossaisle.models.ranking.pool import Pool, new_categories
from crossaisle.models.ranking.ranker import LearnedRanker
from crossaisle.models.ranking.tables import ShopTables
from crossaisle.models.shortlists import allowed_candidates
from crossaisle.progress import Advance, unwatched

K = 10
BATCH = 128
MISSED = 0.15
"""Share of the cases without a right candidate that are kept: they say how sure the ranker may be."""
SHOWN, DRAWN = 60, 40
"""Candidates per case that trees are grown on: the blend's best and some others drawn at random."""
_DISCOUNT = 1.0 / np.log2(np.arange(2, K + 2))
GAINS, MOST_RETRIEVERS = 0.005, 2
"""A part retrieves where that finds the answers of this share of the cases; two parts at most."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Examples:
    """`n` cases with `m` candidates in all, laid end to end."""

    features: Floats
    """float32 (m, features)."""
    item: Rows
    """int32 (m,): the candidates' item rows."""
    right: npt.NDArray[np.bool_]
    """bool (m,)."""
    sizes: npt.NDArray[np.int64]
    """int64 (n,): candidates per case."""
    wanted: npt.NDArray[np.int64]
    """int64 (n,): right answers per case, candidates or not."""
    case: npt.NDArray[np.int64]
    """int64 (n,): which of the cases that were asked for each one is."""
    weight: Floats
    """float32 (n,): cases it stands for; more than 1 where others like it were left out."""
    asked: npt.NDArray[np.bool_]
    """bool (all cases,): those with a history and an answer that the placement allows."""

    @classmethod
    def joined(cls, several: Sequence[Examples]) -> Examples:
        """One after the other; cases are counted on."""
        before = np.cumsum([0, *(len(one.asked) for one in several)])
        named = ("features", "item", "right", "sizes", "wanted", "weight", "asked")
        ends = {name: np.concatenate([getattr(one, name) for one in several]) for name in named}
        case = np.concatenate([one.case + first for one, first in zip(several, before[:-1], strict=True)])
        return cls(**ends, case=case)

    @property
    def owner(self) -> npt.NDArray[np.int64]:
        """int64 (m,): the case of each candidate, 0 to n - 1."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @property
    def answered(self) -> int:
        """Cases with a right candidate."""
        return int((np.bincount(self.owner, self.right, len(self.sizes)) > 0).sum())

    def take(self, kept: npt.NDArray[np.bool_]) -> Examples:
        """Some of the cases; `kept` bool (n,)."""
        rows = np.repeat(kept, self.sizes)
        return replace(
            self,
            features=self.features[rows],
            item=self.item[rows],
            right=self.right[rows],
            sizes=self.sizes[kept],
            wanted=self.wanted[kept],
            case=self.case[kept],
            weight=self.weight[kept],
        )

    def thinned(self, seed: int) -> Examples:
        """Cases with a right candidate, without most of the candidates that are far down the blend's list."""
        answered = np.bincount(self.owner, self.right, len(self.sizes)) > 0
        some = self.take(answered)
        rank = some.features[:, 1]  # `blend_rank`
        chance = DRAWN / np.maximum(some.sizes[some.owner] - SHOWN, 1)
        drawn = np.random.default_rng(seed).random(len(rank)) < chance
        kept = some.right | (rank < SHOWN) | drawn
        return replace(
            some,
            features=some.features[kept],
            item=some.item[kept],
            right=some.right[kept],
            sizes=np.bincount(some.owner[kept], minlength=len(some.sizes)).astype(np.int64),
        )

    def ranks(self, scores: Floats) -> npt.NDArray[np.int64]:
        """int64 (m,): place of each candidate among those of its case in the order of scores; 0 = first."""
        order = np.lexsort((-scores, self.owner))
        out = np.empty(len(scores), np.int64)
        starts = np.cumsum(self.sizes) - self.sizes
        out[order] = np.arange(len(scores)) - np.repeat(starts, self.sizes)
        return out

    def ndcg(self, scores: Floats) -> Floats:
        """float32 (all cases,): NDCG@10 when the candidates stand in the order of scores (m,).

        0 for cases without a right candidate, NaN for those that cannot be answered.
        """
        wanted = np.zeros(len(self.asked), np.int64)
        wanted[self.case] = self.wanted
        wanted[self.asked] = np.maximum(wanted[self.asked], 1)
        return self.ndcg_at(self.ranks(scores), self.right, wanted)

    def ndcg_at(
        self, place: npt.NDArray[np.int64], right: npt.NDArray[np.bool_], wanted: npt.NDArray[np.int64]
    ) -> Floats:
        """The same for candidates at some places (m,), 0 = first, and other right answers.

        `right` bool (m,); `wanted` int64 (all cases,): how many each case has, candidates or not; NaN where
        it has none.
        """
        hit = right & (place < K)
        gain = np.bincount(self.case[self.owner[hit]], _DISCOUNT[place[hit]], len(wanted))
        ideal = np.cumsum(_DISCOUNT)[np.clip(wanted, 1, K) - 1]
        return np.where(wanted > 0, gain / ideal, np.nan).astype(np.float32)


def examples_of(
    ranker: LearnedRanker,
    blend: Blend,
    tables: ShopTables,
    cases: EvalCases,
    *,
    seed: int = 0,
    advance: Advance = unwatched,
) -> Examples:
    """Every case with a history whose answer the placement allows, scored by a blend that has not seen it."""
    rng = np.random.default_rng(seed)
    found: list[tuple[Floats, npt.NDArray[np.bool_], Rows, npt.NDArray[np.int64]]] = []
    wanted_of, case_of, weight_of = [], [], []
    answerable = np.zeros(len(cases), bool)
    for rows in batches(len(cases), len(tables.category), BATCH):
        start, batch = int(rows[0]), cases.take(rows)
        right = _right(batch, ranker.pool, tables)
        asked = np.flatnonzero(right.any(axis=1) & (batch.histories.lengths > 0))
        answerable[start + asked] = True
        if len(asked):
            histories, right = batch.histories.take(asked), right[asked]
            _, candidates = ranker.candidates(blend, tables, histories)
            starts = np.concatenate([[0], np.cumsum(candidates.sizes)])
            for row, at in enumerate(candidates.rows):
                marks = right[row, at]
                kept = bool(marks.any()) or rng.random() < MISSED
                if kept and len(at):
                    own = candidates.features[starts[row] : starts[row + 1]]
                    found.append((own, marks, at, np.array([len(at)])))
                    wanted_of.append(int(right[row].sum()))
                    case_of.append(start + int(asked[row]))
                    weight_of.append(1.0 if marks.any() else 1.0 / MISSED)
        advance(len(batch))
    width = len(ranker.features)
    return Examples(
        features=np.concatenate([np.empty((0, width), np.float32), *(one[0] for one in found)]),
        item=np.concatenate([np.empty(0, np.int32), *(one[2] for one in found)]),
        right=np.concatenate([np.empty(0, bool), *(one[1] for one in found)]),
        sizes=np.array([len(one[2]) for one in found], np.int64),
        wanted=np.array(wanted_of, np.int64),
        case=np.array(case_of, np.int64),
        weight=np.array(weight_of, np.float32),
        asked=answerable,
    )


def _right(batch: EvalCases, pool: Pool, tables: ShopTables) -> npt.NDArray[np.bool_]:
    """bool (n, n_items): right answers that are candidates."""
    allowed = allowed_candidates(pool, batch.histories, tables.category)
    right = np.zeros_like(allowed)
    right[np.repeat(np.arange(len(batch)), np.diff(batch.target_indptr)), batch.target] = True
    return right & allowed


def choose_retrievers(
    ranker: LearnedRanker, blend: Blend, tables: ShopTables, cases: EvalCases
) -> tuple[str, ...]:
    """The parts whose best items hold answers that the pool would miss without them, most useful first.

    Only parts that the blend asks for all items anyway: others would make every list dearer.
    """
    pool, asked = ranker.pool, blend.weights_for(ranker.placement)
    found: dict[str, list[npt.NDArray[np.bool_]]] = {name: [] for name in ranker.parts if name in asked}
    for rows in batches(len(cases), len(tables.category), BATCH):
        batch = cases.take(rows)
        kept: dict[str, Floats] = {}
        scores = blend.score_rows(batch.histories, ranker.placement, keep=kept)
        allowed = allowed_candidates(pool, batch.histories, tables.category)
        new = new_categories(batch.histories, tables.category)
        missing = _right(batch, pool, tables)
        for row, at in enumerate(pool.choose(scores, {}, allowed, new)):
            missing[row, at] = False
        for name, some in found.items():
            nominated = pool.best_of_part(kept[name], allowed & ~np.isnan(scores))
            hit = np.take_along_axis(missing, np.maximum(nominated, 0), axis=1) & (nominated >= 0)
            some.append(np.asarray(hit.any(axis=1)))
    chosen_parts: list[str] = []
    hits = {name: np.concatenate([np.empty(0, bool), *some]) for name, some in found.items()}
    left = np.ones(len(cases), bool)
    for _ in range(MOST_RETRIEVERS):
        gains = {name: float((some & left).mean()) for name, some in hits.items() if len(some)}
        useful = [name for name in sorted(gains, key=lambda name: -gains[name]) if gains[name] >= GAINS]
        if not useful:
            break
        chosen_parts.append(useful[0])
        left &= ~hits[useful[0]]
    return tuple(chosen_parts)
