"""Models over what items say: they score every item that has a text, also one that nobody has bought yet."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import sparse

from crossaisle.data.clean.texts.words import WordForms
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.encoders.tfidf import TfidfEncoder
from crossaisle.encoders.whiten import Whitening
from crossaisle.errors import ArtifactError
from crossaisle.models.base import pack_words, unpack_words
from crossaisle.models.dense.leading import LeadingDirections, RoughTexts
from crossaisle.models.dense.rough import Rough
from crossaisle.models.scorers.vectors.vector_model import TextModel
from crossaisle.models.space import AnyDecay, Choice, Space
from crossaisle.models.topk import Mask

if TYPE_CHECKING:
    from crossaisle.encoders.cache import CachedEncoder

_LOG = logging.getLogger(__name__)
READ = 50_000
"""Entries of an inverted index that one question reads."""
THINNEST = 20
"""At most this many times as many are read where few of the items may be named."""


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

    def rough(self, histories: Histories, *, fewer: bool = False) -> Rough | None:
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
        postings, out = self._postings, []
        items = np.diff(postings.indptr)
        # Where few items may be named, more are read to find as many.
        thinner = 1 if among is None else min(len(among) // max(int(among.sum()), 1), THINNEST)
        read = []
        for part in map(slice, queries.indptr[:-1], queries.indptr[1:]):
            terms = queries.indices[part]
            order = np.argsort(-queries.data[part] * self._idf[terms], kind="stable")
            within = np.cumsum(items[terms[order]] // thinner) <= READ
            within[:1] = True
            read.append(part.start + order[within])
        indptr = np.cumsum([0, *map(len, read)])
        places = np.concatenate([np.empty(0, np.int64), *read])
        telling = queries.data[places], queries.indices[places], indptr
        sums = sparse.csr_matrix(telling, shape=queries.shape) @ postings
        for part in map(slice, sums.indptr[:-1], sums.indptr[1:]):
            rows, values = sums.indices[part], sums.data[part]
            named = values != 0 if among is None else (values != 0) & among[rows]
            rows, values = rows[named], values[named]
            if len(rows) > k:
                rows = rows[np.argpartition(values, -k)[-k:]]
            out.append(np.sort(rows).astype(np.int32))
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
                "the model does not say which weights of the encoder %s it was fitted with: new "
                "items are placed correctly only if this machine has the same ones; fit again so "
                "that this can be checked",
                self.encoder,
            )
        elif encoder.fingerprint != fitted:
            raise ArtifactError(
                f"the text encoder {self.encoder} of this machine is not the one that the model was fitted "
                f"with (its fingerprint is {encoder.fingerprint}, not {fitted}): {remedy(self.encoder)}, "
                "or fit again"
            )
        return encoder
