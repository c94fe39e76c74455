"""The report of a cleaning step: counts, examples before and after, and proposals in a review file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from crossaisle.errors import DataError

EXAMPLES = 10
"""Maximum number of examples per step in a report."""
REVIEW: dict[str, Any] = {
    "step": pl.String,
    "before": pl.String,
    "after": pl.String,
    "confidence": pl.Float64,
    "rows": pl.Int64,
    "why": pl.String,
    "applied": pl.Boolean,
    "apply": pl.String,
}
DECISIONS = {"yes": True, "y": True, "true": True, "1": True, "no": False, "n": False, "false": False} | {
    "0": False
}


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A change learned from the catalogue."""

    before: str
    after: str
    confidence: float
    """0 to 1; applied if at least the setting `confidence`."""
    rows: int
    """Number of rows that it would change."""
    why: str = ""


@dataclass(frozen=True)
class Change:
    """One value that a step changed."""

    column: str
    row: int
    """Row in the table given to the step."""
    before: str
    after: str


@dataclass(kw_only=True)
class StepReport:
    """The report of one step: `rows_in == rows_out + set aside` always holds."""

    name: str
    setting: str
    rows_in: int
    rows_out: int
    changes: list[Change] = field(default_factory=list)
    proposals: list[tuple[Proposal, bool]] = field(default_factory=list)
    """Each proposal, and whether it was applied."""
    learnt: dict[str, str] = field(default_factory=dict)
    """Before -> after of applied proposals, used to clean items that arrive later."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Further figures, JSON-ready."""
    notes: list[str] = field(default_factory=list)
    """Remarks in plain sentences."""
    seconds: float = 0.0

    @property
    def changed(self) -> int:
        """Number of rows with at least one changed value."""
        return len({change.row for change in self.changes})

    def to_json(self) -> dict[str, Any]:
        """Counts, examples and figures; the full list of proposals is in the review file."""
        seen = {(change.before, change.after): change for change in reversed(self.changes)}
        examples = list(reversed(seen.values()))[:EXAMPLES]
        return {
            "step": self.name,
            "setting": self.setting,
            "rows_in": self.rows_in,
            "changed": self.changed,
            "rows_out": self.rows_out,
            "examples": [{"column": c.column, "before": c.before, "after": c.after} for c in examples],
            "proposals": len(self.proposals),
            "applied": sum(applied for _, applied in self.proposals),
            "facts": self.facts,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class Review:
    """People's decisions about proposals."""

    decisions: Mapping[tuple[str, str], tuple[str, bool]] = field(default_factory=dict)
    """(step, before) -> after, whether to apply it."""

    def of(self, step: str) -> dict[str, str]:
        """Before -> after of all changes that a person has approved for one step."""
        return {b: after for (name, b), (after, yes) in self.decisions.items() if yes and name == step}

    def settle(
        self, step: str, proposals: Iterable[Proposal], *, apply: bool, confidence: float
    ) -> tuple[dict[str, str], list[tuple[Proposal, bool]]]:
        """Decides which changes are applied: (before -> after) of those, and all proposals with whether each
        is.

        A decision overrides any confidence; rows that a person added to the file are applied as well.
        """
        chosen = self.of(step) if apply else {}
        settled = []
        for proposal in proposals:
            decided = self.decisions.get((step, proposal.before))
            if decided is None:
                yes = apply and proposal.confidence >= confidence
                if yes:
                    chosen[proposal.before] = proposal.after
            else:
                yes = apply and decided[1] and decided[0] == proposal.after
            settled.append((proposal, yes))
        return chosen, settled


def read_review(path: Path) -> Review:
    """Reads decisions from a review file: rows whose `apply` says yes or no.

    `DataError` if the file is not a review file, or a decision is neither yes nor no.
    """
    table = read_table(path, ("step", "before", "after", "apply"))
    decisions = {}
    for number, (step, before, after, word) in enumerate(table.iter_rows(), 2):
        if not word:
            continue
        if word.lower() not in DECISIONS:
            raise DataError(
                "must be yes, no or empty", file=str(path), row=number, column="apply", value=word
            )
        decisions[step, before] = (after, DECISIONS[word.lower()])
    return Review(decisions)


def read_table(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """Some columns of a CSV file as trimmed texts, "" if empty; `DataError` if a column is missing."""
    try:
        table = pl.read_csv(path, infer_schema=False, encoding="utf8")
    except FileNotFoundError:
        raise DataError("no such file", file=str(path)) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"is not a CSV file in UTF-8 ({str(error).splitlines()[0]})", file=str(path)
        ) from None
    table = table.rename({name: name.strip().lower().removeprefix("\ufeff") for name in table.columns})
    for name in columns:
        if name not in table.columns:
            raise DataError(f"needs the columns {', '.join(columns)}", file=str(path), column=name)
    return table.select(pl.col(*columns).fill_null("").str.strip_chars())


def write_review(path: Path, reports: Sequence[StepReport]) -> int:
    """Writes all proposals to a CSV file, the most doubtful first; returns their number."""
    rows: list[dict[str, Any]] = [
        {
            "step": report.name,
            "before": proposal.before,
            "after": proposal.after,
            "confidence": round(proposal.confidence, 3),
            "rows": proposal.rows,
            "why": proposal.why,
            "applied": applied,
            "apply": "yes" if applied else "",
        }
        for report in reports
        for proposal, applied in report.proposals
    ]
    rows.sort(key=lambda row: (row["applied"], row["step"], -row["confidence"], row["before"]))
    pl.DataFrame(rows, schema=REVIEW).write_csv(path)
    return len(rows)
