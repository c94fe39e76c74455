"""Results on stdout: JSON for programs, tables for people."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from crossaisle.data.text.control import escaped_control, without_control

if TYPE_CHECKING:
    from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
On = Annotated[
    str,
    typer.Option(
        "--on", help="Where to run: local, ray or ray://HOST:PORT (needs crossaisle[ray]).", metavar="WHERE"
    ),
]


def show_json(value: Any) -> None:
    """Prints one JSON document. NaN becomes null: JSON has no NaN."""
    text = json.dumps(plain(value), indent=1, ensure_ascii=False)
    print(escaped_control(text))


def tell(text: str, *, on_the_side: bool = False) -> None:
    """Prints a line with texts from the data; `on_the_side`: on stderr."""
    print(without_control(text), file=sys.stderr if on_the_side else None)


def plain(value: Any) -> Any:
    """The same value in types that JSON has."""
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
    """Prints a table with right-aligned numbers. Long texts wrap on a terminal; nothing is cut in a pipe."""
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
    """Prints a table as wide as the terminal, or, in a pipe, as wide as it needs and without lines."""
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    text = io.StringIO()
    table.box = None
    Console(file=text, width=10_000).print(table)
    print("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def text_of(value: Any) -> str:
    """The text of a cell: numbers with their meaningful digits, "" for None and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return without_control(str(value))
