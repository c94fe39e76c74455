"""`LearnedRanker`: puts the candidates of one placement into the order that boosted trees give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.blend import Blend
from crossaisle.models.dense.rough import Rough
from crossaisle.models.ranking.calibration import Isotonic
from crossaisle.models.ranking.features import directions, feature_matrix, feature_names
from crossaisle.models.ranking.pool import Masks, Pool, new_categories
from crossaisle.models.ranking.tables import ShopTables
from crossaisle.models.ranking.texts import newest_cosines
from crossaisle.models.ranking.trees import Trees
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.scorers.vectors.vector_model import VectorModel
from crossaisle.models.shortlists import allowed_candidates
from crossaisle.models.topk import union


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates of a batch of histories, and what the ranker knows about them."""

    rows: list[Rows]
    """Per history int32 item rows, ascending."""
    blend: Floats
    """float32 (m,): the blend's scores, history after history."""
    features: Floats
    """float32 (m, features)."""

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """int64 (n,): candidates per history."""
        return np.array([len(at) for at in self.rows], np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class LearnedRanker:
    """Trees over features of candidates. It says nothing about other items: these keep the blend's order."""

    placement: str
    """Whose weights the blend scores with."""
    pool: Pool
    parts: tuple[str, ...]
    """Parts of the blend whose scores are features."""
    texts: tuple[str, ...]
    """Parts over vectors whose cosine with the newest item is a feature."""
    habits: bool = False
    """Whether days are features: when the history had what, and what comes back."""
    trees: tuple[Trees, ...] = ()
    """One ensemble, or two whose scores are averaged."""
    scales: tuple[float, ...] = ()
    """What the scores of each are divided by before they are added."""
    prior: float = 0.0
    """How much the order of the blend counts: this times ln(1 + `blend_rank`) is taken off the trees."""
    lift: float = 0.0
    """Added to the scores of candidates in categories that are new to the history: how much of the list's
    worth overall is given for finding what lies elsewhere."""
    calibration: Isotonic | None = None
    """From scores without the lift to the probability of being the next item."""

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order of the columns."""
        return feature_names(self.parts, self.pool.retrievers, self.texts, habits=self.habits)

    def directions(self, blend: Blend) -> tuple[int, ...]:
        """Per feature 1, 0 or -1; popularity, which knows nothing of the history, may count either way."""
        free = [name for name in self.parts if isinstance(blend.parts[name], Popularity)]
        return directions(self.features, free)

    # Candidates

    def candidates(
        self, blend: Blend, tables: ShopTables, histories: Histories, among: Masks | None = None
    ) -> tuple[Floats, Candidates]:
        """The blend's scores float32 (n, n_items), and the candidates among all items.

        `among` bool (n, n_items): what a request allows.
        """
        kept: dict[str, Floats] = {}
        scores = blend.score_rows(histories, self.placement, keep=kept)
        for name in self.pool.retrievers:
            if name not in kept:
                kept[name] = blend.part_scores(name, histories)
        allowed = allowed_candidates(self.pool, histories, tables.category)
        if among is not None:
            allowed &= among
        new = new_categories(histories, tables.category)
        chosen = self.pool.choose(scores, kept, allowed, new)
        rows = [at.astype(np.int32) for at in chosen]
        flat = _flat([one[at] for one, at in zip(scores, rows, strict=True)])
        known = {
            name: _flat([one[at] for one, at in zip(values, rows, strict=True)])
            for name, values in kept.items()
            if name in self.parts
        }
        return scores, self._described(blend, tables, histories, rows, flat, known)

    def _described(
        self,
        blend: Blend,
        tables: ShopTables,
        histories: Histories,
        rows: list[Rows],
        scores: Floats,
        known: dict[str, Floats],
    ) -> Candidates:
        """`known`: float32 (m,), what parts say of the candidates, where it is at hand."""
        parts = {
            name: known[name] if name in known else _flat(blend.parts[name].score_at(histories, rows))
            for name in self.parts
        }
        texts = {}
        for name in self.texts:
            part = blend.parts[name]
            assert isinstance(part, VectorModel)
            texts[name] = newest_cosines(part, histories, rows)
        features = feature_matrix(
            tables, histories, rows, scores, parts, self.pool.retrievers, texts, habits=self.habits
        )
        return Candidates(rows, scores, features)

    # Order

    def scores(self, candidates: Candidates) -> Floats:
        """float32 (m,): what candidates are ordered by, with the lift."""
        scores = self.unlifted_scores(candidates)
        scores[self.elsewhere(candidates.features)] += np.float32(self.lift)
        return scores

    def unlifted_scores(self, candidates: Candidates) -> Floats:
        """float32 (m,): the trees' scores and the prior; comparable between categories and histories."""
        total = self.prior_scores(candidates.features, self.prior)
        for trees, scale in zip(self.trees, self.scales, strict=True):
            total += trees.predict(candidates.features) / np.float32(scale)
        return total

    def prior_scores(self, features: Floats, weight: float) -> Floats:
        """float32 (m,): what the blend's own order says at a weight; 0 for its first place."""
        rank = features[:, self.features.index("blend_rank")]
        scores: Floats = np.float32(-weight) * np.log1p(rank)
        return scores

    def elsewhere(self, features: Floats) -> npt.NDArray[np.bool_]:
        """bool (m,): candidates of a known category that the history has nothing of."""
        had, known = self.features.index("category_in_history"), self.features.index("category_sales")
        return np.asarray((features[:, had] == 0) & ~np.isnan(features[:, known]))

    def probabilities(self, candidates: Candidates) -> Floats:
        """float32 (m,): how likely each candidate is the next item; NaN without a calibration.

        Calibrated on the ten that are shown; further down they are too low for heavy shoppers. The lift is
        a wish, not a belief: it does not count here.
        """
        if self.calibration is None:
            return np.full(len(candidates.blend), np.nan, np.float32)
        return self.calibration(self.unlifted_scores(candidates))

    def rerank(
        self, blend: Blend, tables: ShopTables, histories: Histories, among: Masks | None = None
    ) -> Floats:
        """float32 (n, n_items): the blend's scores, dealt out anew among the candidates of each history.

        The best candidate gets the highest score that the blend gave to any of them, and so on: the order is
        the trees', the scale stays the blend's, and all other items keep what they had.
        """
        scores, candidates = self.candidates(blend, tables, histories, among)
        start = 0
        order = self.scores(candidates)
        for row, at in enumerate(candidates.rows):
            stop = start + len(at)
            scores[row, at] = dealt(candidates.blend[start:stop], order[start:stop])
            start = stop
        return scores

    def rerank_rough(
        self,
        blend: Blend,
        tables: ShopTables,
        histories: Histories,
        rough: Rough,
        among: Sequence[Masks | None] = (),
        best: Sequence[Rows] = (),
    ) -> list[Rows]:
        """`rerank` where the blend's scores are rough: per history the rows that are exact now, ascending.

        More than there are to be candidates are chosen by rough scores and scored exactly, and `best`, for
        each history int32 rows, with them; of these the candidates, which are dealt out in `rough.scores`.
        `among`: for each history bool (n_items,), what its request allows, or None.
        """
        parts = {
            name: rough.parts.get(name) or Rough.known(blend.part_scores(name, histories))
            for name in self.pool.retrievers
        }
        allowed = allowed_candidates(self.pool, histories, tables.category)
        for row, mask in enumerate(among):
            if mask is not None:
                allowed[row] &= mask
        new = new_categories(histories, tables.category)
        roughly = {name: part.scores for name, part in parts.items()}
        wide = self.pool.wider().choose(rough.scores, roughly, allowed, new)
        wide = [union(both) for both in zip(wide, best, strict=True)] if best else wide
        parts |= {name: rough.parts[name] for name in self.parts if name in rough.parts}
        scores: list[Floats] = []
        known: dict[str, list[Floats]] = {name: [] for name in parts}
        for row, at in enumerate(wide):
            scores.append(rough.exact(row, at))
            rough.scores[row, at] = scores[-1]
            for name, part in parts.items():  # each was just asked about these rows
                known[name].append(part.exact(row, at))
        masks = [(allowed[row, at], new[row, at]) for row, at in enumerate(wide)]
        places = self._places(scores, known, masks)
        rows = [at[some] for at, some in zip(wide, places, strict=True)]
        scores = _at(scores, places)
        flat = {name: _flat(_at(values, places)) for name, values in known.items()}
        candidates = self._described(blend, tables, histories, rows, _flat(scores), flat)
        order, start = self.scores(candidates), 0
        for row, (at, own) in enumerate(zip(rows, scores, strict=True)):
            stop = start + len(at)
            rough.scores[row, at] = dealt(own, order[start:stop])
            start = stop
        return wide

    def rerank_best(
        self, blend: Blend, tables: ShopTables, histories: Histories, best: list[tuple[Rows, Floats]]
    ) -> list[tuple[Rows, Floats]]:
        """The same for what was retrieved in a large shop: per history ascending rows and the blend's scores.

        The candidates are chosen among these rows.
        """
        known = {
            name: blend.parts[name].score_at(histories, [at for at, _ in best])
            for name in self.pool.retrievers
        }
        masks = []
        for row, (at, _) in enumerate(best):
            own = histories.take([row])
            allowed = allowed_candidates(self.pool, own, tables.category)[0, at]
            masks.append((allowed, new_categories(own, tables.category)[0, at]))
        return self._rerank_among(blend, tables, histories, best, known, masks)

    def _rerank_among(
        self,
        blend: Blend,
        tables: ShopTables,
        histories: Histories,
        best: list[tuple[Rows, Floats]],
        known: dict[str, list[Floats]],
        masks: list[tuple[Masks, Masks]],
    ) -> list[tuple[Rows, Floats]]:
        """`known`: what parts say of the rows of each history, at least those that retrieve. `masks`: which
        of its rows may be candidates, and which lie in a category that is new to it.
        """
        places = self._places([scores for _, scores in best], known, masks)
        pairs = list(zip(best, places, strict=True))
        flat = _flat([scores[some] for (_, scores), some in pairs])
        rows = [at[some] for (at, _), some in pairs]
        of_candidates = {name: _flat(_at(values, places)) for name, values in known.items()}
        candidates = self._described(blend, tables, histories, rows, flat, of_candidates)
        order, start, out = self.scores(candidates), 0, []
        for (at, scores), some in pairs:
            stop, values = start + len(some), scores.copy()
            values[some] = dealt(scores[some], order[start:stop])
            out.append((at, values))
            start = stop
        return out

    def _places(
        self,
        scores: Sequence[Floats],
        known: dict[str, list[Floats]],
        masks: Sequence[tuple[Masks, Masks]],
    ) -> list[Rows]:
        """Where candidates stand among the rows of each history; arguments as of `_rerank_among`."""
        return self.pool.choose(
            _padded(scores, np.nan),
            {name: _padded(known[name], np.nan) for name in self.pool.retrievers},
            _padded([allowed for allowed, _ in masks], False),
            _padded([new for _, new in masks], False),
        )


def _at(values: Sequence[Floats], places: Sequence[Rows]) -> list[Floats]:
    return [one[some] for one, some in zip(values, places, strict=True)]


def _padded(values: Sequence[npt.NDArray[Any]], filling: float | bool) -> npt.NDArray[Any]:
    """(n, longest): one row for each array."""
    width = max(map(len, values), default=0)
    out = np.full((len(values), width), filling, values[0].dtype if values else np.float32)
    for row, some in zip(out, values, strict=True):
        row[: len(some)] = some
    return out


def _flat(values: Sequence[Floats]) -> Floats:
    return np.concatenate([np.empty(0, np.float32), *values])


def dealt(scores: Floats, order: Floats) -> Floats:
    """float32 (n,): the same scores, the highest one to the candidate that `order` puts first, and so on.

    Equal ones are moved apart by the smallest step there is, so that the order is complete.
    """
    falling = np.sort(scores)[::-1].copy()
    if (falling[1:] >= falling[:-1]).any():
        for place in range(1, len(falling)):
            if falling[place] >= falling[place - 1]:
                falling[place] = np.nextafter(falling[place - 1], np.float32(-np.inf))
    out = np.empty_like(falling)
    out[np.lexsort((-scores, -order))] = falling
    return out
