"""`ComplementSoftmax`: what goes into a basket from the other categories, learned as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.encoders.tfidf import TfidfEncoder
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.learning.networks import (
    SPLITS,
    Layer,
    Learned,
    Learning,
    centred,
    shared_out,
)
from crossaisle.models.space import Range, Space
from crossaisle.progress import bar

_SHARED = np.float32(0.5)
"""Weight of an item's aisle and of its words beside the item itself."""
AGAIN, SLOWER = 0.25, 0.4
"""Share of the passes, and of the learning rate, of a model that starts where an earlier one ended."""
_SEEN_IN = 5
"""Words of fewer items than this have no vector."""
_FIRST, _EVERY, _SHARE = 0.3, 4, 0.02
"""Of the running mean: the share of the steps after which it begins, every how many steps it follows, and by
what share of the way."""


@dataclass(kw_only=True)
class ComplementSoftmax(Scorer):
    """Two vectors per item, one as a cause and one as an effect, so that A -> B differs from B -> A.

    An example is a user or basket split in two: the items of one category, drawn at random, and the
    rest; or, of some baskets, any items and the rest. The former's source vectors,
    `h = sum_i source_i / sqrt(n)`, predict the latter under a softmax over all items of other categories, or
    a sample of them: `score(j) = bias_j + (h + W2 gelu(W1 norm(h))) . target_j`.
    A vector is the sum of what belongs to the item alone, to its leaf category and to its words (as in
    fastText, Bojanowski et al., TACL 2017; LightFM, Kula 2015), so that items bought seldom or never
    have one too. Trained by Adam on plain numpy. Full cross-entropy after Klenitskiy and Vasilev (RecSys
    2023), directed pairs of different categories after P-Companion (Hao et al., CIKM 2020).
    """

    dimensions: int = field(default=128, metadata={"low": 1, "high": 4096})
    """Length of the vectors."""
    epochs: int = field(default=7, metadata={"low": 1, "high": 1000})
    """Passes over the baskets."""
    learning_rate: float = field(default=4e-3, metadata={"low": 1e-8, "high": 0.1})
    """Of Adam at the start; falls to a fifth along a line."""
    dropout: float = field(default=0.25, metadata={"low": 0.0, "high": 0.9})
    """Share of the summed vector's components left out at each step."""
    hidden: int = field(default=256, metadata={"low": 1, "high": 4096})
    """Units of the hidden layer, which learns what only several items together say."""
    hidden_dropout: float = field(default=0.3, metadata={"low": 0.0, "high": 0.9})
    """Share of these units left out at each step."""
    networks: int = field(default=5, metadata={"low": 1, "high": 100})
    """Trained from different seeds; their scores are averaged."""
    batch: int = field(default=512, metadata={"low": 1, "high": 1_000_000})
    """Baskets per step."""
    max_items: int = field(default=12_000, metadata={"low": 1, "high": 10_000_000})
    """Only this many items, the most bought, are scored. Time grows in proportion."""
    baskets: bool = False
    """Learn from single baskets instead of users, where users have baskets of their own."""
    max_baskets: int | None = field(default=None, metadata={"low": 1, "high": 1_000_000_000})
    """Learn from a seeded sample of this many. None: from all. Time grows in proportion."""
    negatives: int | None = field(default=None, metadata={"low": 1, "high": 10_000_000})
    """Items drawn at each step to compete with what the batch buys; None: all. Of 12,000 items 1,000 cost a
    third of the time of all."""
    at_random: float = field(default=0.0, metadata={"low": 0.0, "high": 1.0})
    """Share of the baskets that are split at random instead of by a category: they also teach what goes
    together within a category, which is a lesson about the same vectors."""
    averaged: bool = False
    """Take the running mean of the last 200 steps or so in place of the last one."""
    words: bool = True
    """Whether items share the vectors of their leaf categories and words."""
    seed: int = field(default=0, metadata={"low": 0, "high": 2**31 - 1})

    source_: Floats = field(init=False, repr=False, compare=False)
    """float32 (networks, n_items, dimensions); 0 for items of which nothing is known."""
    target_: Floats = field(init=False, repr=False, compare=False)
    """float32 (networks, n_scored, dimensions)."""
    bias_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_scored,): log popularity, corrected by training; the smallest is 0."""
    inner_: Floats = field(init=False, repr=False, compare=False)
    """float32 (networks, dimensions + 1, hidden): W1, and a last row that is added."""
    outer_: Floats = field(init=False, repr=False, compare=False)
    """float32 (networks, hidden + 1, dimensions): W2, and a last row that is added."""
    place_: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    """int32 (n_items,): row among the scored items, -1 for others."""
    speaks_: npt.NDArray[np.bool_] = field(init=False, repr=False, compare=False)
    """bool (n_items,): whether an item in a history says anything."""

    ended: list[Learned] | None = field(default=None, init=False, repr=False, compare=False)
    """Where each network's learning ended, for a fit that goes on from there; not saved."""

    kind: ClassVar[str] = "complement"
    space: ClassVar[Space] = {
        "learning_rate": Range(low=5e-4, high=2e-2),
        "epochs": Range(low=2, high=20, log=False, whole=True),
        "dropout": Range(low=0.0, high=0.6, log=False),
        "dimensions": Range(low=32, high=256, whole=True),
        "at_random": Range(low=0.0, high=0.8, log=False),
    }
    continues: ClassVar[bool] = True
    slow: ClassVar[bool] = True
    reason: ClassVar[str] = "goes into the same basket"
    rest_reason: ClassVar[str | None] = "popular"
    learned: ClassVar[tuple[str, ...]] = (
        "source_",
        "target_",
        "bias_",
        "inner_",
        "outer_",
        "place_",
        "speaks_",
    )

    def fit(self, dataset: Dataset, *, progress: bool = False) -> ComplementSoftmax:
        return self._fit(dataset, None, progress)

    def fit_after(self, earlier: Scorer, dataset: Dataset) -> ComplementSoftmax:
        """From where an earlier model ended, `AGAIN` of the passes at `SLOWER` of the rate.

        The same as `fit` where that model was loaded: a saved folder keeps no vectors of features.
        """
        learned = earlier.ended if isinstance(earlier, ComplementSoftmax) else None
        return self._fit(dataset, learned, False)

    def _fit(self, dataset: Dataset, earlier: list[Learned] | None, progress: bool) -> ComplementSoftmax:
        baskets = self._examples(dataset)
        count = (
            np.bincount(baskets.indices, minlength=dataset.n_items) if self.baskets else dataset.item_counts
        )
        scored = np.sort(np.argsort(-count, kind="stable")[: min(self.max_items, int((count > 0).sum()))])
        self.place_ = np.full(dataset.n_items, -1, np.int32)
        self.place_[scored] = np.arange(len(scored))
        self.item_ids_ = dataset.item_ids
        features = self._features(dataset, scored)
        self.speaks_ = np.diff(features.indptr) > 0
        users = max(int((np.diff(baskets.indptr) > 0).sum()), 1)
        codes = dataset.taxonomy.codes()
        chances = None
        if self.negatives is not None:
            chances = _chances(baskets, codes, self.batch, self.at_random)[scored]
        learned = []
        for network in range(self.networks):
            learning = Learning(
                features=features,
                scored=scored,
                codes=codes,
                bias=np.log(np.maximum(count[scored], 1) / users).astype(np.float32),
                dimensions=self.dimensions,
                dropout=self.dropout,
                hidden=self.hidden,
                hidden_dropout=self.hidden_dropout,
                rng=np.random.default_rng((self.seed, network)),
                negatives=self.negatives,
                chances=chances,
                at_random=self.at_random,
            )
            further = earlier is not None and learning.take_over(earlier[network], scored)
            self._train(learning, baskets, further=further, progress=progress)
            learned.append(learning)
        self.ended = [each.learned(scored) for each in learned]
        self.source_ = np.stack([features @ each.source for each in learned])
        self.target_ = np.stack([features[scored] @ each.target for each in learned])
        self.inner_, self.outer_ = (np.stack([getattr(e, n) for e in learned]) for n in ("inner", "outer"))
        bias = np.mean([each.bias for each in learned], axis=0)
        self.bias_ = bias - bias.min(initial=0.0)
        return self

    def _examples(self, dataset: Dataset) -> sparse.csr_matrix:
        """csr float32 (n, n_items): the baskets or users to learn from."""
        baskets = (dataset.basket_matrix() if self.baskets else dataset.matrix()).tocsr()
        filled = np.flatnonzero(np.diff(baskets.indptr) > 0)
        if self.max_baskets is None or len(filled) <= self.max_baskets:
            return baskets
        chosen = np.random.default_rng(self.seed).permutation(filled)[: self.max_baskets]
        return baskets[np.sort(chosen)]

    def _features(self, dataset: Dataset, scored: npt.NDArray[np.integer]) -> sparse.csr_matrix:
        """csr float32 (n_items, n_features): the scored item itself; its leaf category; its words."""
        n = dataset.n_items
        parts = [sparse.identity(n, dtype=np.float32, format="csr")[:, scored]]
        if self.words:
            leaf = dataset.taxonomy.codes(-1)
            has = np.flatnonzero(leaf >= 0)
            ones = np.full(len(has), _SHARED, np.float32)
            parts.append(
                sparse.csr_matrix((ones, (has, leaf[has])), shape=(n, int(leaf.max(initial=-1)) + 1))
            )
            words = TfidfEncoder(min_df=_SEEN_IN, bigrams=False, forms=dataset.words).fit_transform(
                dataset.item_texts
            )
            parts.append(words * _SHARED)
        return sparse.hstack(parts, format="csr", dtype=np.float32)

    def _train(
        self, learning: Learning, baskets: sparse.csr_matrix, *, further: bool, progress: bool
    ) -> None:
        crossing = _spans_categories(baskets, learning.codes)
        epochs = max(1, round(self.epochs * AGAIN)) if further else self.epochs
        steps = epochs * -(-len(crossing) // self.batch)
        first = self.learning_rate * (SLOWER if further else 1.0)
        done = 0
        with bar("learning complements", steps, show=progress) as advance:
            for _ in range(epochs):
                order = learning.rng.permutation(crossing)
                for start in range(0, len(order), self.batch):
                    rate = first * (1.0 - 0.8 * done / steps)
                    learning.step(baskets[order[start : start + self.batch]], rate)
                    done += 1
                    if self.averaged and done > _FIRST * steps and done % _EVERY == 0:
                        learning.follow(_SHARE)
                    advance(1)
        learning.settle()

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items that are not scored and for histories that say nothing."""
        self.check_fitted()
        query = self._query(histories)
        out = np.full((len(histories), len(self.place_)), np.nan, np.float32)
        speaking = np.diff(query.indptr) > 0
        known = np.flatnonzero(self.place_ >= 0)
        scores = self.bias_ + sum(
            Layer(query @ self.source_[network], self.inner_[network]).meaning(self.outer_[network])
            @ self.target_[network].T
            for network in range(self.networks)
        ) / np.float32(self.networks)
        scores[~speaking] = np.nan
        out[:, known] = scores
        return out

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: with its gates held the hidden layer is linear, so its share falls to the events, too.

        The rest is the item's bias and those of the layer.
        """
        self.check_fitted()
        place, out = self.place_[item], np.zeros(len(histories.item), np.float32)
        query = self._query(histories)
        if place < 0 or not query.nnz:
            return out, 0.0
        events = histories.item
        # The weight of an item is shared by its repeats.
        weight = query.toarray().ravel() / np.maximum(np.bincount(events, minlength=len(self.place_)), 1)
        rest = float(self.bias_[place])
        for network in range(self.networks):
            source, target = self.source_[network], self.target_[network, place]
            layer = Layer(query @ source, self.inner_[network])
            through = layer.gate[0] * (self.outer_[network, :-1] @ target)
            through = target + centred(self.inner_[network, :-1] @ through) / layer.deviation[0]
            each = weight[events] * (source[events] @ through)
            out += each / np.float32(self.networks)
            meant = layer.meaning(self.outer_[network])
            rest += float(meant[0] @ target - each.sum()) / self.networks
        return out, rest

    def _query(self, histories: Histories) -> sparse.csr_matrix:
        """csr float32 (n, n_items): the items of a history that say something, sharing its weight."""
        speaking = self.speaks_[histories.item]
        shape = (len(histories), len(self.place_))
        return shared_out(histories.owner[speaking], histories.item[speaking], shape)


def _spans_categories(baskets: sparse.csr_matrix, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Rows of the baskets with items of two or more categories."""
    filled = np.flatnonzero(np.diff(baskets.indptr) > 0)
    found = codes[baskets.indices]
    low = np.minimum.reduceat(found, baskets.indptr[filled]) if len(filled) else filled
    high = np.maximum.reduceat(found, baskets.indptr[filled]) if len(filled) else filled
    return filled[low < high]


def _chances(
    baskets: sparse.csr_matrix, codes: npt.NDArray[np.int32], batch: int, at_random: float = 0.0
) -> Floats:
    """float32 (n_items,): how likely each is bought by one of a batch of baskets, beside what is asked from.

    A basket is asked from the category of one of its items, drawn evenly, or, for the share `at_random` of
    the baskets, from any of its items.
    """
    crossing = baskets[_spans_categories(baskets, codes)]
    lengths = np.diff(crossing.indptr)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    key = owner * (int(codes.max(initial=-1)) + 2) + codes[crossing.indices] + 1
    _, group, sizes = np.unique(key, return_inverse=True, return_counts=True)
    bought = (1.0 - at_random) * (1.0 - sizes[group] / lengths[owner])
    bought += at_random * (1.0 - np.mean(SPLITS))
    share = np.bincount(crossing.indices, bought, baskets.shape[1]) / max(len(lengths), 1)
    chances: Floats = (1.0 - (1.0 - share) ** batch).astype(np.float32)
    return chances
