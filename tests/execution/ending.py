"""Tasks that record which worker ran them, and workers that are killed while running."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossaisle.execution.executor import Executor


@dataclass(frozen=True)
class Squares:
    """Squares numbers; notes each opening, and fails at one of them."""

    marks: Path
    fails_at: int | None = None

    def __call__(self) -> Callable[[int], int]:
        (self.marks / f"opened-{os.getpid()}-{uuid.uuid4().hex}").touch()
        return self.square

    def square(self, number: int) -> int:
        if number == self.fails_at:
            raise LookupError(f"no square of {number}")
        return number**2


@dataclass(frozen=True)
class Killed:
    """Another task, whose process is killed at the shards in `at`, `times` times each."""

    task: Callable[[], Callable[[Any], Any]]
    marks: Path
    at: frozenset[int]
    times: int = 1

    def __call__(self) -> Callable[[tuple[int, Any]], Any]:
        work = self.task()

        def run(numbered: tuple[int, Any]) -> Any:
            number, shard = numbered
            if number in self.at and len(list(self.marks.glob(f"killed-{number}-*"))) < self.times:
                (self.marks / f"killed-{number}-{uuid.uuid4().hex}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return work(shard)

        return run


@dataclass(frozen=True)
class KillingExecutor:
    """An executor whose workers are killed, once each, at the shards in `at`."""

    inner: Executor
    marks: Path
    at: frozenset[int]

    @property
    def threads(self) -> int | None:
        return self.inner.threads

    def map(self, task: Any, shards: Iterable[Any]) -> Iterator[Any]:
        return self.inner.map(Killed(task, self.marks, self.at), enumerate(shards))
