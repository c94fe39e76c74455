"""Progress bars on stderr, so that stdout stays clean for results and JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(label: str, total: int | None, *, show: bool) -> Iterator[Callable[[int], None]]:
    """Yields `advance(steps)`; `total` None where the end is not known.

    Nothing is drawn unless `show`, nor where stderr is no terminal.
    """
    if not show or total == 0:
        yield lambda _steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _steps: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as drawing:
        task = drawing.add_task(label, total=total)
        yield lambda steps: drawing.advance(task, steps)
