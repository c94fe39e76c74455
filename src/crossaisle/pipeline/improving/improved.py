"""What `tune` and `improve` end with: a configuration, what it gained, and what was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from crossaisle.config import RunConfig
from crossaisle.data.dataset import Dataset
from crossaisle.errors import ConfigError
from crossaisle.models.base import Scorer
from crossaisle.pipeline.improving.tables import Table, write_tables
from crossaisle.pipeline.improving.workbench import Gain, Question, Workbench
from crossaisle.pipeline.improving.written_config import write_config

TITLES: dict[Question, str] = {
    "open": "the open list",
    "discover": "categories new to the user",
    "cart": "what goes with a cart",
}


@dataclass(frozen=True)
class Step:
    """One change of the blend and what it was worth on the choosing half."""

    change: str
    question: Question
    quality: float
    before: float
    kept: bool
    confirmed: Gain | None = None
    """What it gained on the confirming half, where that was asked."""
    note: str = ""


@dataclass(frozen=True)
class Improved:
    """A configuration, and what it gained over the one that came in."""

    config: RunConfig
    verdict: dict[Question, Gain]
    steps: list[Step]

    @property
    def statement(self) -> str:
        """What was gained, in one line."""
        gain, kept = self.verdict["open"], sum(step.kept for step in self.steps)
        if not kept:
            return "Nothing that was tried is better: the settings are unchanged."
        proof = "" if gain.low > 0 else "; not provably better"
        changes = "1 change" if kept == 1 else f"{kept} changes"
        worse = ", ".join(TITLES[question] for question, one in self.verdict.items() if one.high < 0)
        harm = f"; worse: {worse}" if worse else ""
        return f"{changes}: mean of NDCG@10 and recall@10 {gain} held back from choosing{proof}{harm}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "statement": self.statement,
            "verdict": {question: asdict(gain) for question, gain in self.verdict.items()},
            "steps": [asdict(step) for step in self.steps],
        }


def begun(dataset: Dataset, config: RunConfig, out: Path, minutes: float) -> Workbench:
    """The workbench of a search that may take some minutes, and the folder for what it finds."""
    if not minutes > 0:
        raise ConfigError(f"--minutes must be above 0 (found {minutes:g})")
    out.mkdir(parents=True, exist_ok=True)
    return Workbench.of(dataset, config.split, config.model)


def blends(bench: Workbench) -> list[Question]:
    """The questions that a shop's cases can answer."""
    return [question for question in TITLES if (question, "choosing") in bench.tasks]


def verdict_of(bench: Workbench, parts: Mapping[str, Scorer], question: Question) -> Gain:
    """Parts against those that came in, each with weights of its own, on the confirming half."""
    after, before = (bench.tuned(some, question).weights for some in (parts, bench.parts))
    return bench.gain((parts, after), (bench.parts, before), question)


def merged(part: Scorer, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes as `[model.parts]` reads them: a table is replaced whole, so that it holds what stays, too."""
    settings, out = part.settings(), {}
    for name, value in changes.items():
        if isinstance(value, Mapping):
            kept = {key: old for key, old in settings[name].items() if old is not None}
            value = kept | dict(value)
        out[name] = value
    return out


def replace_parts(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """The configuration with settings of parts over those it has."""
    parts = {name: dict(given) for name, given in (config.model.parts or {}).items()}
    for name, given in settings.items():
        parts[name] = parts.get(name, {}) | dict(given)
    return replace(config, model=replace(config.model, parts=parts or None))


def write_improved(
    out: Path,
    name: str,
    stem: str,
    title: str,
    result: Improved,
    tables: Sequence[Table],
    *,
    with_data: bool,
) -> None:
    """The configuration as TOML; the tables as a page and as Markdown."""
    gains = [f"{TITLES[question]}: {gain}" for question, gain in result.verdict.items()]
    lines = [result.statement, "On the confirming half of validation: " + "; ".join(gains) + "."]
    notes = [result.statement]
    if not with_data:
        notes.append("The data come from a known data set: copy this section into your own configuration.")
    write_config(out / name, result.config, notes, with_data=with_data)
    rows = [
        [
            step.change,
            TITLES[step.question],
            step.before,
            step.quality,
            f"{step.quality - step.before:+.4f}",
            str(step.confirmed or ""),
            "kept" if step.kept else step.note,
        ]
        for step in result.steps
    ]
    head = ["change", "judged by", "before", "after", "gain", "on the confirming half", ""]
    write_tables(out / stem, title, lines, [Table("In the blend", head, rows), *tables])
