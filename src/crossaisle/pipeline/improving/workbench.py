"""`Workbench`: what a change of the parts gains on validation. Unchanged parts are not fitted again.

The validation cases are split in two. Changes are chosen on one half and confirmed on the other; test is
not touched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.membership import is_in
from crossaisle.data.splits.carts import cart_cases, has_baskets
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ConfigError
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.models.base import Scorer
from crossaisle.models.defaults import BESIDE, KNOWLEDGE, OF_HISTORY, OF_USERS, with_settings
from crossaisle.models.shortlists import TuningTask, answerable, nominate
from crossaisle.models.tuning import Tuned, tune_scored, values_of
from crossaisle.pipeline.fit import split_and_parts
from crossaisle.pipeline.weights import RARITY

MEMORY = 2_000_000_000
"""Bytes of scores that are kept, as float32."""
MOST = 1250
"""Cases per half."""
FEWEST = 20

Half = Literal["choosing", "confirming"]
Question = Literal["open", "discover", "cart"]
"""`open`: the open list. `discover`: categories new to the user. `cart`: what goes with a cart alone."""
CASES: dict[Question, str] = {"open": "users", "discover": "users", "cart": "carts"}
"""Whose scores a question needs: those for users, or for carts."""


@dataclass(frozen=True)
class Gain:
    """How much better one sum of parts is than another."""

    difference: float
    low: float
    high: float
    """95 % interval, paired bootstrap over cases."""
    p: float
    value: float
    """Mean of NDCG@10 and recall@10."""
    before: float
    n: int

    def __str__(self) -> str:
        return (
            f"{self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}] (from {self.before:.4f} to "
            f"{self.value:.4f}, {self.n:,} cases)"
        )


@dataclass
class Scored:
    """A fitted part's scores of all cases of one kind."""

    halves: dict[Half, Floats]
    nominated: dict[tuple[Question, bool], Rows] = field(default_factory=dict)
    """The best candidates of the choosing half, by question and whether items of the history are none."""


@dataclass
class Workbench:
    """Parts of one shop, fitted on its training events, and the cases that they are judged by."""

    split: Split
    parts: dict[str, Scorer]
    """Unfitted, as the configuration has them."""
    tasks: dict[tuple[Question, Half], TuningTask]
    kept: int
    """Parts whose scores are kept."""
    fits_: dict[str, tuple[Scorer, float]] = field(default_factory=dict)
    """Fingerprint of a part -> the part, fitted, and the seconds that took."""
    scored_: dict[tuple[str, str], Scored] = field(default_factory=dict)
    """(fingerprint of a part, kind of cases) -> scores, the last used last."""

    @classmethod
    def of(cls, dataset: Dataset, split_config: SplitConfig, model: ModelConfig) -> Workbench:
        """`ConfigError` where validation has too few cases to be split in two."""
        split, parts, _ = split_and_parts(dataset, split_config, model)
        kept = len(parts) + 3
        most = int(min(MOST, max(MEMORY // (8 * dataset.n_items * kept), FEWEST)))
        tasks: dict[tuple[Question, Half], TuningTask] = {}
        for half, cases in _halves(split.validation, most, model.seed).items():
            mask_seen = cases.mask_seen or (model.repeats == "auto" and not split.repeated)
            other = cases.other_categories_only
            tasks["open", half] = TuningTask(
                cases, unseen=mask_seen, other=other, apart=() if other else (KNOWLEDGE,)
            )
            if not other:
                tasks["discover", half] = TuningTask(cases, unseen=True, new=True)
        if has_baskets(split.past):
            events = split.past.events
            later = (events.basket >= 0) & ~is_in(events.basket, split.train.events.basket)
            rarity = np.maximum(split.train.item_counts, 1).astype(np.float32) ** -RARITY
            carts = cart_cases(split.past, later, seed=model.seed)
            if len(carts) >= 2 * FEWEST:
                for half, cases in _halves(carts, most, model.seed).items():
                    tasks["cart", half] = TuningTask(cases, unseen=True, new=True, worth=rarity)
        bench = cls(split, parts, tasks, kept)
        if model.repeats == "auto":
            bench._rule()
        bench._leave_empty_ones_out()
        return bench

    def _leave_empty_ones_out(self) -> None:
        """No figure without cases: a question with next to none is not asked."""
        few = {
            question: found
            for (question, _), task in self.tasks.items()
            if (found := answerable(task, self.split.train.taxonomy)) < FEWEST // 2
        }
        if "open" in few:
            raise ConfigError(
                f"only {few['open']} of half the validation cases have a target that a list could "
                f"contain: at least {FEWEST // 2} are needed; hold out more with [split] validation"
            )
        self.tasks = {key: task for key, task in self.tasks.items() if key[0] not in few}

    def _rule(self) -> None:
        """Keeps items of the history in the open list, or leaves them out: what choosing is in favour of."""
        task = self.tasks["open", "choosing"]
        if not self.split.repeated or task.other:
            return
        parts = self.asked_of("open", self.parts)
        kept = self._tuned(parts, replace(task, unseen=False), "open")
        left_out = self._tuned(parts, replace(task, unseen=True, all_targets=True), "open")
        unseen = not kept.quality > left_out.quality
        for half in ("choosing", "confirming"):
            self.tasks["open", half] = replace(self.tasks["open", half], unseen=unseen)

    def question_of(self, name: str) -> Question | None:
        """What a part is judged by; None: by nothing that is asked here."""
        if name in OF_HISTORY or name == KNOWLEDGE:
            return None
        if name in BESIDE:
            return "cart" if ("cart", "choosing") in self.tasks else None
        return "open"

    def asked_of(self, question: Question, parts: Mapping[str, Scorer]) -> dict[str, Scorer]:
        """The parts that take part in an answer."""
        if question == "cart":
            return {n: p for n, p in parts.items() if n not in OF_HISTORY and n not in OF_USERS}
        return {n: p for n, p in parts.items() if n not in BESIDE}

    def with_settings(
        self, settings: Mapping[str, Any], leave_out: tuple[str, ...] = ()
    ) -> dict[str, Scorer]:
        """The parts with changes as `[model.parts]` has them."""
        return with_settings(self.parts, settings, leave_out)

    def tuned(self, parts: Mapping[str, Scorer], question: Question = "open") -> Tuned:
        """The best weights of some parts on the choosing half, and what they are worth there."""
        asked = self.asked_of(question, parts)
        return self._tuned(asked, self.tasks[question, "choosing"], question)

    def _tuned(self, parts: Mapping[str, Scorer], task: TuningTask, question: Question) -> Tuned:
        taxonomy, key = self.split.train.taxonomy, (question, task.unseen)
        found = {name: self._scores(part, CASES[question]) for name, part in parts.items()}
        for scored in found.values():
            if key not in scored.nominated:
                scored.nominated[key] = nominate(scored.halves["choosing"], task, taxonomy)
        scores = {name: scored.halves["choosing"] for name, scored in found.items()}
        best = {name: scored.nominated[key] for name, scored in found.items()}
        return tune_scored(scores, task, taxonomy, best)

    def values(
        self,
        parts: Mapping[str, Scorer],
        weights: Mapping[str, float],
        half: Half,
        question: Question = "open",
    ) -> Floats:
        """float32 (n,): the mean of NDCG@10 and recall@10 of each case; NaN: no right answer."""
        used = [name for name, weight in weights.items() if weight]
        scores = {name: self._scores(parts[name], CASES[question]).halves[half] for name in used}
        return values_of(scores, weights, self.tasks[question, half], self.split.train.taxonomy)

    def alone(self, part: Scorer, question: Question = "open") -> float:
        """What a part is worth alone, on the choosing half."""
        values = self.values({"it": part}, {"it": 1.0}, "choosing", question)
        return float(np.nanmean(values)) if (~np.isnan(values)).any() else float("nan")

    def spread(self, part: Scorer, question: Question = "open") -> float:
        """Standard deviation of what a part gives its best candidates; 1 where all are alike."""
        scored, task = self._scores(part, CASES[question]), self.tasks[question, "choosing"]
        rows = nominate(scored.halves["choosing"], task, self.split.train.taxonomy)
        best = np.take_along_axis(scored.halves["choosing"], np.maximum(rows, 0), axis=1)
        return float(np.nanstd(np.nan_to_num(best))) or 1.0

    def gain(
        self,
        after: tuple[Mapping[str, Scorer], Mapping[str, float]],
        before: tuple[Mapping[str, Scorer], Mapping[str, float]],
        question: Question = "open",
        *,
        half: Half = "confirming",
        resamples: int = 2000,
    ) -> Gain:
        """Parts and weights against others, on one half."""
        new, old = (self.values(*one, half, question) for one in (after, before))
        there = ~np.isnan(new) & ~np.isnan(old)
        bootstrap = Bootstrap(n=int(there.sum()), resamples=resamples)
        gap, p = bootstrap.difference(new[there, None], old[there, None])
        difference, low, high = gap.of(0)
        means = float(new[there].mean()), float(old[there].mean())
        return Gain(difference, low, high, float(p[0]), *means, int(there.sum()))

    def fit_seconds(self, part: Scorer) -> float:
        """What the fit of a part took; 0 where it was not fitted yet."""
        found = self.fits_.get(fingerprint_of(part))
        return 0.0 if found is None else found[1]

    def forget(self, part: Scorer) -> None:
        """Drops a part that will not be asked again: its fit and its scores."""
        name = fingerprint_of(part)
        self.fits_.pop(name, None)
        self.scored_ = {key: scored for key, scored in self.scored_.items() if key[0] != name}

    def _scores(self, part: Scorer, kind: str) -> Scored:
        key = fingerprint_of(part), kind
        found = self.scored_.pop(key, None)
        if found is None:
            found = self._fitted(part, kind)
            while len(self.scored_) >= self.kept:
                del self.scored_[next(iter(self.scored_))]
        self.scored_[key] = found
        return found

    def _fitted(self, part: Scorer, kind: str) -> Scored:
        name = fingerprint_of(part)
        if name not in self.fits_:
            fresh: Scorer = replace(part)  # type: ignore[type-var]
            start = time.perf_counter()
            fresh.fit(self.split.train)
            self.fits_[name] = fresh, time.perf_counter() - start
        fitted = self.fits_[name][0]
        question: Question = "cart" if kind == "carts" else "open"
        halves: dict[Half, Floats] = {}
        for half in ("choosing", "confirming"):
            histories = self.tasks[question, half].cases.histories
            parts = [
                fitted.score_rows(histories.take(slice(s, s + 256))) for s in range(0, len(histories), 256)
            ]
            halves[half] = np.concatenate(parts)
        return Scored(halves)


def _halves(cases: EvalCases, most: int, seed: int) -> dict[Half, EvalCases]:
    if len(cases) < 2 * FEWEST:
        raise ConfigError(
            f"validation has {len(cases)} cases: at least {2 * FEWEST} are needed, half of them to choose "
            "by and half to confirm; hold out more with [split] validation"
        )
    order = np.random.default_rng(seed).permutation(len(cases))
    size = min(len(cases) // 2, most)
    return {
        "choosing": cases.take(np.sort(order[:size])),
        "confirming": cases.take(np.sort(order[size : 2 * size])),
    }


def fingerprint_of(part: Scorer) -> str:
    """The same for parts of one kind with the same settings."""
    return json.dumps([part.kind, part.settings()], sort_keys=True, default=str)
