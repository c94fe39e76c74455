"""`HistoryVectors`: models whose score is the product of a history's vector and an item's, plus a bias."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.errors import ConfigError
from crossaisle.models.base import LARGE, Arrays, Scorer
from crossaisle.models.dense.products import products
from crossaisle.models.search.int8_search import NearestRows
from crossaisle.models.topk import Mask
from crossaisle.sharing import shared

LIBRARY, EXTRA = "torch", "sequence"
"""What learning needs, and the extra that installs it."""
NORM_EPS = 1e-5
"""Added to a variance, as torch does."""
_AT_ONCE = 512
"""Histories in memory at a time."""


def can_be_learned() -> bool:
    """Whether torch is installed."""
    return find_spec(LIBRARY) is not None


@dataclass(kw_only=True)
class HistoryVectors(Scorer):
    """Learned with torch, asked with numpy. A subclass says what the newest events of a history come to."""

    encoder: str = "minilm"
    """Text encoder whose vectors items start from; "none" takes TF-IDF, and "random" reads no texts."""
    dimensions: int = field(default=128, metadata={"low": 1, "high": 4096})
    """Length of the vectors."""
    length: int = field(default=20, metadata={"low": 1, "high": 10_000})
    """Newest events that are read."""
    hidden: int = field(default=128, metadata={"low": 1, "high": 100_000})
    """Units of the hidden layer that a history's events pass through."""
    dropout: float = field(default=0.3, metadata={"low": 0.0, "high": 0.9})
    """Share of components left out at each step."""
    epochs: int = field(default=12, metadata={"low": 1, "high": 1000})
    """Passes over the events at most; the learning rate falls from the first to the last."""
    stop: int | None = field(default=None, metadata={"low": 1, "high": 1000})
    """Passes after which to stop. None: the best of `epochs` on the held-out newest events of some users;
    `fit` keeps what it found here, so that a later fit needs to hold out nothing."""
    learning_rate: float = field(default=1e-3, metadata={"low": 1e-8, "high": 0.1})
    """Of AdamW."""
    batch: int = field(default=128, metadata={"low": 1, "high": 1_000_000})
    """Histories per step."""
    max_events: int = field(default=160_000, metadata={"low": 1, "high": 1_000_000_000})
    """Events read per pass at most, in windows drawn anew for each pass. Time grows in proportion."""
    seed: int = field(default=0, metadata={"low": 0, "high": 2**31 - 1})

    vectors_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_items, dimensions): rows of zeros for items of which nothing is known."""
    bias_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_items,): how much an item is bought by itself."""

    learner: ClassVar[str]
    """Module whose `learn` finds the arrays. It needs torch, so it is loaded only to fit, never to serve."""
    rest_reason: ClassVar[str | None] = "popular"
    several_threads: ClassVar[bool] = True
    slow: ClassVar[bool] = True
    needs: ClassVar[tuple[str, str] | None] = (LIBRARY, EXTRA)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stop is not None and not 1 <= self.stop <= self.epochs:
            raise ConfigError(
                f"stop must be from 1 to epochs (found {self.stop} and {self.epochs}): leave it out "
                "to use the best of all passes"
            )

    def fit(self, dataset: Dataset) -> HistoryVectors:
        """Raises `MissingDependencyError` where torch is not installed."""
        self.check_installed()
        for name, value in import_module(self.learner).learn(self, dataset).items():
            setattr(self, name, value)
        self.item_ids_ = dataset.item_ids
        return self

    @abstractmethod
    def _read(self, histories: Histories) -> Floats:
        """float32 (n, dimensions): what histories come to, each of which has one to `length` known items."""

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items and for histories of which nothing is known."""
        self.check_fitted()
        meaning, speaking = self.meaning(histories)
        scores = products(meaning, self.vectors_)
        scores += self.bias_
        scores[:, ~self._known] = np.nan
        scores[~speaking] = np.nan
        return scores

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        self.check_fitted()
        meaning, speaking = self.meaning(histories)
        out = []
        for row, at in enumerate(rows):
            scores = self.vectors_[at] @ meaning[row] + self.bias_[at]
            scores[~self._known[at] | ~speaking[row]] = np.nan
            out.append(scores.astype(np.float32))
        return out

    def retrieve(self, histories: Histories, k: int, among: Mask | None = None) -> list[Rows]:
        if len(self.vectors_) <= LARGE:
            return super().retrieve(histories, k, among)
        meaning, speaking = self.meaning(histories)
        one = np.ones((len(meaning), 1), np.float32)
        allowed = self._known if among is None else self._known & among
        found = self._nearest.search(np.hstack([meaning, one]), k, allowed)
        return [
            np.sort(row[allowed[row]]) if speaks else np.empty(0, np.int32)
            for row, speaks in zip(found, speaking, strict=True)
        ]

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """By deletion: how much the score falls without each event.

        What the history says, the score less what the item's bias is above the usual one, is shared out in
        proportion to these falls; where some events speak for the item and others against it, what cancels
        out is left to the rest.
        """
        self.check_fitted()
        events = np.zeros(len(histories.item), np.float32)
        (score,) = self.score_at(histories, [np.array([item], np.int32)])[0]
        if np.isnan(score):
            return events, 0.0
        read = np.flatnonzero(self._known[histories.item])[-self.length :]
        every = np.arange(len(histories.item))
        newest = histories.keep(np.isin(every, read))
        without = Histories.joined([newest.keep(newest.age != age) for age in newest.age])
        meaning, speaking = self.meaning(without)
        left = np.where(speaking, meaning @ self.vectors_[item], 0.0) + self.bias_[item]
        falls = score - left
        said = abs(float(score) - (float(self.bias_[item]) - self._usual_bias))
        events[read] = falls * (said / max(float(np.abs(falls).sum()), 1e-12))
        return events, float(score) - float(events.sum())

    def meaning(self, histories: Histories) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """float32 (n, dimensions): what histories come to, and bool (n,): those with a known item."""
        speaking = np.bincount(histories.owner, self._known[histories.item], len(histories)) > 0
        out = np.zeros((len(histories), self.vectors_.shape[1]), np.float32)
        rows = np.flatnonzero(speaking)
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            known = histories.take(some)
            known = known.keep(self._known[known.item])
            out[some] = self._read(known.keep(known.age < self.length))
        return out, speaking

    def state(self) -> tuple[dict[str, Any], Arrays]:
        settings, arrays = super().state()
        if len(self.vectors_) > LARGE:
            arrays["codes_"] = self._nearest.codes
        return settings, arrays

    def restore(self, arrays: Mapping[str, np.ndarray], item_ids: Vocabulary) -> HistoryVectors:
        super().restore(arrays, item_ids)
        if "codes_" in arrays:
            self.__dict__["_nearest"] = NearestRows(self._augmented(), arrays["codes_"])
        return self

    @cached_property
    def _known(self) -> npt.NDArray[np.bool_]:
        """bool (n_items,): items with a vector."""
        return np.asarray(self.vectors_.any(axis=1))

    @cached_property
    def _usual_bias(self) -> float:
        return float(np.median(self.bias_[self._known]))

    @cached_property
    def _nearest(self) -> NearestRows:
        return NearestRows.of(self._augmented())

    def _augmented(self) -> Floats:
        """float32 (n_items, dimensions + 1): vectors with the bias behind them, for products with (h, 1)."""
        made: Floats = shared(
            self.vectors_, "augmented", lambda: np.hstack([self.vectors_, self.bias_[:, None]])
        )
        return made


def affine(x: Floats, weights: Floats) -> Floats:
    """x float32 (n, d) through a map whose last row is its bias."""
    out: Floats = x @ weights[:-1] + weights[-1]
    return out


def normed(x: Floats, norm: Floats) -> Floats:
    """Layer norm over the last axis; `norm` float32 (2, d): scale and shift."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    out: Floats = centred / np.sqrt(variance + np.float32(NORM_EPS)) * norm[0] + norm[1]
    return out


def gelu(x: Floats) -> Floats:
    """Gaussian error linear units (Hendrycks and Gimpel, 2016), exactly."""
    out: Floats = (x * 0.5 * (1.0 + erf(x / np.float32(np.sqrt(2.0))))).astype(np.float32)
    return out
