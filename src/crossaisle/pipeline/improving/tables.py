"""What was tried, as a page and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossaisle.evaluate.files import write_text
from crossaisle.evaluate.report import page


@dataclass(frozen=True)
class Table:
    """One table with its heading."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]


def write_tables(stem: Path, title: str, lines: Sequence[str], tables: Sequence[Table]) -> None:
    """`stem`.md and `stem`.html."""
    text = [f"# {title}", "", *(f"{line}\n" for line in lines)]
    result = "".join(f"<p>{page.text(line, 1000)}</p>" for line in lines)
    sections = [("result", "Result", result)]
    for number, table in enumerate(tables):
        columns = range(len(table.head))
        numeric = [i for i in columns if any(isinstance(row[i], int | float) for row in table.rows)]
        text += [f"## {table.title}", "", *_markdown(table, numeric), ""]
        inner = page.table(table.head, table.rows, numeric=numeric)
        sections.append((f"table-{number}", table.title, inner))
    write_text(stem.with_suffix(".md"), "\n".join(text) + "\n")
    write_text(stem.with_suffix(".html"), page.page(title, "crossaisle", sections, "Measured on validation."))


def _markdown(table: Table, numeric: Sequence[int]) -> list[str]:
    rule = ["---:" if i in numeric else "---" for i in range(len(table.head))]
    return [_line(table.head), _line(rule), *(_line([_cell(value) for value in row]) for row in table.rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return page.number(value)
    return " ".join(str(value).split()).replace("|", "\\|")
