"""`Task`: a write that waits for its turn. Neighbours that only put events in are done with one statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.records import Event


class Kept(NamedTuple):
    """The outcome of writing events."""

    fresh: list[Event]
    """Those that were new, in order."""
    forgotten: int = 0
    """Those that a deletion of their user covers: not kept."""


Put = Callable[[SqlConnection, Sequence[Event]], Sequence[bool | None]]
"""Puts events in; says of each whether it was new, and None where it is covered by a deletion."""


class Task(NamedTuple):
    """One piece of work in the queue of the writer."""

    work: Callable[..., Any]
    future: Future[Any]
    events: Sequence[Event] | None
    """Events for a `Put`: those of neighbours are put in with one statement."""


def in_parts(tasks: list[Task]) -> list[list[Task]]:
    """Neighbouring tasks that only put events in, together; others alone."""
    parts: list[list[Task]] = []
    for task in tasks:
        if parts and task.events is not None and parts[-1][0].events is not None:
            parts[-1].append(task)
        else:
            parts.append([task])
    return parts


def kept(events: Sequence[Event], new: Sequence[bool | None]) -> Kept:
    """The outcome of one task's events. `new`: what a `Put` said of each."""
    return Kept([event for event, is_new in zip(events, new, strict=True) if is_new], new.count(None))
