"""`Executor`: maps a function over shards of work and yields the results in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeAlias, TypeVar

S = TypeVar("S")
R = TypeVar("R")

Task: TypeAlias = Callable[[], Callable[[S], R]]
"""Called once per worker: opens what the work needs (such as a model) and returns the function of a shard.

It is sent to the workers, so it should hold paths and settings; what it opens stays in the worker.
"""


class Executor(Protocol):
    """Applies the same function to many shards."""

    @property
    def threads(self) -> int | None:
        """Threads that one worker should use; None: the default of the libraries involved."""
        ...

    def map(self, task: Task[S, R], shards: Iterable[S]) -> Iterator[R]:
        """Yields results in the order of `shards`; takes the next shard whenever a worker is free.

        An exception in the work is raised in place of its result.
        """
        ...


class LocalExecutor:
    """Processes one shard after another in this process."""

    threads: int | None = None

    def map(self, task: Task[S, R], shards: Iterable[S]) -> Iterator[R]:
        """Yields results in the order of `shards`; takes each shard when the previous one is done."""
        work = task()
        for shard in shards:
            yield work(shard)
