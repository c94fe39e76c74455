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
from crossaisle.progress import bar


@dataclass(kw_only=True)
class ComplementSoftmax(Scorer):
    """Two vectors per item, one as a cause and one as an effect, so that A -> B differs from B -> A.

    An example is a user or basket split in two: the items of one category, drawn at random, and the
    rest. The sum of the former's source vectors predicts the latter under a full softmax over all
    items of other categories: `score(j) = bias_j + sum_i source_i . target_j / sqrt(n)`. Trained by
    Adam on plain numpy. Full cross-entropy after Klenitskiy and Vasilev (RecSys 2023), directed pairs
    of different categories after P-Companion (Hao et al., CIKM 2020).
    """

    dimensions: int = 128
    """Length of the vectors."""
    epochs: int = 7
    """Passes over the baskets."""
    learning_rate: float = 4e-3
    """Of Adam at the start; falls to a fifth along a line."""
    dropout: float = 0.25
    """Share of the summed vector's components left out at each step."""
    batch: int = 512
    """Baskets per step."""
    max_items: int = 12_000
    """Only this many items, the most bought, take part. Time grows in proportion."""
    texts: bool = True
    """Start from the leading dimensions of the items' TF-IDF texts, so that rare items start near their
    like (LLMInit, 2025, with words in place of a language model)."""
    seed: int = 0

    source_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_known, dimensions)."""
    target_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_known, dimensions)."""
    bias_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_known,): log popularity, corrected by training; the smallest is 0."""
    place_: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    """int32 (n_items,): row among the known items, -1 unknown."""

    kind: ClassVar[str] = "complement"
    reason: ClassVar[str] = "goes into the same basket"
    learned: ClassVar[tuple[str, ...]] = ("source_", "target_", "bias_", "place_")

    def fit(self, dataset: Dataset, *, progress: bool = False) -> ComplementSoftmax:
        count = dataset.item_counts
        busy = np.sort(np.argsort(-count, kind="stable")[: min(self.max_items, int((count > 0).sum()))])
        self.place_ = np.full(dataset.n_items, -1, np.int32)
        self.place_[busy] = np.arange(len(busy))
        self.item_ids_ = dataset.item_ids
        baskets = dataset.matrix()[:, busy].tocsr()
        rng = np.random.default_rng(self.seed)
        size = (len(busy), self.dimensions)
        self.source_ = rng.normal(0.0, 0.02, size).astype(np.float32)
        self.target_ = rng.normal(0.0, 0.02, size).astype(np.float32)
        if self.texts:
            start = _text_vectors([dataset.item_texts[i] for i in busy], self.dimensions)
            self.source_ += start
            self.target_ += start
        users = max(int((np.diff(baskets.indptr) > 0).sum()), 1)
        self.bias_ = np.log(np.maximum(count[busy], 1) / users).astype(np.float32)
        self._train(baskets, dataset.taxonomy.codes()[busy], rng, progress=progress)
        self.bias_ -= self.bias_.min(initial=0.0)
        return self

    def _train(
        self,
        baskets: sparse.csr_matrix,
        codes: npt.NDArray[np.int32],
        rng: np.random.Generator,
        *,
        progress: bool,
    ) -> None:
        crossing = _spans_categories(baskets, codes)
        members = [codes == code for code in range(int(codes.max(initial=-1)) + 1)]
        rules = [_Adam(p) for p in (self.source_, self.target_, self.bias_)]
        steps = self.epochs * -(-len(crossing) // self.batch)
        done = 0
        with bar("learning complements", steps, show=progress) as advance:
            for _ in range(self.epochs):
                order = rng.permutation(crossing)
                for start in range(0, len(order), self.batch):
                    rate = self.learning_rate * (1.0 - 0.8 * done / steps)
                    rows = baskets[order[start : start + self.batch]]
                    self._step(rows, codes, members, rules, rate, rng)
                    done += 1
                    advance(1)

    def _step(
        self,
        rows: sparse.csr_matrix,
        codes: npt.NDArray[np.int32],
        members: list[npt.NDArray[np.bool_]],
        rules: list[_Adam],
        rate: float,
        rng: np.random.Generator,
    ) -> None:
        """One step of Adam on one batch of baskets."""
        n, lengths = rows.shape[0], np.diff(rows.indptr)
        owner = np.repeat(np.arange(n), lengths)
        drawn = rows.indices[rows.indptr[:-1] + (rng.random(n) * lengths).astype(np.int64)]
        asked = codes[drawn]
        given = codes[rows.indices] == asked[owner]
        query = _rows(owner[given], rows.indices[given], rows.shape)
        query.data /= np.sqrt(np.bincount(owner[given], minlength=n))[owner[given]].astype(np.float32)
        keep = (rng.random((n, self.dimensions)) >= self.dropout) / np.float32(1.0 - self.dropout)
        hidden = (query @ self.source_) * keep.astype(np.float32)  # (n, d)
        logits = hidden @ self.target_.T + self.bias_  # (n, items)
        for code in np.unique(asked):
            if code >= 0:
                logits[np.ix_(asked == code, members[code])] = -np.inf
        logits -= logits.max(axis=1, keepdims=True)
        chance = np.exp(logits, out=logits)
        wanted = np.bincount(owner[~given], minlength=n).astype(np.float32)
        total = np.float32(max(wanted.sum(), 1.0))
        chance *= (wanted / chance.sum(axis=1) / total)[:, None]
        # d loss / d logits: what was predicted less what was bought, per bought item.
        np.subtract.at(chance, (owner[~given], rows.indices[~given]), 1.0 / total)
        back = (chance @ self.target_) * keep.astype(np.float32)  # (n, d)
        touched = np.unique(rows.indices[given])
        rules[1].update(chance.T @ hidden, rate)
        rules[2].update(chance.sum(axis=0), rate)
        rules[0].update(query[:, touched].T @ back, rate, touched)

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items that did not take part and histories without one that did."""
        self.check_fitted()
        query = self._query(histories)
        out = np.full((len(histories), len(self.place_)), np.nan, np.float32)
        speaking = np.diff(query.indptr) > 0
        known = np.flatnonzero(self.place_ >= 0)
        scores = (query @ self.source_) @ self.target_.T + self.bias_
        scores[~speaking] = np.nan
        out[:, known] = scores
        return out

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: each event's vector times the item's; the rest is the item's bias."""
        self.check_fitted()
        place, out = self.place_[item], np.zeros(len(histories.item), np.float32)
        query = self._query(histories)
        if place < 0 or not query.nnz:
            return out, 0.0
        source = self.place_[histories.item]
        known = source >= 0
        # The weight of an item is shared by its repeats.
        repeats = np.bincount(source[known], minlength=len(self.bias_))
        weight = query.toarray().ravel() / np.maximum(repeats, 1)
        out[known] = weight[source[known]] * (self.source_[source[known]] @ self.target_[place])
        return out, float(self.bias_[place])

    def _query(self, histories: Histories) -> sparse.csr_matrix:
        """csr float32 (n, n_known): 1 / sqrt(number of known items) for each known item of a history."""
        source = self.place_[histories.item]
        known = source >= 0
        query = _rows(histories.owner[known], source[known], (len(histories), len(self.bias_)))
        lengths = np.diff(query.indptr)
        query.data = np.repeat(1.0 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
        return query


def _text_vectors(texts: list[str], dimensions: int) -> Floats:
    """float32 (n, dimensions): truncated SVD of TF-IDF, small enough to be unlearned."""
    words = TfidfEncoder(min_df=2, bigrams=False).fit_transform(texts)
    rank = min(dimensions, *words.shape)
    out = np.zeros((len(texts), dimensions), np.float32)
    if rank:
        # Randomised range finder (Halko, Martinsson and Tropp 2011): ARPACK gives other bits each time.
        basis = words @ np.random.default_rng(0).normal(size=(words.shape[1], rank)).astype(np.float32)
        for _ in range(4):
            basis = words @ (words.T @ np.linalg.qr(basis)[0])
        basis = np.linalg.qr(basis)[0]
        left, size, _ = np.linalg.svd((words.T @ basis).T, full_matrices=False)
        out[:, :rank] = (basis @ left) * size
        out *= np.float32(0.03) / max(float(out.std()), 1e-9)
    return out


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


def _rows(
    owner: npt.NDArray[np.integer], column: npt.NDArray[np.integer], shape: tuple[int, int]
) -> sparse.csr_matrix:
    """csr float32 of ones; repeats count once."""
    out = sparse.csr_matrix((np.ones(len(owner), np.float32), (owner, column)), shape=shape)
    out.data[:] = 1.0
    return out


def _spans_categories(baskets: sparse.csr_matrix, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Rows of the baskets with items of two or more categories."""
    filled = np.flatnonzero(np.diff(baskets.indptr) > 0)
    found = codes[baskets.indices]
    low = np.minimum.reduceat(found, baskets.indptr[filled]) if len(filled) else filled
    high = np.maximum.reduceat(found, baskets.indptr[filled]) if len(filled) else filled
    return filled[low < high]
