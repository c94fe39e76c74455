"""`LanguageModelScorer`: a GPT-like model predicts the next title without training on the shop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.errors import ConfigError
from crossaisle.models import registry
from crossaisle.models.base import Arrays, Scorer, pack_words, shared_by_repeats, unpack_words
from crossaisle.training.decoder.likelihood import Likelihood, Tokens, opened

BEFORE, AFTER = "Customers who bought", "also buy"
_FIRST = "first_"


@dataclass(kw_only=True)
class LanguageModelScorer(Scorer):
    """Log-likelihood per token of a candidate's title after "Customers who bought A, B also buy".

    Takes seconds per history, so only the `top` candidates of another model are scored; all other items, and
    those of the history, score NaN. `pmi` subtracts a title's likelihood without the history, which favours
    common words (Holtzman et al., Surface Form Competition, EMNLP 2021). All likelihoods are cached on disk.
    """

    model: str = "smollm2"
    """A decoder: a known name, a folder with a checkpoint, or "owner/name" on the hub."""
    first: str = "tfidf"
    """Kind of the model, with default settings, that retrieves the candidates."""
    top: int = field(default=50, metadata={"low": 1, "high": 1_000_000})
    """Candidates scored per history."""
    history: int = field(default=5, metadata={"low": 1, "high": 10_000})
    """Number of newest items named in the prompt."""
    max_tokens: int = field(default=24, metadata={"low": 1, "high": 10_000})
    """Longer titles are truncated."""
    pmi: float = field(default=1.0, metadata={"low": 0.0, "high": 100.0})
    """Factor of the title's log-likelihood without a history, which is subtracted; 0 disables this."""

    titles_: npt.NDArray[np.uint8] = field(init=False, repr=False, compare=False)
    """uint8: titles by item row, in UTF-8, one per line."""
    first_: Scorer = field(init=False, repr=False, compare=False)

    kind: ClassVar[str] = "language_model"
    reason: ClassVar[str] = "language model"
    learned: ClassVar[tuple[str, ...]] = ("titles_",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first == self.kind:
            raise ConfigError("a language model scores the candidates of another model, not its own")

    def fit(self, dataset: Dataset) -> LanguageModelScorer:
        named = zip(dataset.items["title"], dataset.item_texts, strict=True)
        self.titles_ = pack_words([" ".join((title or text).split()) for title, text in named])
        self.first_ = registry.make(self.first, {}).fit(dataset)
        self.item_ids_ = dataset.item_ids
        return self

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items that were not scored, and for histories without a title."""
        self.check_fitted()
        before: Floats = self.first_.score_rows(histories).copy()
        before[histories.owner, histories.item] = np.nan
        out = np.full_like(before, np.nan)
        for row in range(len(histories)):
            known = np.flatnonzero(~np.isnan(before[row]))
            best = known[np.argsort(-before[row, known], kind="stable")[: self.top]]
            out[row, best] = self.likelihood(histories.items_of(row), best.astype(np.int32))
        return out

    def likelihood(self, history: Rows, items: Rows) -> Floats:
        """float32 (len(items),): scores of given items after one history, oldest item first."""
        self.check_fitted()
        shown = [int(i) for i in history if self._titles[i]][-self.history :]
        if not shown or not len(items):
            return np.full(len(items), np.nan, np.float32)
        texts = [self._tokens(int(i)) for i in items]
        length = np.array([max(len(text), 1) for text in texts])
        found = self._model.log_likelihood(self._prompt(shown), texts)
        if self.pmi:
            alone = self._model.log_likelihood(self._prompt([]), texts)
            found = found - self.pmi * alone
        scores: Floats = (found / length).astype(np.float32)
        return scores

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Contributions by deletion: how much the score drops if the prompt does not name an item of the
        history.

        An older item takes its place in the prompt. Zeros for an item that was not scored.
        """
        score, events = self.score_rows(histories)[0, item], histories.item
        lost, asked = np.zeros(len(self.item_ids_), np.float32), np.array([item], np.int32)
        if np.isnan(score):
            return np.zeros(len(events), np.float32), 0.0
        named = [row for row in events.tolist() if self._titles[row]][-self.history :]
        for row in set(named):
            lost[row] = score - np.nan_to_num(self.likelihood(events[events != row], asked)[0])
        return shared_by_repeats(lost, events, float(score))

    def _prompt(self, rows: Sequence[int]) -> Tokens:
        """The prompt up to the title to predict; without items "Customers also buy"."""
        if not rows:
            return self._model.tokens(f"Customers {AFTER}")
        parts = list(self._model.tokens(BEFORE))
        comma = self._model.tokens(",")
        for place, row in enumerate(rows):
            parts += [*(comma if place else ()), *self._tokens(row)]
        return (*parts, *self._model.tokens(f" {AFTER}"))

    def _tokens(self, row: int) -> Tokens:
        return self._model.tokens(f" {self._titles[row]}", self.max_tokens) if self._titles[row] else ()

    @property
    def _model(self) -> Likelihood:
        return opened(self.model)

    @cached_property
    def _titles(self) -> list[str]:
        return unpack_words(self.titles_)

    def state(self) -> tuple[dict[str, object], Arrays]:
        """Includes the first model's arrays, under prefixed names."""
        settings, arrays = super().state()
        return settings, arrays | {f"{_FIRST}{name}": value for name, value in self.first_.state()[1].items()}

    def restore(self, arrays: Mapping[str, np.ndarray], item_ids: Vocabulary) -> LanguageModelScorer:
        """The inverse of `state`."""
        super().restore({n: v for n, v in arrays.items() if not n.startswith(_FIRST)}, item_ids)
        inner = {n.removeprefix(_FIRST): v for n, v in arrays.items() if n.startswith(_FIRST)}
        self.first_ = registry.make(self.first, {}).restore(inner, item_ids)
        return self


registry.SCORERS[LanguageModelScorer.kind] = LanguageModelScorer
