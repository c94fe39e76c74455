"""Progress of long tasks: a sentence per step, and progress bars on stderr; stdout stays clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]
"""Callback that receives a sentence about each step."""
Advance = Callable[[int], None]
"""Callback that receives the number of units just completed."""


def silent(_: str) -> None:
    """A `Say` that discards its sentence."""


def unwatched(_: int) -> None:
    """An `Advance` that shows nothing."""


@contextmanager
def bar(label: str, total: int | None, *, show: bool) -> Iterator[Advance]:
    """Yields `advance(steps)`; `total` is None if unknown.

    Draws nothing unless `show` is set and stderr is a terminal.
    """
    if not show or total == 0:
        yield unwatched
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield unwatched
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as drawing:
        task = drawing.add_task(label, total=total)
        yield lambda steps: drawing.advance(task, steps)
