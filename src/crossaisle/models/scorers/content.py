"""Models over what items say: they score every item that has a text, also one that nobody has bought yet."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.clean.texts.words import WordForms
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.encoders.tfidf import TfidfEncoder
from crossaisle.encoders.whiten import Whitening
from crossaisle.errors import ArtifactError
from crossaisle.models.base import LARGE, Arrays, Scorer, pack_words, unpack_words
from crossaisle.models.dense.leading import LeadingDirections, RoughTexts
from crossaisle.models.dense.products import products
from crossaisle.models.dense.rough import Rough
from crossaisle.models.search.int8_search import NearestRows
from crossaisle.models.search.row_index import RowIndex
from crossaisle.models.space import AnyDecay, Choice, Space
from crossaisle.models.topk import Mask

if TYPE_CHECKING:
    from crossaisle.encoders.cache import CachedEncoder

_LOG = logging.getLogger(__name__)
READ = 50_000
"""Entries of an inverted index that one question reads."""
BLOCK = 256
"""Items compared with others at a time."""
DENSER = 3
"""Times as many entries as queries read of an inverted index are read of the vectors in the same time."""
DISLIKED = 0.5
"""What is like disliked items loses this much of the mean cosine to them."""
THINNEST = 20
"""At most this many times as many are read where few of the items may be named."""


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
        return self._near(self._queries(histories), k, among)

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        queries, speaking = self._queries(histories), self._speaking(histories)
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
            return np.asarray(self.vectors_[rows] @ query, np.float32)
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


@dataclass(kw_only=True)
class TfidfSimilarity(TextModel):
    """Shared words and word pairs, rare ones counting more."""

    stop_words: tuple[str, ...] = ()
    """These three are the data set's (`Dataset.words`) once it is fitted: languages whose stop words go,"""
    segment: bool = False
    """Chinese in words,"""
    stem: str = ""
    """and the language of stems."""
    words_: np.ndarray = field(init=False, repr=False, compare=False)
    """uint8: the terms by column, UTF-8, one per line."""

    kind: ClassVar[str] = "tfidf"
    space: ClassVar[Space] = {"decay": AnyDecay(), "average": Choice((False, True))}
    reason: ClassVar[str] = "shared words"
    learned: ClassVar[tuple[str, ...]] = ("vectors_", "words_")

    def fit(self, dataset: Dataset) -> TfidfSimilarity:
        # A term of one single text says nothing about any other item.
        forms = dataset.words
        self.stop_words, self.segment, self.stem = forms.stop_words, forms.segment, forms.stem
        encoder = TfidfEncoder(min_df=2, forms=forms)
        self.vectors_ = encoder.fit_transform(dataset.item_texts)
        self.words_ = pack_words(encoder.vocabulary_)
        self.item_ids_ = dataset.item_ids
        return self

    def lead(self) -> None:
        """Finds the directions by which `rough` scores: for sums in which another part is rough, too."""
        if self._leading is None and self.vectors_.shape[0] <= self.large_items:
            self.__dict__["_leading"] = LeadingDirections.of(self.vectors_)

    def rough(self, histories: Histories) -> Rough | None:
        """By leading directions, once these are found."""
        if self._leading is None or histories.disliked is not None:
            return None
        weights = histories.item_weights(self.decay.weights(histories, average=self.average))
        return RoughTexts(self._leading, weights, self._known, self._speaking(histories))

    @cached_property
    def _leading(self) -> LeadingDirections | None:
        return None  # `lead` finds them

    def _near(self, queries: Any, k: int, among: Mask | None = None) -> list[Rows]:
        """Goes through the items of the most telling terms first, and through `READ` at most."""
        sums = np.zeros(self.vectors_.shape[0], np.float32)
        postings, out = self._postings, []
        # Where few items may be named, more are read to find as many.
        thinner = 1 if among is None else min(len(among) // max(int(among.sum()), 1), THINNEST)
        for row in range(queries.shape[0]):
            part = slice(queries.indptr[row], queries.indptr[row + 1])
            terms, weights = queries.indices[part], queries.data[part]
            touched, room = [np.empty(0, np.int32)], READ
            for place in np.argsort(-weights * self._idf[terms], kind="stable").tolist():
                term = terms[place]
                items = slice(postings.indptr[term], postings.indptr[term + 1])
                room -= (items.stop - items.start) // thinner
                if room < 0 and len(touched) > 1:
                    break
                sums[postings.indices[items]] += weights[place] * postings.data[items]
                touched.append(postings.indices[items])
            found = sums != 0  # numpy looks for numbers that are not 0 four times as long
            rows = np.flatnonzero(found if among is None else found & among).astype(np.int32)
            if len(rows) > k:
                rows = np.sort(rows[np.argpartition(sums[rows], -k)[-k:]])
            out.append(rows)
            sums[np.concatenate(touched)] = 0.0
        return out

    def read(self, what: Sequence[str]) -> Any:
        return self._encoder.transform(what)

    @cached_property
    def _encoder(self) -> TfidfEncoder:
        """As it was fitted: what it learned can be told from the vectors' non-zeros."""
        forms = WordForms(stop_words=self.stop_words, segment=self.segment, stem=self.stem)
        settings = {"min_df": 2, "vocabulary": self._terms if self.vectors_.shape[1] else []}
        settings |= {"forms": forms.state()}
        return TfidfEncoder.restore(settings, {"idf": self._idf})

    @cached_property
    def _idf(self) -> np.ndarray:
        """float64 (vocabulary,)"""
        return np.asarray(np.log((1 + self.vectors_.shape[0]) / (1 + self._spread)) + 1)

    @cached_property
    def _spread(self) -> np.ndarray:
        """int64 (vocabulary,): items per term."""
        return np.bincount(self.vectors_.indices, minlength=self.vectors_.shape[1])

    @cached_property
    def _terms(self) -> list[str]:
        return unpack_words(self.words_)

    def shared_words(self, left: int, right: int) -> list[tuple[str, float]]:
        """Telling terms of both items and their share of the cosine, the largest first.

        Words of more than one item in twenty are left out: they explain nothing.
        """
        shared = sparse.csr_matrix(self.vectors_[left].multiply(self.vectors_[right]))
        order = np.argsort(-shared.data, kind="stable")
        telling = self._spread[shared.indices] <= max(0.05 * len(self.item_ids_), 2)
        return [(self._terms[shared.indices[i]], float(shared.data[i])) for i in order if telling[i]]


@dataclass(kw_only=True)
class EncoderSimilarity(TextModel):
    """Whitened sentence vectors of a pretrained encoder, zero-shot: what a text means, not which words."""

    encoder: str = "minilm"
    """A known name, a local folder with `model.onnx` and `tokenizer.json`, or "owner/name" on the hub, which
    becomes "owner/name@revision" when it is fitted."""

    mean_: Floats = field(init=False, repr=False, compare=False)
    """float32 (d,): mean of the raw vectors."""
    whitening_: Floats = field(init=False, repr=False, compare=False)
    """float32 (d, d): what spreads them over all directions."""
    fingerprint_: np.ndarray = field(init=False, repr=False, compare=False)
    """uint8: the encoder's fingerprint, UTF-8."""

    kind: ClassVar[str] = "encoder"
    space: ClassVar[Space] = {"decay": AnyDecay(), "average": Choice((False, True))}
    reason: ClassVar[str] = "similar meaning"
    learned: ClassVar[tuple[str, ...]] = ("vectors_", "mean_", "whitening_", "fingerprint_")

    def fit(self, dataset: Dataset, *, progress: bool = False) -> EncoderSimilarity:
        from crossaisle.encoders.cache import pretrained
        from crossaisle.encoders.weights import pinned

        encoder = pretrained(self.encoder)
        self.encoder, self.fingerprint_ = pinned(self.encoder), pack_words([encoder.fingerprint])
        raw = encoder.encode(dataset.item_texts, progress=progress)
        whitening = Whitening.fit(raw)
        self.mean_, self.whitening_ = whitening.mean_, whitening.matrix_
        self.vectors_ = whitening.apply(raw)
        self.item_ids_ = dataset.item_ids
        return self

    def restore(self, arrays: Mapping[str, np.ndarray], item_ids: Vocabulary) -> EncoderSimilarity:
        """Models saved before new items could be read lack the whitening: they read none.

        Others lack the fingerprint: they read with what their encoder's name stands for here.
        """
        d = np.asarray(arrays["vectors_"]).shape[1] if "vectors_" in arrays else 0
        blank = {
            "mean_": np.zeros(d, np.float32),
            "whitening_": np.zeros((d, d), np.float32),
            "fingerprint_": pack_words([""]),
        }
        super().restore(blank | dict(arrays), item_ids)
        return self

    def read(self, what: Sequence[str]) -> Any:
        if not self.whitening_.any():
            return np.zeros((len(what), self.vectors_.shape[1]), np.float32)
        return Whitening(mean_=self.mean_, matrix_=self.whitening_).apply(self._pretrained.encode(what))

    @cached_property
    def _pretrained(self) -> CachedEncoder:
        """The encoder that the model was fitted with. Nothing is fetched: a service must not."""
        from crossaisle.encoders.cache import pretrained
        from crossaisle.encoders.weights import remedy

        encoder, fitted = pretrained(self.encoder, here=True), unpack_words(self.fingerprint_)[0]
        if not fitted:
            _LOG.warning(
                "the model does not say which weights of the encoder %s it was fitted with: new items are "
                "placed rightly only if they are those of this machine; fit again to have it checked",
                self.encoder,
            )
        elif encoder.fingerprint != fitted:
            raise ArtifactError(
                f"the text encoder {self.encoder} of this machine is not the one that the model was fitted "
                f"with (its fingerprint is {encoder.fingerprint}, not {fitted}): {remedy(self.encoder)}, "
                "or fit again"
            )
        return encoder
