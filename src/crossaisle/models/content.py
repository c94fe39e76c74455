"""Models over what items say: they score every item that has a text, also one that nobody has bought yet."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.encoders.tfidf import TfidfEncoder
from crossaisle.encoders.whiten import Whitening
from crossaisle.models.base import Scorer, pack_words, unpack_words

if TYPE_CHECKING:
    from crossaisle.encoders.cache import CachedEncoder


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
    learned: ClassVar[tuple[str, ...]] = ("vectors_",)

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items and for histories of which nothing is known."""
        self.check_fitted()
        vectors = self.vectors_
        query = histories.matrix(self.decay.weights(histories, average=self.average), vectors.shape[0])
        scores = _dense((query @ vectors) @ vectors.T)
        scores[:, ~self._known] = np.nan
        speaking = np.bincount(histories.owner, self._known[histories.item], len(histories)) > 0
        scores[~speaking] = np.nan
        return scores

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: each event gives its decayed weight times its cosine with the item."""
        self.check_fitted()
        cosines = self.item_similarity(histories.item, np.array([item], np.int32)).ravel()
        return (self.decay.weights(histories, average=self.average) * cosines).astype(np.float32), 0.0

    def item_similarity(self, left: Rows, right: Rows) -> Floats:
        """Cosines of item rows (n,) and (m,): float32 (n, m)."""
        return _dense(self.vectors_[left] @ self.vectors_[right].T)

    @cached_property
    def _known(self) -> np.ndarray:
        """bool (n_items,)."""
        return np.asarray(abs(self.vectors_).sum(axis=1)).ravel() > 0


@dataclass(kw_only=True)
class TextModel(VectorModel):
    """The same over texts, which can be read at any time."""

    reason: ClassVar[str] = "similar text"

    def likeness(self, texts: Sequence[str]) -> Floats:
        """Cosines of texts, read now, and all items: float32 (len(texts), n_items)."""
        self.check_fitted()
        return _dense(self._read(texts) @ self.vectors_.T)

    @abstractmethod
    def _read(self, texts: Sequence[str]) -> Any:
        """float32 or csr float32 (len(texts), d): vectors of texts that were not there to be fitted on."""


def _dense(product: Any) -> Floats:
    return np.asarray(product.toarray() if sparse.issparse(product) else product, np.float32)


@dataclass(kw_only=True)
class TfidfSimilarity(TextModel):
    """Shared words and word pairs, rare ones counting more."""

    words_: np.ndarray = field(init=False, repr=False, compare=False)
    """uint8: the terms by column, UTF-8, one per line."""

    kind: ClassVar[str] = "tfidf"
    reason: ClassVar[str] = "shared words"
    learned: ClassVar[tuple[str, ...]] = ("vectors_", "words_")

    def fit(self, dataset: Dataset) -> TfidfSimilarity:
        # A term of one single text says nothing about any other item.
        encoder = TfidfEncoder(min_df=2)
        self.vectors_ = encoder.fit_transform(dataset.item_texts)
        self.words_ = pack_words(encoder.vocabulary_)
        self.item_ids_ = dataset.item_ids
        return self

    def _read(self, texts: Sequence[str]) -> Any:
        return self._encoder.transform(texts)

    @cached_property
    def _encoder(self) -> TfidfEncoder:
        """As it was fitted: what it learned can be told from the vectors' non-zeros."""
        idf = np.log((1 + self.vectors_.shape[0]) / (1 + self._spread)) + 1
        settings = {"min_df": 2, "vocabulary": self._terms if self.vectors_.shape[1] else []}
        return TfidfEncoder.restore(settings, {"idf": idf})

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
    """A known name, a local folder with `model.onnx` and `tokenizer.json`, or "owner/name" on the hub."""

    mean_: Floats = field(init=False, repr=False, compare=False)
    """float32 (d,): mean of the raw vectors."""
    whitening_: Floats = field(init=False, repr=False, compare=False)
    """float32 (d, d): what spreads them over all directions."""

    kind: ClassVar[str] = "encoder"
    reason: ClassVar[str] = "similar meaning"
    learned: ClassVar[tuple[str, ...]] = ("vectors_", "mean_", "whitening_")

    def fit(self, dataset: Dataset, *, progress: bool = False) -> EncoderSimilarity:
        from crossaisle.encoders.cache import pretrained

        raw = pretrained(self.encoder).encode(dataset.item_texts, progress=progress)
        whitening = Whitening.fit(raw)
        self.mean_, self.whitening_ = whitening.mean_, whitening.matrix_
        self.vectors_ = whitening.apply(raw)
        self.item_ids_ = dataset.item_ids
        return self

    def restore(self, arrays: Mapping[str, np.ndarray], item_ids: Vocabulary) -> EncoderSimilarity:
        """Models saved before new items could be read lack the whitening: they read none."""
        d = np.asarray(arrays["vectors_"]).shape[1] if "vectors_" in arrays else 0
        blank = {"mean_": np.zeros(d, np.float32), "whitening_": np.zeros((d, d), np.float32)}
        super().restore(blank | dict(arrays), item_ids)
        return self

    def _read(self, texts: Sequence[str]) -> Any:
        if not self.whitening_.any():
            return np.zeros((len(texts), self.vectors_.shape[1]), np.float32)
        return Whitening(mean_=self.mean_, matrix_=self.whitening_).apply(self._pretrained.encode(texts))

    @cached_property
    def _pretrained(self) -> CachedEncoder:
        from crossaisle.encoders.cache import pretrained

        return pretrained(self.encoder)
