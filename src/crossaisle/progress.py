"""What long tasks say of themselves: sentences about their steps, and bars on stderr; stdout stays clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]
"""Takes a sentence about each step."""
Advance = Callable[[int], None]
"""Takes how many more units are done."""


def silent(_: str) -> None:
    """Says nothing."""


def unwatched(_: int) -> None:
    """Shows nothing."""


@contextmanager
def bar(label: str, total: int | None, *, show: bool) -> Iterator[Advance]:
    """Yields `advance(steps)`; `total` None where the end is not known.

    Nothing is drawn unless `show`, nor where stderr is no terminal.
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
