"""NDCG on held-out cases while a language model trains."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from crossaisle.data.cases import Cases
from crossaisle.data.history import Decay, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.evaluate.metrics import Relevant, ndcg
from crossaisle.training.towers import Towers

MAX_CASES = 400
MAX_ITEMS = 1500
_BATCH = 128


@dataclass(frozen=True)
class Held:
    """A seeded sample of cases and of the catalogue, small enough to be read again and again.

    The figure is NDCG@10 among these items, so it is higher than one over the whole catalogue: it
    chooses when to stop, nothing else.
    """

    cases: Cases
    items: Rows

    @classmethod
    def of(cls, cases: Cases, n_items: int, *, length: int, seed: int) -> Held:
        """At most `MAX_CASES` cases that have a history and a target; histories cut to `length` items."""
        rng = np.random.default_rng([seed, 4])
        usable = np.flatnonzero((cases.histories.lengths > 0) & (np.diff(cases.target_indptr) > 0))
        picked = cases.take(np.sort(rng.permutation(usable)[:MAX_CASES]))
        newest = [picked.histories.items_of(row)[-length:] for row in range(len(picked))]
        short = Histories.of(newest)
        needed = np.unique(picked.target)
        rest = np.setdiff1d(np.arange(n_items), needed)
        filler = rng.permutation(rest)[: max(MAX_ITEMS - len(needed), 0)]
        items = np.sort(np.concatenate([needed, filler])).astype(np.int32)
        return cls(Cases(short, picked.target_indptr, picked.target, picked.mask_seen), items)

    @torch.no_grad()
    def ndcg(self, towers: Towers) -> float:
        """Mean NDCG@10; items of a history are no candidates where the cases say so."""
        if not len(self.cases):
            return float("nan")
        histories = self.cases.histories
        rows = np.union1d(self.items, histories.item).astype(np.int32)
        training = towers.training
        towers.eval()
        vectors = torch.cat([towers.read(rows[i : i + _BATCH]) for i in range(0, len(rows), _BATCH)])
        place = np.searchsorted(rows, histories.item)
        weights = Decay(events=2.0).weights(histories)
        bags = replace(histories, item=place.astype(np.int32))
        queries = torch.from_numpy(bags.matrix(weights, len(rows)).toarray()).to(vectors) @ vectors
        scores = (towers.histories(queries) @ towers.items(vectors).T).float().cpu().numpy()
        towers.train(training)
        candidate = np.isin(rows, self.items)
        scores[:, ~candidate] = -np.inf
        if self.cases.mask_seen:
            scores[bags.owner, bags.item] = -np.inf
        owner = np.repeat(np.arange(len(self.cases)), np.diff(self.cases.target_indptr))
        own = scores[owner, np.searchsorted(rows, self.cases.target)]
        rank = 1.0 + (scores[owner] > own[:, None]).sum(axis=1)
        rank[np.isneginf(own)] = np.inf
        ties = np.ones(len(rank), np.int64)
        return float(np.nanmean(ndcg(Relevant.spread(owner, rank, ties, len(self.cases)), 10)))
