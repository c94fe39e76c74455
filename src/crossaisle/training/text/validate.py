"""Validation during fine-tuning: NDCG on held-out cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.vocabulary import Rows
from crossaisle.encoders.whiten import Whitening
from crossaisle.evaluate.metrics import Relevant, ndcg
from crossaisle.training.text.backbone import Backbone
from crossaisle.training.text.towers import Towers

MAX_CASES = 400
JUDGES = 600
MAX_ITEMS = 1500
_BATCH = 128


@dataclass(frozen=True)
class Held:
    """A seeded sample of cases and of the catalogue, small enough to be evaluated repeatedly.

    NDCG@10 is computed over these items only, so it is higher than over the whole catalogue: use it only to
    decide when to stop.
    """

    cases: EvalCases
    items: Rows

    @classmethod
    def of(cls, cases: EvalCases, n_items: int, *, length: int, seed: int) -> Held:
        """At most `MAX_CASES` cases with a history and a target; histories are cut to `length` items."""
        rng = np.random.default_rng([seed, 4])
        usable = np.flatnonzero((cases.histories.lengths > 0) & (np.diff(cases.target_indptr) > 0))
        picked = cases.take(np.sort(rng.permutation(usable)[:MAX_CASES]))
        newest = [picked.histories.items_of(row)[-length:] for row in range(len(picked))]
        short = Histories.of(newest)
        needed = np.unique(picked.target)
        rest = np.setdiff1d(np.arange(n_items), needed)
        filler = rng.permutation(rest)[: max(MAX_ITEMS - len(needed), 0)]
        items = np.sort(np.concatenate([needed, filler])).astype(np.int32)
        return cls(EvalCases(short, picked.target_indptr, picked.target, picked.mask_seen), items)

    @torch.no_grad()
    def ndcg(self, towers: Towers) -> float:
        """Mean NDCG@10; items of the history are excluded if the cases say so."""
        if not len(self.cases):
            return float("nan")
        rows, training = self.rows, towers.training
        towers.eval()
        vectors = torch.cat([towers.read(rows[i : i + _BATCH]) for i in range(0, len(rows), _BATCH)])
        queries = torch.from_numpy(self._bags()).to(vectors) @ vectors
        scores = (towers.histories(queries) @ towers.items(vectors).T).float().cpu().numpy()
        towers.train(training)
        return float(np.nanmean(self._gains(scores)))

    def served(self, backbone: Backbone, texts: Sequence[str], *, progress: bool = False) -> Floats:
        """float32 (n,): NDCG@10 of each case when ranking as a shop's models do, by whitened cosines.

        `texts`: those of the whole catalogue.
        """
        raw = backbone.encode([texts[row] for row in self.rows], progress=progress)
        white = Whitening.fit(raw).apply(raw)
        return self._gains(((self._bags() @ white) @ white.T).astype(np.float32))

    @property
    def rows(self) -> Rows:
        """int32: the items to encode, candidates and histories."""
        both: Rows = np.union1d(self.items, self.cases.histories.item).astype(np.int32)
        return both

    def _bags(self) -> Floats:
        """float32 (n, len(rows)): decayed weights of the histories."""
        histories = self.cases.histories
        place = np.searchsorted(self.rows, histories.item)
        bags = replace(histories, item=place.astype(np.int32))
        dense: Floats = bags.matrix(Decay(events=2.0).weights(histories), len(self.rows)).toarray()
        return dense

    def _gains(self, scores: Floats) -> Floats:
        """float32 (n,): NDCG@10 from scores of all `rows`, which are overwritten."""
        rows, histories = self.rows, self.cases.histories
        candidate = np.isin(rows, self.items)
        scores[:, ~candidate] = -np.inf
        if self.cases.mask_seen:
            scores[histories.owner, np.searchsorted(rows, histories.item)] = -np.inf
        owner = np.repeat(np.arange(len(self.cases)), np.diff(self.cases.target_indptr))
        own = scores[owner, np.searchsorted(rows, self.cases.target)]
        ties = np.maximum((scores[owner] == own[:, None]).sum(axis=1), 1)
        rank = (scores[owner] > own[:, None]).sum(axis=1) + (ties + 1) / 2
        rank[~(own > -np.inf)] = np.inf  # no candidate, or no number
        gains: Floats = ndcg(Relevant(owner, rank, len(self.cases), ties), 10).astype(np.float32)
        return gains


def apart(cases: EvalCases, seed: int) -> tuple[EvalCases, EvalCases]:
    """Divides cases into those that decide when to stop, and others for the final measurement."""
    usable = np.flatnonzero((cases.histories.lengths > 0) & (np.diff(cases.target_indptr) > 0))
    order = np.random.default_rng([seed, 9]).permutation(usable)
    half = min(MAX_CASES, len(order) // 2)
    return cases.take(np.sort(order[:half])), cases.take(np.sort(order[half : half + JUDGES]))
