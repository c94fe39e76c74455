"""`SpectralEASE`: EASE for shops with fewer users than items, in a few hundred dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories, ItemWeights
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.models.base import Arrays, Scorer
from crossaisle.models.dense.coarse import CoarseRows
from crossaisle.models.dense.folded import FoldedQueries
from crossaisle.models.dense.products import products
from crossaisle.models.dense.rough import Rough
from crossaisle.models.space import AnyDecay, Choice, Range, Space
from crossaisle.sharing import shared

LEADING = 512
"""Dimensions by which items are nominated, or half of all where that is more. Of completejourney's lists
they miss one item in a thousand, and the codes of 25,000 items stay in the processor's cache."""
FEWER = 128
"""The same where these do: in sums with what people bought before, which says most."""


@dataclass(kw_only=True)
class SpectralEASE(Scorer):
    """EASE solved over users: with X = U S V', its weights are V diag(s2 / (s2 + ridge)) V' / (1 - diagonal).

    Equal to Steck's listing (WWW 2019) by the Woodbury identity when all dimensions are kept. Long
    histories need all small weights of a row; the leading dimensions hold them in far less space than
    a list of the largest ones.
    """

    ridge: float | None = field(default=None, metadata={"low": 1e-6, "high": 1e9})
    """L2 penalty; None takes 25 times the mean squared weight of an item's column."""
    dimensions: int = field(default=1024, metadata={"low": 1, "high": 1_000_000})
    """The largest singular values kept."""
    max_users: int = field(default=6000, metadata={"low": 1, "high": 10_000_000})
    """Learn from a seeded sample of this many users; time grows with the cube."""
    decay: Decay = field(default_factory=Decay)
    """How much older events of the query's history count."""
    combine: Literal["sum", "log", "max"] = "log"
    """A user's repeats of an item come to their sum, ln(1 + sum), or the strongest one."""

    factors_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_items, dimensions): V, times the root of its singular value's share, in numbers that
    float16 can hold, which is what a saved folder has."""
    diagonal_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_items,): what an item says about itself, taken out again."""
    known_: npt.NDArray[np.bool_] = field(init=False, repr=False, compare=False)
    """bool (n_items,): items with events."""

    kind: ClassVar[str] = "spectral_ease"
    slow: ClassVar[bool] = True
    space: ClassVar[Space] = {
        "ridge": Range(low=5.0, high=5000.0),
        "combine": Choice(("log", "sum", "max")),
        "decay": AnyDecay(),
    }
    learned: ClassVar[tuple[str, ...]] = ("factors_", "diagonal_", "known_")

    def fit(self, dataset: Dataset) -> SpectralEASE:
        histories = dataset.histories()
        if len(histories) > self.max_users:
            chosen = np.random.default_rng(0).permutation(len(histories))[: self.max_users]
            histories = histories.take(np.sort(chosen))
        users = histories.matrix(None, dataset.n_items, combine=self.combine)
        self.known_ = dataset.item_counts > 0
        squares = users.power(2).sum()
        ridge = self.ridge or 25.0 * float(squares) / max(int(self.known_.sum()), 1)
        value, vector = linalg.eigh((users @ users.T).toarray().astype(np.float64), overwrite_a=True)
        real = np.flatnonzero(value > 1e-6 * max(value.max(initial=0.0), 1e-12))[::-1]
        value, vector = value[real], vector[:, real]
        share = value / (value + ridge)
        items = (users.T @ vector.astype(np.float32)) * np.sqrt(share / value).astype(np.float32)
        self.diagonal_ = (items**2).sum(axis=1).astype(np.float32)
        # float32 sums of up to 1.0 may end a hair above it.
        self.diagonal_ = np.minimum(self.diagonal_, 1.0 - 1e-6).astype(np.float32)
        self.factors_ = items[:, : self.dimensions].astype(np.float16).astype(np.float32)
        self.item_ids_ = dataset.item_ids
        return self

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items without events and for histories without a known item."""
        self.check_fitted()
        query = self._query(histories)
        scores = products(query @ self.factors_, self.factors_)
        row = np.repeat(np.arange(len(histories)), np.diff(query.indptr))
        scores[row, query.indices] -= query.data * self._own[query.indices]
        scores /= 1.0 - self.diagonal_
        return self._silenced(scores, histories)

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        query = self._item_weights(histories)
        vectors = self._folded.of(histories.user, query, self.factors_)
        speaking = self._speaking(histories)
        return [
            self._exact(query, vectors, at, here) if speaking[at] else np.full(len(here), np.nan, np.float32)
            for at, here in enumerate(rows)
        ]

    def prepare(self) -> None:
        scales = (1.0 / (1.0 - self.diagonal_)).astype(np.float32)
        self.__dict__["_coarse"] = CoarseRows.of(self.factors_[:, : self._leading], scales)
        self.__dict__["_coarser"] = CoarseRows.of(self.factors_[:, :FEWER], scales)

    def expect(self, histories: Histories) -> None:
        """Sums the vectors of their items, which a person's next event adds one to."""
        if self.decay != Decay():
            return  # with the next event all that is older would weigh less
        self._folded.of(histories.user, self._item_weights(histories), self.factors_)

    def forget(self, users: Sequence[int]) -> None:
        self._folded.forget(users)

    def rough(self, histories: Histories, *, fewer: bool = False) -> Rough | None:
        """By 8-bit products of the leading dimensions, once it is prepared."""
        coarse, n = (self._coarser, FEWER) if fewer else (self._coarse, self._leading)
        if coarse is None:
            return None
        query = self._item_weights(histories)
        vectors = self._folded.of(histories.user, query, self.factors_)
        scores = coarse.products(vectors[:, :n])
        scores[query.owner, query.indices] -= query.data * self._own_share[query.indices]
        speaking = self._speaking(histories)
        whole = self._all_known and bool(speaking.all())
        if not whole:
            scores = self._silenced(scores, histories)
        return Rough(scores, partial(self._exact_or_silent, query, vectors, speaking), whole=whole)

    def _exact_or_silent(
        self,
        query: ItemWeights,
        vectors: Floats,
        speaking: npt.NDArray[np.bool_],
        at: int,
        rows: Rows,
    ) -> Floats:
        if not speaking[at]:
            return np.full(len(rows), np.nan, np.float32)
        return self._exact(query, vectors, at, rows)

    def _exact(self, query: ItemWeights, vectors: Floats, at: int, rows: Rows) -> Floats:
        """float32 (m,): scores of some rows for history `at`. `vectors` float32 (n, d): query @ factors."""
        own = query.at(at, rows) * self._own[rows]
        found: Floats = (self.factors_.take(rows, axis=0) @ vectors[at] - own) / (1.0 - self.diagonal_[rows])
        if not self._all_known:
            found[~self.known_[rows]] = np.nan
        return found

    def _query(self, histories: Histories) -> sparse.csr_matrix:
        """csr float32 (n, n_items), indices sorted: the weight of each item in each history."""
        return histories.matrix(self.decay.weights(histories), len(self.known_), combine=self.combine)

    def _item_weights(self, histories: Histories) -> ItemWeights:
        """The same as `ItemWeights`."""
        return histories.item_weights(self.decay.weights(histories), combine=self.combine)

    def _silenced(self, scores: Floats, histories: Histories) -> Floats:
        """NaN for items without events and for histories without a known item, in place."""
        if not self._all_known:
            scores[:, ~self.known_] = np.nan
        scores[~self._speaking(histories)] = np.nan
        return scores

    def _speaking(self, histories: Histories) -> npt.NDArray[np.bool_]:
        """bool (n,): histories with a known item."""
        return np.bincount(histories.owner, self.known_[histories.item], len(histories)) > 0

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: each event carries its share of its item's weight times that item's link to this one."""
        self.check_fitted()
        if not self.known_[item]:
            return np.zeros(len(histories.item), np.float32), 0.0
        events = self.decay.weights(histories)
        n = len(self.known_)
        weight = histories.matrix(events, n, combine=self.combine).toarray().ravel()[histories.item]
        if self.combine == "max":
            repeats = np.bincount(histories.item, minlength=n)[histories.item]
            part = weight / repeats
        else:
            part = weight * events / np.maximum(np.bincount(histories.item, events, n)[histories.item], 1e-30)
        link = self.factors_[histories.item] @ self.factors_[item]
        link[histories.item == item] -= self._own[item]
        return (part * link / (1.0 - self.diagonal_[item])).astype(np.float32), 0.0

    def state(self) -> tuple[dict[str, Any], Arrays]:
        settings, arrays = super().state()
        return settings, arrays | {"factors_": self.factors_.astype(np.float16)}

    def restore(self, arrays: Mapping[str, np.ndarray], item_ids: Vocabulary) -> SpectralEASE:
        super().restore(arrays, item_ids)
        stored = self.factors_
        self.factors_ = shared(stored, "float32", lambda: stored.astype(np.float32))
        return self

    @cached_property
    def _coarse(self) -> CoarseRows | None:
        return None  # `prepare` makes it

    @cached_property
    def _coarser(self) -> CoarseRows | None:
        return None  # and this one, of fewer dimensions

    @property
    def _leading(self) -> int:
        """Dimensions that nominate."""
        n: int = max(LEADING, self.factors_.shape[1] // 2)
        return n

    @cached_property
    def _all_known(self) -> bool:
        return bool(self.known_.all())

    @cached_property
    def _folded(self) -> FoldedQueries:
        return FoldedQueries()

    @cached_property
    def _own(self) -> Floats:
        """float32 (n_items,): what the kept dimensions say of an item about itself."""
        own: Floats = np.einsum("nd,nd->n", self.factors_, self.factors_)
        return own

    @cached_property
    def _own_share(self) -> Floats:
        """float32 (n_items,): the same in a score."""
        share: Floats = self._own / (1.0 - self.diagonal_)
        return share
