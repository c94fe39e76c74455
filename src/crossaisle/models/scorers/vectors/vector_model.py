"""`VectorModel`: scores by cosines; `ReadingModel` and `TextModel`: of what can be read at any time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.models.base import LARGE, Arrays, Scorer
from crossaisle.models.dense.products import products
from crossaisle.models.search.int8_search import NearestRows
from crossaisle.models.search.row_index import RowIndex
from crossaisle.models.topk import Mask

BLOCK = 256
"""Items compared with others at a time."""
DENSER = 3
"""Times as many entries as queries read of an inverted index are read of the vectors in the same time."""
DISLIKED = 0.5
"""What is like disliked items loses this much of the mean cosine to them."""


@dataclass(kw_only=True)
class VectorModel(Scorer):
    """Scores are the decayed sum of cosines between the items of a history and the candidates."""

    decay: Decay = field(default_factory=lambda: Decay(events=2.0))
    """How much older events of the history count."""
    average: bool = False
    """Divide by the weight of the whole history, so that long ones do not score higher."""

    vectors_: Any = field(init=False, repr=False, compare=False)
    """float32 or csr float32 (n_items, d): unit rows, zeros for an item of which nothing is known."""
    reads_events: ClassVar[bool] = False
    rest_reason: ClassVar[str | None] = "like what was disliked"
    large_items: ClassVar[int] = LARGE
    """From this many items on, dense vectors are searched in 8 bits."""
    learned: ClassVar[tuple[str, ...]] = ("vectors_",)

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items and for histories of which nothing is known."""
        self.check_fitted()
        scores = self._products(self._queries(histories))
        scores[:, ~self._known] = np.nan
        scores[~self._speaking(histories)] = np.nan
        return scores

    def retrieve(self, histories: Histories, k: int, among: Mask | None = None) -> list[Rows]:
        return self._near(self.once(histories, self._queries), k, among)

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        queries, speaking = self.once(histories, self._queries), self._speaking(histories)
        out = []
        for row, at in enumerate(rows):
            scores = self._cosines(queries[row], at)
            scores[~self._known[at] | ~speaking[row]] = np.nan
            out.append(scores)
        return out

    def _queries(self, histories: Histories) -> Any:
        """float32 or csr float32 (n, d): decayed sums of the items' vectors."""
        weights = self.decay.weights(histories, average=self.average)
        queries = histories.matrix(weights, self.vectors_.shape[0]) @ self.vectors_
        return queries if histories.disliked is None else queries - self._disliked(histories.disliked)

    def _products(self, queries: Any) -> Floats:
        """float32 (n, n_items): of vectors, float32 or csr float32 (n, d), and those of all items."""
        if not sparse.issparse(self.vectors_):
            return products(queries, self.vectors_)
        postings = self._postings
        read = int((postings.indptr[queries.indices + 1] - postings.indptr[queries.indices]).sum())
        if DENSER * read < self.vectors_.nnz:
            queries.sort_indices()  # both ways add the same numbers in the same order
            return _dense(queries @ postings)
        # Reading all vectors once for the whole batch is faster.
        return np.ascontiguousarray((self.vectors_ @ queries.T.toarray()).T)

    @cached_property
    def _postings(self) -> sparse.csr_matrix:
        """csr float32 (vocabulary, n_items): the items of each term."""
        return self.vectors_.T.tocsr()

    def _disliked(self, disliked: Histories) -> Any:
        """float32 or csr float32 (n, d): what to take off for what each user has turned against."""
        size = np.maximum(disliked.lengths, 1)[disliked.owner]
        share = (np.float32(DISLIKED) / size).astype(np.float32)
        return disliked.matrix(share, self.vectors_.shape[0]) @ self.vectors_

    def _speaking(self, histories: Histories) -> npt.NDArray[np.bool_]:
        """bool (n,): histories with an item of which something is known."""
        return np.bincount(histories.owner, self._known[histories.item], len(histories)) > 0

    def _near(self, queries: Any, k: int, among: Mask | None = None) -> list[Rows]:
        """For each vector int32 rows, ascending: nearly all of the `k` items with the largest products."""
        found = [np.sort(rows) for rows in self._index.search(queries, k, among)]
        return found if among is None else [rows[among[rows]] for rows in found]

    def _cosines(self, query: Any, rows: Rows) -> Floats:
        """float32: products of one vector, (d,) or csr (1, d), and some rows."""
        if not sparse.issparse(self.vectors_):
            return np.asarray(self.vectors_.take(rows, axis=0) @ query, np.float32)
        dense = np.zeros(query.shape[1], np.float32)  # untouched memory costs nothing
        dense[query.indices] = query.data
        return np.asarray(self.vectors_[rows] @ dense, np.float32)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        settings, arrays = super().state()
        if self.vectors_.shape[0] > self.large_items and not sparse.issparse(self.vectors_):
            arrays["codes_"] = self._nearest.codes
        return settings, arrays

    def restore(self, arrays: Mapping[str, np.ndarray], item_ids: Vocabulary) -> VectorModel:
        super().restore(arrays, item_ids)
        if "codes_" in arrays:
            self.__dict__["_nearest"] = NearestRows(self.vectors_, arrays["codes_"])
        return self

    @cached_property
    def _nearest(self) -> NearestRows:
        return NearestRows.of(self.vectors_)

    def prepare(self) -> None:
        """Where dense vectors are searched in 8 bits: has that search take less time."""
        dense = not sparse.issparse(self.vectors_)
        if dense and len(self.vectors_) > self.large_items and "_elsewhere" not in self.__dict__:
            self._nearest.prepare()

    def answered(self) -> None:
        super().answered()
        if "_nearest" in self.__dict__:
            self._nearest.answered()

    def search_in(self, index: RowIndex) -> None:
        """Takes an index of `vectors_` elsewhere in place of the one in memory, until the next fit."""
        self.__dict__["_elsewhere"] = index
        self.__dict__.pop("_known", None)

    @property
    def in_memory(self) -> RowIndex:
        """The index of `vectors_` that every model has; made at the first call where none was saved."""
        return self._nearest

    @property
    def _index(self) -> RowIndex:
        index: RowIndex | None = self.__dict__.get("_elsewhere")
        return self._nearest if index is None else index

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: each event gives its decayed weight times its cosine with the item."""
        self.check_fitted()
        cosines = self.item_similarity(histories.item, np.array([item], np.int32)).ravel()
        events = (self.decay.weights(histories, average=self.average) * cosines).astype(np.float32)
        if histories.disliked is None or not self._known[item] or not self._speaking(histories)[0]:
            return events, 0.0
        own = histories.disliked.items_of(0)
        against = self.item_similarity(own, np.array([item], np.int32)).mean() if len(own) else 0.0
        return events, -DISLIKED * float(against)

    def item_similarity(self, left: Rows, right: Rows) -> Floats:
        """Cosines of item rows (n,) and (m,): float32 (n, m)."""
        if not sparse.issparse(self.vectors_):
            return _dense(self.vectors_[left] @ self.vectors_[right].T)
        found, columns = np.empty((len(left), len(right)), np.float32), self.vectors_[right].T
        for start in range(0, len(left), BLOCK):  # the sparse product takes several times as much memory
            found[start : start + BLOCK] = _dense(self.vectors_[left[start : start + BLOCK]] @ columns)
        return found

    def cosines(self, item: int, rows: Rows) -> Floats:
        """Cosines of one item row with some others: float32 (n,), NaN where nothing is known of either."""
        cosines = self._cosines(self.vectors_[item], rows)
        cosines[~self._known[rows] | ~self._known[item]] = np.nan
        return cosines

    @property
    def known(self) -> np.ndarray:
        """bool (n_items,): items with a vector."""
        return self._known

    @cached_property
    def _known(self) -> np.ndarray:
        """bool (n_items,)."""
        if not sparse.issparse(self.vectors_) and len(self.vectors_) > self.large_items:
            return self._index.known
        return np.asarray(abs(self.vectors_).sum(axis=1)).ravel() > 0


@dataclass(kw_only=True)
class ReadingModel(VectorModel):
    """The same over what can be read at any time: texts, or an encoder's vectors of pictures."""

    def near(self, what: Any, k: int) -> list[tuple[Rows, Callable[[Rows], Floats]]]:
        """For each of what is read now: int32 rows of about the `k` items most like it, and what gives its
        cosines with any rows.
        """
        self.check_fitted()
        read = self.read(what)
        return [(rows, partial(self._cosines, read[row])) for row, rows in enumerate(self._near(read, k))]

    def likeness(self, what: Any) -> Floats:
        """Cosines of what is read now and all items: float32 (len(what), n_items)."""
        self.check_fitted()
        return self._products(self.read(what))

    @abstractmethod
    def read(self, what: Any) -> Any:
        """float32 or csr float32 (len(what), d): vectors of what was not there to be fitted on."""


@dataclass(kw_only=True)
class TextModel(ReadingModel):
    """The same over texts."""

    reason: ClassVar[str] = "similar text"

    @abstractmethod
    def read(self, what: Sequence[str]) -> Any: ...


def _dense(product: Any) -> Floats:
    return np.asarray(product.toarray() if sparse.issparse(product) else product, np.float32)
