"""`Blend`: the weighted sum of several scorers, with one set of weights per placement."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.dense.rough import Rough, exact_sum
from crossaisle.models.dense.sums import WeightedSums
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.knowledge import Knowledge
from crossaisle.models.sides import AskedOf, Side
from crossaisle.models.topk import Mask, best_rows, top_k, union

CART_OF_USER, HISTORY_OF_USER = "goes_with_user", "goes_with_history"
"""`goes_with` for a user with a history: weights of parts that are asked of the cart, and of those that are
asked of the history. Together they make one sum, the placement "goes_with_user"."""

Part = tuple[Scorer, float]
"""A scorer and its weight."""
LIST = 10
MISSED = 0.002
"""At most this share of the best items of lists may be missed by rough scores of texts."""


@dataclass(kw_only=True)
class Blend:
    """Scores are sums, so that each one can be taken apart again into its evidence."""

    parts: Mapping[str, Scorer]
    """Scorers by name."""
    weights: dict[str, dict[str, float]] = field(default_factory=dict)
    """placement -> part -> weight; chosen on validation. `unseen` is `for_you` without what the user had;
    see also `CART_OF_USER`."""
    remember: bool = False
    """Keep the parts' scores of the last batch, for evaluations that ask one batch for many placements."""
    exactly: dict[str, Collection[str]] = field(default_factory=dict, repr=False, compare=False)
    """placement -> parts whose exact scores of all items `rough` takes; set by `measure_rough`."""
    fewer: set[str] = field(default_factory=set, repr=False, compare=False)
    """Placements for which `rough` may read fewer dimensions; set by `measure_rough`."""
    _last: tuple[Histories, dict[tuple[int, str | None], Floats]] | None = field(
        default=None, repr=False, compare=False
    )

    def fit(self, dataset: Dataset) -> Blend:
        """Fits every part."""
        for part in self.parts.values():
            part.fit(dataset)
        return self

    def weights_for(self, placement: str) -> dict[str, float]:
        """The weights of a placement, without zeros; those of `for_you` for one that was never tuned."""
        chosen = self.weights.get(placement) or self.weights.get("for_you")
        chosen = chosen or dict.fromkeys(self.parts, 1.0)
        return {name: w for name, w in chosen.items() if w}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Rules that people wrote, from the part that holds them."""
        return next((part.rules for part in self.parts.values() if isinstance(part, Knowledge)), ())

    def terms(self, placement: str) -> list[Part]:
        """What a placement adds up: scorers and their weights."""
        if placement != CART_OF_USER or placement not in self.weights:
            return [(self.parts[name], weight) for name, weight in self.weights_for(placement).items()]
        sides: tuple[tuple[Side, str], ...] = (("cart", CART_OF_USER), ("history", HISTORY_OF_USER))
        return [
            (AskedOf(self.parts[name], side), weight)
            for side, weights in sides
            for name, weight in self.weights.get(weights, {}).items()
            if weight
        ]

    def score_rows(
        self, histories: Histories, placement: str = "for_you", *, keep: dict[str, Floats] | None = None
    ) -> Floats:
        """float32 (n, n_items); NaN only where no part can score.

        `keep` is filled with the scores of each part that has a weight, float32 (n, n_items).
        """
        names = {id(part): name for name, part in self.parts.items()}
        sums, terms = WeightedSums(len(histories)), self.terms(placement)
        if not terms:
            raise ValueError("a blend needs at least one part with a weight")
        for scorer, weight in terms:
            scores = self._remembered(scorer, histories)
            if keep is not None and scorer is scorer.plain:
                keep[names[id(scorer)]] = scores
            sums.add(scores, weight)
        return sums.total(scores.shape[1])

    def rough(
        self,
        histories: Histories,
        placement: str,
        exactly: Collection[str] | None = None,
        *,
        fewer: bool | None = None,
    ) -> Rough | None:
        """Approximate scores of `score_rows`; None where no part has any that are cheaper than exact ones.

        `exactly`: names of parts whose exact scores of all items are wanted; None: all that compare words,
        unless `measure_rough` found that rough ones do. `fewer`: as `Scorer.rough`; None: what it found.
        """
        if fewer is None:
            fewer = placement in self.fewer
        if exactly is None:
            exactly = self.exactly.get(placement, self.by_words)
        terms = self.terms(placement)
        names = {id(part): name for name, part in self.parts.items()}
        found = [
            None if names[id(scorer.plain)] in exactly else scorer.rough(histories, fewer=fewer)
            for scorer, _ in terms
        ]
        if not any(rough is not None and rough.coarse for rough in found):
            return None
        sums, parts = WeightedSums(len(histories)), []
        named: dict[str, Rough] = {}
        for (scorer, weight), rough in zip(terms, found, strict=True):
            part = Rough.known(scorer.score_rows(histories)) if rough is None else rough
            part.add_to(sums, weight)
            parts.append((part, weight))
            if scorer is scorer.plain:
                named[names[id(scorer)]] = part
        total = sums.total(len(terms[0][0].item_ids_))
        return Rough(total, exact_sum(parts), named, whole=sums.whole)

    def measure_rough(self, histories: Histories, k: int) -> None:
        """Finds out how rough scores may be: wherever their `k` best items miss some of the ten best, `rough`
        takes exact scores of texts, and no fewer dimensions than there are.

        `histories`: some that are asked for.
        """
        for placement in self.weights:
            words = self.by_words & {name for name, weight in self.weights_for(placement).items() if weight}
            if not len(histories) or self.rough(histories.take([0]), placement, words) is None:
                continue  # no other part is rough
            for name in words:
                part = self.parts[name]
                assert isinstance(part, TfidfSimilarity)
                part.lead()
            exact = np.fmax(self.score_rows(histories, placement), -np.inf)
            best = top_k(exact, min(LIST, k, exact.shape[1]))
            if words:
                missed = self._missed(best, self.rough(histories, placement, (), fewer=False), k)
                self.exactly[placement] = words if missed > MISSED else ()
            self.fewer.discard(placement)
            if self._missed(best, self.rough(histories, placement, fewer=True), k) <= MISSED:
                self.fewer.add(placement)

    @staticmethod
    def _missed(best: Rows, rough: Rough | None, k: int) -> float:
        """The share of some best items int32 (n, m) that are not among the `k` best by rough scores."""
        assert rough is not None
        found = best_rows(rough.scores, k)
        missed = [~np.isin(one[one >= 0], rows) for one, rows in zip(best, found, strict=True)]
        return float(np.concatenate(missed).mean())

    @property
    def by_words(self) -> frozenset[str]:
        """Names of parts that compare words."""
        return frozenset(name for name, part in self.parts.items() if isinstance(part, TfidfSimilarity))

    def best(
        self, histories: Histories, placement: str, k: int, among: Mask | None = None
    ) -> list[tuple[Rows, Floats]]:
        """For each history, rows that hold its best items and their exact scores, unordered.

        Every part retrieves its own `k` best; an item that no part puts among them is not found.
        `among` bool (n_items,): the items that may be found.
        """
        retrieved = [scorer.retrieve(histories, k, among) for scorer, _ in self.terms(placement)]
        rows = [union(one) for one in zip(*retrieved, strict=True)]
        return list(zip(rows, self.score_at(histories, rows, placement), strict=True))

    def score_at(self, histories: Histories, rows: Sequence[Rows], placement: str) -> list[Floats]:
        """For each history the scores of some rows, float32; NaN where no part can score."""
        total = [np.zeros(len(at), np.float32) for at in rows]
        known = [np.zeros(len(at), bool) for at in rows]
        for scorer, weight in self.terms(placement):
            for place, scores in enumerate(scorer.score_at(histories, rows)):
                finite = ~np.isnan(scores)
                total[place] += np.where(finite, scores, 0.0) * np.float32(weight)
                known[place] |= finite
        return [np.where(k, t, np.float32(np.nan)) for t, k in zip(total, known, strict=True)]

    def part_scores(self, name: str, histories: Histories, side: Side | None = None) -> Floats:
        """float32 (n, n_items) of one part; not to be changed when `remember` is on.

        `side`: which half of users with carts is asked.
        """
        part = self.parts[name]
        return self._remembered(part if side is None else AskedOf(part, side), histories)

    def _remembered(self, scorer: Scorer, histories: Histories) -> Floats:
        if not self.remember:
            return scorer.score_rows(histories)
        if self._last is None or self._last[0] is not histories:
            self._last = histories, {}
        side = scorer.side if isinstance(scorer, AskedOf) else None
        known, key = self._last[1], (id(scorer.plain), side)
        if key not in known:
            known[key] = scorer.score_rows(histories)
        return known[key]
