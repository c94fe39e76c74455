"""The report where nothing could be held out: what lists are based on, and why there are no figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossaisle import __version__
from crossaisle.evaluate.files import write_text
from crossaisle.evaluate.report.data import data_html
from crossaisle.evaluate.report.examples import examples_html
from crossaisle.evaluate.report.page import page, text


def write_unmeasured(
    path: str | Path,
    *,
    title: str,
    notes: Sequence[str],
    describe: Mapping[str, Any] | None = None,
    import_report: Mapping[str, Any] | None = None,
    drift: Mapping[str, Any] | None = None,
    examples: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Writes the report, atomically. Arguments as in `write_report`; `notes` say what is missing."""
    why = "".join(f"<li>{text(note, 600)}</li>" for note in notes)
    lead = (
        '<p class="lead">The quality of these recommendations <strong>could not be '
        "measured</strong>: that takes purchases that the models have not seen. Run it again "
        "once there are a few days of them.</p>"
    )
    sections = [
        ("result", "Nothing was measured", f"{lead}<ul>{why}</ul>"),
        ("examples", "What someone with one purchase would see", examples_html(examples)),
        ("data", "The data", data_html(describe, import_report)),
    ]
    made = f"Made by crossaisle {__version__}."
    write_text(path, page(title, "no test cases", sections, made))
