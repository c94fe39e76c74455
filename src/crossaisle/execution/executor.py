"""`Executor`: maps shards of work and gives their results in order; the code above knows no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeAlias, TypeVar

S = TypeVar("S")
R = TypeVar("R")

Task: TypeAlias = Callable[[], Callable[[S], R]]
"""Called once in each worker: opens what the work needs (a model, say) and gives the function of a shard.

It travels to the workers, so it holds paths and settings where it can; what it opens stays there.
"""


class Executor(Protocol):
    """Does the same to many shards."""

    @property
    def threads(self) -> int | None:
        """Threads that one worker should use; None: as many as the work takes by itself."""
        ...

    def map(self, task: Task[S, R], shards: Iterable[S]) -> Iterator[R]:
        """Results in the order of `shards`, which are drawn as workers become free.

        An error of the work is raised where its result would be.
        """
        ...


class LocalExecutor:
    """One shard after the other, in this process."""

    threads: int | None = None

    def map(self, task: Task[S, R], shards: Iterable[S]) -> Iterator[R]:
        """Results in the order of `shards`; a shard is drawn when the one before it is done."""
        work = task()
        for shard in shards:
            yield work(shard)
