"""Results on stdout: JSON for programs, tables for people."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from crossaisle.data.control import escaped_control, without_control

if TYPE_CHECKING:
    from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def show_json(value: Any) -> None:
    """One JSON document; NaN becomes null, since JSON has none."""
    text = json.dumps(plain(value), indent=1, ensure_ascii=False)
    print(escaped_control(text))


def tell(text: str, *, on_the_side: bool = False) -> None:
    """A line that holds texts out of data; `on_the_side`: on stderr."""
    print(without_control(text), file=sys.stderr if on_the_side else None)


def plain(value: Any) -> Any:
    """The same value in types that JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A table with numbers to the right; long texts wrap on a terminal, nothing is cut in a pipe."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = [list(row) for row in rows]
    title = None if title is None else without_control(title)
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for number, name in enumerate(map(without_control, columns)):
        numeric = all(isinstance(row[number], int | float | None) for row in shown)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in shown:
        table.add_row(*(Text(text_of(cell)) for cell in row))
    show(table)


def show(table: Table) -> None:
    """Prints as wide as the terminal; in a pipe as wide as the table, so that nothing is cut."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)
    console.print(table)


def text_of(value: Any) -> str:
    """A cell: numbers with as many digits as mean something, nothing for None and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return without_control(str(value))
