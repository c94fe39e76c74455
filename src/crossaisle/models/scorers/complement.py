"""`ComplementSoftmax`: what goes into a basket from the other categories, learned as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import ndtr

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.encoders.tfidf import TfidfEncoder
from crossaisle.models.base import Scorer
from crossaisle.models.space import Range, Space
from crossaisle.progress import bar

_SHARED = np.float32(0.5)
"""Weight of an item's aisle and of its words beside the item itself."""
_LEAST = np.float32(1e-6)
"""Added to a variance, which is 0 for a history that says nothing."""
AGAIN, SLOWER = 0.25, 0.4
"""Share of the passes, and of the learning rate, of a model that starts where an earlier one ended."""
_SEEN_IN = 5
"""Words of fewer items than this have no vector."""


@dataclass(kw_only=True)
class ComplementSoftmax(Scorer):
    """Two vectors per item, one as a cause and one as an effect, so that A -> B differs from B -> A.

    An example is a user or basket split in two: the items of one category, drawn at random, and the
    rest. The former's source vectors, `h = sum_i source_i / sqrt(n)`, predict the latter under a full
    softmax over all items of other categories: `score(j) = bias_j + (h + W2 gelu(W1 norm(h))) . target_j`.
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

    ended: list[_Learned] | None = field(default=None, init=False, repr=False, compare=False)
    """Where each network's learning ended, for a fit that goes on from there; not saved."""

    kind: ClassVar[str] = "complement"
    space: ClassVar[Space] = {
        "learning_rate": Range(low=5e-4, high=2e-2),
        "epochs": Range(low=2, high=12, log=False, whole=True),
        "dropout": Range(low=0.0, high=0.6, log=False),
        "dimensions": Range(low=32, high=256, whole=True),
    }
    continues: ClassVar[bool] = True
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

    def _fit(self, dataset: Dataset, earlier: list[_Learned] | None, progress: bool) -> ComplementSoftmax:
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
        learned = []
        for network in range(self.networks):
            learning = _Learning(
                features=features,
                scored=scored,
                codes=dataset.taxonomy.codes(),
                bias=np.log(np.maximum(count[scored], 1) / users).astype(np.float32),
                dimensions=self.dimensions,
                dropout=self.dropout,
                hidden=self.hidden,
                hidden_dropout=self.hidden_dropout,
                rng=np.random.default_rng((self.seed, network)),
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
        self, learning: _Learning, baskets: sparse.csr_matrix, *, further: bool, progress: bool
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
                    advance(1)

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items that are not scored and for histories that say nothing."""
        self.check_fitted()
        query = self._query(histories)
        out = np.full((len(histories), len(self.place_)), np.nan, np.float32)
        speaking = np.diff(query.indptr) > 0
        known = np.flatnonzero(self.place_ >= 0)
        scores = self.bias_ + sum(
            _Layer(query @ self.source_[network], self.inner_[network]).meaning(self.outer_[network])
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
            layer = _Layer(query @ source, self.inner_[network])
            through = layer.gate[0] * (self.outer_[network, :-1] @ target)
            through = target + _centred(self.inner_[network, :-1] @ through) / layer.deviation[0]
            each = weight[events] * (source[events] @ through)
            out += each / np.float32(self.networks)
            meant = layer.meaning(self.outer_[network])
            rest += float(meant[0] @ target - each.sum()) / self.networks
        return out, rest

    def _query(self, histories: Histories) -> sparse.csr_matrix:
        """csr float32 (n, n_items): the items of a history that say something, sharing its weight."""
        speaking = self.speaks_[histories.item]
        shape = (len(histories), len(self.place_))
        return _shared_out(histories.owner[speaking], histories.item[speaking], shape)


class _Layer:
    """A residual hidden layer: normalised (Ba et al. 2016), GELU (Hendrycks and Gimpel 2016)."""

    def __init__(self, summed: Floats, inner: Floats) -> None:
        """`summed` float32 (n, d), `inner` (d + 1, hidden)."""
        self.summed = summed
        centred = _centred(summed)
        self.deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + _LEAST)  # (n, 1)
        self.normal = centred / self.deviation
        self.before = self.normal @ inner[:-1] + inner[-1]  # (n, hidden)
        self.gate: Floats = ndtr(self.before)
        """float32 (n, hidden): with gates and deviation held, the layer is linear in `summed`."""
        self.after = self.before * self.gate

    def meaning(self, outer: Floats, keep: Floats | float = 1.0) -> Floats:
        """float32 (n, d): what came in, and what the layer adds."""
        out: Floats = self.summed + (self.after * keep) @ outer[:-1] + outer[-1]
        return out

    @property
    def slope(self) -> Floats:
        """float32 (n, hidden): derivative of GELU."""
        density = np.exp(-0.5 * self.before**2) / np.float32(np.sqrt(2.0 * np.pi))
        slope: Floats = self.gate + self.before * density
        return slope

    def back(self, gradient: Floats) -> Floats:
        """From d loss / d normal to d loss / d summed, both (n, d)."""
        along = (gradient * self.normal).mean(axis=1, keepdims=True)
        of_summed: Floats = (_centred(gradient) - self.normal * along) / self.deviation
        return of_summed


def _centred(rows: Floats) -> Floats:
    centred: Floats = rows - rows.mean(axis=-1, keepdims=True)
    return centred


class _Learned(NamedTuple):
    """What one network has learned of features: of the scored items, then of leaf categories and words."""

    scored: npt.NDArray[np.integer]
    source: Floats
    target: Floats
    bias: Floats
    inner: Floats
    outer: Floats


class _Learning:
    """What is learned, and one step of learning it."""

    def __init__(
        self,
        *,
        features: sparse.csr_matrix,
        scored: npt.NDArray[np.integer],
        codes: npt.NDArray[np.int32],
        bias: Floats,
        dimensions: int,
        dropout: float,
        hidden: int,
        hidden_dropout: float,
        rng: np.random.Generator,
    ) -> None:
        """`features` csr (n_items, n_features); `scored` rows of items; `codes` (n_items,) of categories."""
        size = (features.shape[1], dimensions)
        self.source = rng.normal(0.0, 0.02, size).astype(np.float32)
        self.target = rng.normal(0.0, 0.02, size).astype(np.float32)
        self.bias = bias
        self.inner = np.zeros((dimensions + 1, hidden), np.float32)
        self.inner[:-1] = rng.normal(0.0, dimensions**-0.5, (dimensions, hidden))
        self.outer = np.zeros((hidden + 1, dimensions), np.float32)
        self.codes, self.dropout, self.hidden_dropout, self.rng = codes, dropout, hidden_dropout, rng
        self._features, self._of_scored = features, features[scored]
        self._back = self._of_scored.T.tocsr()
        self._place = np.full(features.shape[0], -1, np.int64)
        self._place[scored] = np.arange(len(scored))
        self._members = [codes[scored] == code for code in range(int(codes.max(initial=-1)) + 1)]
        self._rules = [_Adam(p) for p in (self.source, self.target, self.bias, self.inner, self.outer)]

    def learned(self, scored: npt.NDArray[np.integer]) -> _Learned:
        return _Learned(scored, self.source, self.target, self.bias, self.inner, self.outer)

    def take_over(self, earlier: _Learned, scored: npt.NDArray[np.integer]) -> bool:
        """Starts from what was learned of the same catalogue; False, and nothing, where shapes differ.

        Items that were not scored then keep their random start.
        """
        _, mine, theirs = np.intersect1d(scored, earlier.scored, return_indices=True)
        shared = len(self.source) - len(scored)
        if shared != len(earlier.source) - len(earlier.scored) or self.inner.shape != earlier.inner.shape:
            return False
        for own, known in ((self.source, earlier.source), (self.target, earlier.target)):
            own[mine] = known[theirs]
            own[len(scored) :] = known[len(earlier.scored) :]
        self.bias[mine] = earlier.bias[theirs]
        self.inner[:], self.outer[:] = earlier.inner, earlier.outer
        return True

    def step(self, baskets: sparse.csr_matrix, rate: float) -> None:
        """Adam on a batch of baskets, csr (n, n_items)."""
        n, lengths = baskets.shape[0], np.diff(baskets.indptr)
        owner, item = np.repeat(np.arange(n), lengths), baskets.indices
        asked = self.codes[item[baskets.indptr[:-1] + (self.rng.random(n) * lengths).astype(np.int64)]]
        given = self.codes[item] == asked[owner]
        spread = (_shared_out(owner[given], item[given], baskets.shape) @ self._features).tocsr()
        keep = self._kept((n, self.source.shape[1]), self.dropout)
        keep_hidden = self._kept((n, self.inner.shape[1]), self.hidden_dropout)
        summed = (spread @ self.source) * keep  # (n, d)
        layer = _Layer(summed, self.inner)
        meant = layer.meaning(self.outer, keep_hidden)  # (n, d)
        target = self._of_scored @ self.target  # (n_scored, d)
        logits = meant @ target.T + self.bias
        for code in np.unique(asked):
            if code >= 0:
                logits[np.ix_(asked == code, self._members[code])] = -np.inf
        # Where all scored items are of the category that is asked for, nothing is predicted.
        logits -= np.maximum(logits.max(axis=1, keepdims=True), np.finfo(np.float32).min)
        chance = np.exp(logits, out=logits)
        bought = ~given & (self._place[item] >= 0)
        wanted = np.bincount(owner[bought], minlength=n).astype(np.float32)
        total = np.float32(max(wanted.sum(), 1.0))
        chance *= (wanted / np.maximum(chance.sum(axis=1), 1.0) / total)[:, None]
        # d loss / d logits: what was predicted less what was bought, per bought item.
        np.subtract.at(chance, (owner[bought], self._place[item[bought]]), 1.0 / total)
        back = chance @ target  # (n, d)
        back_hidden = (back @ self.outer[:-1].T) * keep_hidden * layer.slope
        back_summed = (back + layer.back(back_hidden @ self.inner[:-1].T)) * keep
        touched = np.unique(spread.indices)
        of_source, of_target, of_bias, of_inner, of_outer = self._rules
        of_target.update(self._back @ (chance.T @ meant), rate)
        of_bias.update(chance.sum(axis=0), rate)
        of_inner.update(np.vstack([layer.normal.T @ back_hidden, back_hidden.sum(axis=0)]), rate)
        of_outer.update(np.vstack([(layer.after * keep_hidden).T @ back, back.sum(axis=0)]), rate)
        of_source.update(spread[:, touched].T @ back_summed, rate, touched)

    def _kept(self, shape: tuple[int, int], dropout: float) -> Floats:
        """1 / (1 - dropout) for what is kept, else 0."""
        return ((self.rng.random(shape) >= dropout) / np.float32(1.0 - dropout)).astype(np.float32)


class _Adam:
    """Kingma and Ba, Adam (ICLR 2015), in place; rows without a gradient may be left out."""

    def __init__(self, parameter: Floats) -> None:
        self.parameter, self.steps = parameter, 0
        self.mean, self.square = np.zeros_like(parameter), np.zeros_like(parameter)

    def update(
        self, gradient: Floats, rate: float, rows: npt.NDArray[np.integer] | slice = slice(None)
    ) -> None:
        self.steps += 1
        mean = 0.9 * self.mean[rows] + 0.1 * gradient
        square = 0.999 * self.square[rows] + 0.001 * gradient * gradient
        self.mean[rows], self.square[rows] = mean, square
        scale = np.float32(rate * np.sqrt(1.0 - 0.999**self.steps) / (1.0 - 0.9**self.steps))
        self.parameter[rows] -= scale * mean / (np.sqrt(square) + np.float32(1e-8))


def _shared_out(
    owner: npt.NDArray[np.integer], column: npt.NDArray[np.integer], shape: tuple[int, int]
) -> sparse.csr_matrix:
    """csr float32: 1 / sqrt(entries of the row) for each entry; repeats count once."""
    out = sparse.csr_matrix((np.ones(len(owner), np.float32), (owner, column)), shape=shape)
    lengths = np.diff(out.indptr)
    out.data = np.repeat(1.0 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
    return out


def _spans_categories(baskets: sparse.csr_matrix, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Rows of the baskets with items of two or more categories."""
    filled = np.flatnonzero(np.diff(baskets.indptr) > 0)
    found = codes[baskets.indices]
    low = np.minimum.reduceat(found, baskets.indptr[filled]) if len(filled) else filled
    high = np.maximum.reduceat(found, baskets.indptr[filled]) if len(filled) else filled
    return filled[low < high]
