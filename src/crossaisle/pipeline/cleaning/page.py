"""The report of a cleaning: what each step did, examples before and after, what is left to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossaisle import __version__
from crossaisle.data.clean.report import StepReport
from crossaisle.evaluate.report.page import facts, page, table, text

WORDS = {
    "mojibake": "Texts read in the wrong encoding",
    "width": "Full-width forms",
    "nfkc": "Compatibility characters",
    "chinese": "Chinese scripts",
    "language": "Languages",
    "brands": "Spellings of brands",
    "abbreviations": "Till codes written out",
    "sizes": "Amounts and units",
    "spelling": "Misspelt words",
    "categories": "Spellings of categories",
    "structure": "Shape of the category tree",
    "taxonomy": "Categories of another tree",
    "groups": "Variants and twins",
    "ids": "Items that events spell differently",
    "robots": "Users that are not people",
    "users": "Attributes of users",
}
"""Step -> its heading."""
SHOWN = 20
"""Proposals of a step that the page shows; all stand in the review file."""


def cleaning_html(title: str, reports: Sequence[StepReport], import_report: Mapping[str, Any]) -> str:
    """The whole page."""
    rows = [
        [
            WORDS.get(r.name, r.name),
            r.setting,
            r.rows_in,
            r.changed,
            r.rows_out,
            len(r.proposals),
            sum(yes for _, yes in r.proposals),
            r.seconds,
        ]
        for r in reports
    ]
    head = ["step", "setting", "rows in", "changed", "rows out", "proposals", "applied", "seconds"]
    lead = (
        '<p class="lead">A step that is <strong>on</strong> has changed what is listed here; '
        "one that <strong>reports</strong> has changed nothing. Whatever a step was unsure "
        "of is in review.csv: write yes or no in its last column, and name the file as "
        "review in [data.clean].</p>"
    )
    sections = [("steps", "All steps", lead + table(head, rows, numeric=range(2, 8)))]
    sections += [(r.name, WORDS.get(r.name, r.name), _step(r)) for r in reports]
    sections.append(("import", "The import", facts(import_report.get("tables", {}))))
    changed = sum(r.changed for r in reports)
    return page(
        f"{title}: what cleaning does",
        f"{changed:,} rows changed",
        sections,
        f"Made by crossaisle {__version__}.",
    )


def _step(report: StepReport) -> str:
    """One step; "" where it found nothing."""
    examples = report.to_json()["examples"]
    waiting = [proposal for proposal, applied in report.proposals if not applied]
    parts = [f"<p>{text(note, 600)}</p>" for note in report.notes]
    if examples:
        shown = [[e["column"], e["before"], e["after"]] for e in examples]
        parts.append(
            table(["column", "before", "after"], shown, caption=f"{report.changed:,} rows changed, such as")
        )
    if waiting:
        ranked = sorted(waiting, key=lambda p: (-p.confidence, p.before))[:SHOWN]
        rows = [[p.before, p.after, p.confidence, p.rows, p.why] for p in ranked]
        head = ["before", "after", "confidence", "rows", "why"]
        parts.append(
            table(head, rows, caption=f"{len(waiting):,} not applied, the most certain first", numeric=(2, 3))
        )
    if report.facts:
        parts.append(facts(report.facts))
    return "".join(parts)
