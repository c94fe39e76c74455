"""`TfidfEncoder`: sparse TF-IDF vectors: exact, and explainable by the words they contain."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.clean.texts.words import HAN, WordForms
from crossaisle.data.history import Floats
from crossaisle.errors import ArtifactError

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts written without spaces: Thai, Lao, Burmese, Khmer, kana, Chinese characters."""
_RUN = re.compile(rf"[{UNSPACED}]+|[^\W{UNSPACED}]+")
_UNSPACED_RUN = re.compile(rf"[{UNSPACED}]")


PLAIN = WordForms()


def terms(text: str, *, bigrams: bool = True, forms: WordForms = PLAIN) -> Iterator[str]:
    """Yields words of two or more characters, then their bigrams; character bigrams in scripts without
    spaces.

    Text is normalised first (NFKC, lower case), so that full-width and half-width agree. `forms` removes stop
    words, segments Chinese into words and stems; bigrams are formed from the result.
    """
    if forms:
        yield from _formed(text, bigrams, forms)
        return
    previous = ""
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).lower()):
        if _UNSPACED_RUN.match(run):
            yield from (run[i : i + 2] for i in range(max(len(run) - 1, 1)))
            previous = ""
        elif len(run) > 1:
            yield run
            if bigrams and previous:
                yield f"{previous} {run}"
            previous = run


def _formed(text: str, bigrams: bool, forms: WordForms) -> Iterator[str]:
    found: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).lower()):
        if not _UNSPACED_RUN.match(run):
            found += [run] if len(run) > 1 else []
        elif forms.segment and HAN.fullmatch(run):
            found += forms.segmented(run)
        else:
            yield from (run[i : i + 2] for i in range(max(len(run) - 1, 1)))
    kept = forms.words(found)
    yield from kept
    if bigrams:
        yield from (f"{one} {other}" for one, other in pairwise(kept))


@dataclass(kw_only=True)
class TfidfEncoder:
    """Term frequency times inverse document frequency, rows of unit length.

    idf = ln((1 + n) / (1 + df)) + 1, as in scikit-learn, whose results this reproduces.
    """

    bigrams: bool = True
    """Also count pairs of adjacent words as terms."""
    sublinear: bool = True
    """Use 1 + ln(tf) instead of tf: five occurrences of a word are not five times as informative."""
    min_df: int = 1
    """Terms in fewer texts than this are ignored."""
    forms: WordForms = PLAIN
    """Stop words, segmentation and stemming."""
    vocabulary_: tuple[str, ...] = field(default=(), init=False, repr=False)
    """The term of each column."""
    idf_: Floats = field(default_factory=lambda: np.empty(0, np.float32), init=False, repr=False)
    """float32 (vocabulary,)."""
    _column: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def fit(self, texts: Sequence[str]) -> TfidfEncoder:
        """Learns the vocabulary and its weights from the texts of a catalogue."""
        self.fit_transform(texts)
        return self

    def fit_transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """`fit`, and the vectors of the same texts, in one pass: csr float32 (n, vocabulary)."""
        self._column = {}
        counts = self._count(texts, grow=True)
        frequency = np.bincount(counts.indices, minlength=counts.shape[1])
        names = np.array(list(self._column), dtype=object)
        kept = np.flatnonzero(frequency >= self.min_df)
        kept = kept[np.argsort(names[kept])] if len(kept) else kept  # columns in alphabetical order
        counts = counts[:, kept]
        self._set(names[kept].tolist(), np.log((1 + len(texts)) / (1 + frequency[kept])) + 1)
        return self._weigh(counts)

    def transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """csr float32 (n, vocabulary), rows of unit length; unknown words are ignored."""
        return self._weigh(self._count(texts, grow=False))

    def words(self, row: sparse.csr_matrix, limit: int = 5) -> list[tuple[str, float]]:
        """The terms of one row with the largest weights, and these weights.

        For two items, `a.multiply(b)` gives the words they share; its weights add up to their cosine.
        """
        row = sparse.csr_matrix(row)
        order = np.argsort(-row.data, kind="stable")[:limit]
        return [(self.vocabulary_[row.indices[i]], float(row.data[i])) for i in order]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Settings including the vocabulary (ready for JSON), and arrays."""
        settings: dict[str, Any] = {
            "bigrams": self.bigrams,
            "sublinear": self.sublinear,
            "min_df": self.min_df,
        }
        if self.forms:
            settings["forms"] = self.forms.state()
        return settings | {"vocabulary": list(self.vocabulary_)}, {"idf": self.idf_}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> TfidfEncoder:
        """The inverse of `state`."""
        options = dict(settings)
        vocabulary, idf = options.pop("vocabulary"), np.asarray(arrays["idf"])
        if len(vocabulary) != len(idf):
            raise ArtifactError(f"saved TF-IDF has {len(vocabulary)} terms but {len(idf)} weights")
        forms = WordForms.restore(options.pop("forms", None))
        out = cls(forms=forms, **options)
        out._set(vocabulary, idf)
        return out

    def _set(self, vocabulary: Iterable[str], idf: npt.NDArray[np.floating]) -> None:
        self.vocabulary_ = tuple(vocabulary)
        self.idf_ = idf.astype(np.float32)
        self._column = {term: column for column, term in enumerate(self.vocabulary_)}

    def _count(self, texts: Sequence[str], *, grow: bool) -> sparse.csr_matrix:
        """csr (n, terms) of counts; `grow` adds columns for new terms."""
        column, indptr = self._column, np.zeros(len(texts) + 1, np.int64)
        indices: list[int] = []
        for row, text in enumerate(texts):
            found = terms(text, bigrams=self.bigrams, forms=self.forms)
            if grow:
                indices.extend(column.setdefault(term, len(column)) for term in found)
            else:
                indices.extend(column[term] for term in found if term in column)
            indptr[row + 1] = len(indices)
        data = np.ones(len(indices), np.float32)
        triple = data, np.array(indices, np.int32), indptr
        counts = sparse.csr_matrix(triple, shape=(len(texts), len(column)))
        counts.sum_duplicates()
        return counts

    def _weigh(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        data = np.log(counts.data) + 1 if self.sublinear else counts.data
        data = data * self.idf_[counts.indices]
        owner = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        length = np.sqrt(np.bincount(owner, weights=data**2, minlength=counts.shape[0]))
        data = (data / length[owner]).astype(np.float32)
        out = sparse.csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape)
        out.sort_indices()  # a fixed order of summation gives bit-identical results for equal texts
        return out
