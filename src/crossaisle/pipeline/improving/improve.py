"""`improve`: tries changes to the blend one by one, and confirms them on cases not used to choose them.

Tried are: each part left out (an ablation), further parts, other decays, other regularisation and other
features. A change is kept if it is better on one half of the validation cases and, by a paired bootstrap,
on the other half. What did not change is not fitted again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.config import RunConfig
from crossaisle.data.dataset import Dataset
from crossaisle.errors import ConfigError
from crossaisle.evaluate.files import write_json
from crossaisle.models.base import Scorer
from crossaisle.models.space import half_way, nested, searched, value_of
from crossaisle.models.tuning import GAIN, Tuned
from crossaisle.pipeline.improving.improved import (
    TITLES,
    Improved,
    Step,
    begun,
    blends,
    merged,
    replace_parts,
    verdict_of,
    write_improved,
)
from crossaisle.pipeline.improving.tables import Table
from crossaisle.pipeline.improving.workbench import Question, Workbench, fingerprint_of
from crossaisle.progress import Say, silent

FURTHER: dict[str, dict[str, Any]] = {
    "als": {"kind": "als"},
    "als_recent": {"kind": "als", "decay": {"events": 2.0}},
    "slit": {"kind": "slit"},
    "ease": {"kind": "ease", "max_items": 8_000},
    "item_knn_conditional": {"kind": "item_knn", "similarity": "conditional", "average": True},
    "frequency": {"kind": "frequency"},
    "personal_popularity": {"kind": "personal_popularity"},
}
"""Parts that are added where the shop has none of that name."""
NEEDED = {"popularity": "trending", "frequency": "buy_again"}
"""Parts that are not left out -> the placement that has no other."""
LEVEL = 0.05
"""Chance of keeping any change that is none, over all changes that are asked to prove themselves."""
PROMISING = 0.2
"""A change is asked to prove itself if its p-value on the choosing half is at most this."""


@dataclass(frozen=True)
class State:
    """What a configuration changes about the parts."""

    settings: Mapping[str, Mapping[str, Any]]
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One thing to try."""

    what: str
    question: Question
    part: str
    state: State


def improve(
    dataset: Dataset,
    config: RunConfig,
    out: Path,
    *,
    minutes: float,
    known: bool = False,
    say: Say = silent,
) -> Improved:
    """Tries changes for some minutes; writes `improved.toml`, `improve.json`, `improve.md`, `improve.html`.

    The cheap ones come first. A change that has begun is finished. `known` as for `tune`.
    """
    end = time.perf_counter() + minutes * 60.0
    bench = begun(dataset, config, out, minutes)
    say("fitting the parts as they are")
    search = _Search(bench, say)
    alone = [[name, TITLES[q], bench.alone(part, q)] for name, part, q in _asked(bench)]
    sums = list(_simpler_sums(bench))
    skipped = 0
    for change, last in search.changes():
        if time.perf_counter() < end:
            search.ask(change)
            if last:
                search.tidy(change)
        else:
            skipped += 1
    if skipped:
        say(f"{skipped} changes were not tried: the time is up")
    state, parts = search.state, bench.with_settings(search.state.settings, search.state.leave_out)
    verdict = {question: verdict_of(bench, parts, question) for question in blends(bench)}
    left_out = tuple(dict.fromkeys((*config.model.leave_out, *state.leave_out)))
    changed = replace_parts(config, state.settings)
    result = Improved(
        replace(changed, model=replace(changed.model, leave_out=left_out)), verdict, search.steps
    )
    tables = [
        Table("The blend as it was, and simpler ones", ["sum", "judged by", "on the confirming half"], sums),
        Table("Each part alone, as it was", ["part", "judged by", "quality"], alone),
    ]
    write_improved(out, "improved.toml", "improve", "What was tried", result, tables, with_data=not known)
    write_json(out / "improve.json", result.to_dict() | {"not_tried": skipped})
    return result


def _asked(bench: Workbench) -> Iterator[tuple[str, Scorer, Question]]:
    for name, part in bench.parts.items():
        question = bench.question_of(name)
        if question is not None:
            yield name, part, question


def _simpler_sums(bench: Workbench) -> Iterator[list[Any]]:
    """What choosing weights is worth: the blend, all of its parts with equal say, and its best part."""
    for question in blends(bench):
        parts, weights = bench.parts, bench.tuned(bench.parts, question).weights
        best = max(weights, key=lambda name: bench.alone(parts[name], question))
        tried = {
            "weights chosen": weights,
            "equal say": {name: 1.0 / bench.spread(parts[name], question) for name in weights},
            f"{best} alone": {best: 1.0},
        }
        for name, one in tried.items():
            values = bench.values(parts, one, "confirming", question)
            yield [name, TITLES[question], float(np.nanmean(values))]


class _Search:
    """The state so far, and every step that led or did not lead to it."""

    def __init__(self, bench: Workbench, say: Say) -> None:
        self.bench, self.say = bench, say
        self.state, self.steps = State({}), []  # type: tuple[State, list[Step]]
        self._proofs = 0
        self._tuned = {question: bench.tuned(bench.parts, question) for question in blends(bench)}

    def changes(self) -> list[tuple[Change, bool]]:
        """Everything to try, the cheapest first: leaving out costs no fit. True where no other question about
        the same change follows.
        """
        bench, out = self.bench, []
        for name, part, question in _asked(bench):
            if self._tuned[question].weights.get(name):
                out.append((0.0, Change(f"without {name}", question, name, State({}, (name,)))))
            seconds = bench.fit_seconds(part)
            for what, values in _other_values(bench, part):
                given = State({name: merged(part, nested(values))})
                out.append((seconds, Change(f"{name}: {what}", question, name, given)))
        typical = float(np.mean([bench.fit_seconds(part) for _, part, _ in _asked(bench)]))
        for name, more in FURTHER.items():
            if name not in bench.parts and (more["kind"] != "als" or find_spec("implicit")):
                out.append((typical, Change(f"with {name}", "open", name, State({name: more}))))
        ordered = [change for _, change in sorted(out, key=lambda one: one[0])]
        # What is fitted for the open list is judged by new categories in passing.
        return [
            (replace(change, question=question), question == judges[-1])
            for change in ordered
            for judges in (self._judges(change),)
            for question in judges
        ]

    def tidy(self, change: Change) -> None:
        """Drops what was fitted for a change that is not kept."""
        parts = self._parts(self._after(change))
        kept = {
            fingerprint_of(part)
            for some in (self._parts(self.state), self.bench.parts)
            for part in some.values()
        }
        for name in change.state.settings:
            if name in parts and fingerprint_of(parts[name]) not in kept:
                self.bench.forget(parts[name])

    def _judges(self, change: Change) -> list[Question]:
        both: list[Question] = ["open", "discover"]
        return [q for q in both if q in self._tuned] if change.question == "open" else [change.question]

    def ask(self, change: Change) -> None:
        """Keeps the change if both halves are for it, and no other placement gets provably worse."""
        bench, question = self.bench, change.question
        state = self._after(change)
        before, now, old = self._parts(self.state), self._parts(state), self._tuned[question]
        if change.part in self.state.leave_out or state == self.state or not bench.asked_of(question, now):
            return  # it is out, or has just been kept
        try:
            new = bench.tuned(now, question)
        except (ValueError, ConfigError) as error:  # such as a matrix that cannot be inverted
            self._note(change, old.quality, float("nan"), note=str(error)[:100])
            return
        pair = (now, new.weights), (before, old.weights)
        note = self._against(change, new.quality - old.quality)
        if not note and bench.gain(*pair, question, half="choosing").p > PROMISING:
            note = "within chance"
        if note:
            self._note(change, old.quality, new.quality, note=note)
            return
        self._proofs += 1
        gain = bench.gain(*pair, question)
        # 1/2 + 1/6 + 1/12 + ... = 1: however many are asked, together they are within LEVEL.
        level = LEVEL / (self._proofs * (self._proofs + 1))
        tuned = {question: new}
        if gain.difference > 0 and gain.p < level:
            note = self._harm(now, before, tuned)
        else:
            note = f"not confirmed (p = {gain.p:.2g}, must be below {level:.2g})"
        if not note:
            self.state = state
            self._tuned |= tuned
        self._note(change, old.quality, new.quality, kept=not note, confirmed=gain, note=note)

    def _after(self, change: Change) -> State:
        """The state with the change; what is left out has no settings."""
        left_out = (*self.state.leave_out, *change.state.leave_out)
        settings = {**self.state.settings, **_joined(self.state, change)}
        return State({name: given for name, given in settings.items() if name not in left_out}, left_out)

    def _against(self, change: Change, gained: float) -> str:
        """What speaks against a change on the choosing half; "" where nothing does."""
        if not gained > GAIN:
            return "needed" if change.state.leave_out and gained < -GAIN else "no gain"
        return "".join(f"{NEEDED[name]} needs it" for name in change.state.leave_out if name in NEEDED)

    def _harm(
        self, now: Mapping[str, Scorer], before: Mapping[str, Scorer], tuned: dict[Question, Tuned]
    ) -> str:
        """Which other placement gets provably worse, "" where none does; adds its weights to `tuned`."""
        for other in [question for question in blends(self.bench) if question not in tuned]:
            tuned[other] = self.bench.tuned(now, other)
            pair = (now, tuned[other].weights), (before, self._tuned[other].weights)
            guard = self.bench.gain(*pair, other)
            if guard.high < 0:
                return f"makes {TITLES[other]} worse: {guard}"
        return ""

    def _parts(self, state: State) -> dict[str, Scorer]:
        return self.bench.with_settings(state.settings, state.leave_out)

    def _note(self, change: Change, before: float, quality: float, **more: Any) -> None:
        step = Step(change.what, change.question, quality, before, more.pop("kept", False), **more)
        self.steps.append(step)
        what = "kept" if step.kept else step.note
        self.say(f"{change.what}: {TITLES[change.question]} {before:.4f} -> {quality:.4f}, {what}")


def _joined(state: State, change: Change) -> dict[str, dict[str, Any]]:
    """The settings of a change over those that the part has by now."""
    return {name: {**state.settings.get(name, {}), **given} for name, given in change.state.settings.items()}


def _other_values(bench: Workbench, part: Scorer) -> Iterator[tuple[str, dict[str, Any]]]:
    """One hyper-parameter at a time."""
    settings = part.settings()
    for name, values in searched(part.space, settings, has_time=bench.split.train.has_time).items():
        for value in half_way(values, value_of(settings, name)):
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            yield f"{name} {shown}", {name: value}
