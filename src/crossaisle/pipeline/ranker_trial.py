"""`Trial`: rankers for one placement, judged on validation cases that their trees have not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.membership import is_in
from crossaisle.data.splits.cases import EvalCases
from crossaisle.evaluate.probabilities.reliability import reliability
from crossaisle.evaluate.slices import slices_of
from crossaisle.models.ranking.calibration import Isotonic
from crossaisle.models.ranking.examples import Examples, K
from crossaisle.models.ranking.ranker import LearnedRanker
from crossaisle.models.ranking.trees import Objective, Trees
from crossaisle.pipeline.mission import OPEN_LIST

OBJECTIVES: tuple[Objective, ...] = ("lambdarank", "binary")
CHOICES: tuple[tuple[Objective, ...], ...] = (("lambdarank",), ("binary",), ("lambdarank", "binary"))
"""What may rank: either objective alone, or the mean of both."""
PRIORS = (0.0, 0.25, 0.5, 1.0, 2.0)
"""How much the blend's own order may count beside the trees, see `LearnedRanker.prior`."""
SLICES = {
    "for_you": OPEN_LIST,
    "discover": ("novel_limited", "new_category"),
    "unseen": ("new_item",),
}
"""The slices of `slices_of` that each placement's lists answer."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Growth:
    """How trees are grown."""

    directions: Sequence[int]
    seed: int
    trees: int

    def grown(
        self, ranker: LearnedRanker, examples: Examples, objectives: Sequence[Objective] = OBJECTIVES
    ) -> dict[Objective, Trees]:
        """One ensemble for each objective."""
        thin = examples.thinned(self.seed)
        return {
            objective: Trees.grow(
                thin.features,
                thin.right,
                thin.sizes,
                ranker.features,
                objective=objective,
                directions=self.directions,
                seed=self.seed,
                trees=self.trees,
            )
            for objective in objectives
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class Trial:
    """Scores of cases by trees that have not seen them: what a ranker of this kind is worth."""

    ranker: LearnedRanker
    """Without trees."""
    examples: Examples
    growth: Growth
    objectives: tuple[Objective, ...]
    prior: float
    quality: Mapping[str, float]
    """NDCG@10 of each choice of objectives, at its best prior."""
    scores: Floats
    """float32 (m,): of the chosen objectives, each divided by its scale, and the prior."""
    scales: tuple[float, ...]
    side: npt.NDArray[np.int8]
    """int8 (m,): the half of each candidate's case."""
    earlier: Examples | None = None
    """Cases of windows before validation, of a shop that is cut by time."""

    @classmethod
    def of(
        cls, ranker: LearnedRanker, examples: Examples, growth: Growth, earlier: Examples | None = None
    ) -> Trial:
        """Grows both objectives and takes the choice and prior that rank best what the trees have not seen.

        Trees grown on each half of the cases rank the other half. With cases of `earlier` windows, trees
        grown on these rank all: halves of one stretch of time would know each other's season.
        """
        half = np.random.default_rng(growth.seed + 1).integers(0, 2, len(examples.asked)).astype(np.int8)
        of_case = half[examples.case]
        side = of_case[examples.owner]
        unseen = {objective: np.empty(len(side), np.float32) for objective in OBJECTIVES}
        if earlier is not None:
            for objective, trees in growth.grown(ranker, earlier).items():
                unseen[objective] = trees.predict(examples.features)
        for k in (0, 1) if earlier is None else ():
            for objective, trees in growth.grown(ranker, examples.take(of_case != k)).items():
                unseen[objective][side == k] = trees.predict(examples.features[side == k])
        scale = {objective: max(float(one.std()), 1e-6) for objective, one in unseen.items()}
        even = {objective: one / np.float32(scale[objective]) for objective, one in unseen.items()}

        def summed(choice: tuple[Objective, ...], prior: float) -> Floats:
            plain: Floats = np.sum([even[name] for name in choice], axis=0)
            return plain + ranker.prior_scores(examples.features, prior)

        offers = list(product(CHOICES, PRIORS))
        quality = {offer: float(np.nanmean(examples.ndcg(summed(*offer)))) for offer in offers}
        chosen, prior = max(offers, key=lambda offer: quality[offer])
        return cls(
            ranker=ranker,
            examples=examples,
            growth=growth,
            objectives=chosen,
            prior=prior,
            quality={"+".join(choice): max(quality[choice, p] for p in PRIORS) for choice in CHOICES},
            scores=summed(chosen, prior),
            scales=tuple(scale[name] for name in chosen),
            side=side,
            earlier=earlier,
        )

    def lifted(self, lift: float) -> Floats:
        """float32 (m,): the scores with candidates of categories new to the history lifted."""
        return np.where(self._elsewhere, self.scores + np.float32(lift), self.scores)

    @cached_property
    def _elsewhere(self) -> npt.NDArray[np.bool_]:
        return self.ranker.elsewhere(self.examples.features)

    def final(self, lift: float) -> LearnedRanker:
        """The ranker that serves, grown on all cases, its probabilities calibrated on the unseen scores."""
        learned_from = [self.examples] if self.earlier is None else [self.earlier, self.examples]
        grown = self.growth.grown(self.ranker, Examples.joined(learned_from), self.objectives)
        return replace(
            self.ranker,
            trees=tuple(grown[name] for name in self.objectives),
            scales=self.scales,
            prior=self.prior,
            lift=lift,
            calibration=self._curve(self._shown(lift)),
        )

    def _shown(self, lift: float) -> npt.NDArray[np.bool_]:
        """bool (m,): the ten best candidates of each case."""
        return self.examples.ranks(self.lifted(lift)) < K

    def _curve(self, rows: npt.NDArray[np.bool_]) -> Isotonic:
        """From scores to chances, for some candidates.

        What is shown is calibrated on what is shown: of two candidates with one score, the one that is tenth
        for somebody with few good ones is right more rarely than the thirtieth of a heavy shopper.
        """
        examples = self.examples
        weights = examples.weight[examples.owner]
        return Isotonic.fit(self.scores[rows], examples.right[rows], weights[rows])

    def values(self, scores: Floats, cases: EvalCases, dataset: Dataset) -> dict[str, Floats]:
        """Slice -> float32 (cases,): NDCG@10 of lists in the order of scores (m,), for the mission guard.

        `cases`: those of the examples; `dataset`: what the blend was fitted on.
        """
        examples, n = self.examples, dataset.n_items
        owner = np.repeat(np.arange(len(cases)), np.diff(cases.target_indptr))
        asked = examples.case[examples.owner] * n + examples.item
        same = examples.features[:, self.ranker.features.index("same_category")]
        open_list = examples.ranks(scores)
        other_only = examples.ranks(np.where(same == 0, scores, -np.inf).astype(np.float32))
        out = {}
        for one in slices_of(cases, dataset.taxonomy, dataset.item_counts):
            if one.name in SLICES[self.ranker.placement]:
                right = is_in(asked, owner[one.targets] * n + cases.target[one.targets])
                wanted = np.bincount(owner[one.targets], minlength=len(cases))
                place = other_only if one.limit == "other" else open_list
                out[one.name] = examples.ndcg_at(place, right, wanted)
        return out

    def figures(self, lift: float) -> dict[str, Any]:
        """What was tried; JSON-ready."""
        return {
            "objectives": list(self.objectives),
            "prior": self.prior,
            "ndcg@10": dict(self.quality),
            "retrievers": list(self.ranker.pool.retrievers),
            "candidates": float(self.examples.sizes.mean()),
            "recall": self._recall(),
            "cases": int(self.examples.asked.sum()),
            "calibration": self._reliability(lift),
        }

    def _reliability(self, lift: float) -> dict[str, Any]:
        """Of each half's shown items under the curve of the other half."""
        examples, shown = self.examples, self._shown(lift)
        weights = examples.weight[examples.owner]
        chances = np.empty(len(self.scores), np.float32)
        for k in (0, 1):
            mine = self.side == k
            chances[mine] = self._curve(shown & ~mine)(self.scores[mine])
        return reliability(chances[shown], examples.right[shown], weights[shown]).to_dict()

    def _recall(self) -> float:
        """Mean share of the right answers that are candidates: what no order of them can exceed."""
        examples = self.examples
        found = np.bincount(examples.owner, examples.right, len(examples.sizes)) / examples.wanted
        return float(found.sum() / max(int(examples.asked.sum()), 1))
