"""`RayExecutor`: shards on the actors of a Ray cluster; if a worker dies, its shards are retried
elsewhere."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic

from crossaisle.errors import ConfigError, MissingDependencyError, WorkerError, cleaned, shown
from crossaisle.execution.executor import R, S, Task

TRIES = 3
"""Number of workers that may die on one shard before the job fails."""
DEPTH = 2
"""Shards assigned to a worker: the current one and the next."""
AHEAD = 4
"""Results buffered per worker while an earlier one is awaited."""


def _ray(*, alone: bool = False) -> Any:
    """Imports Ray; `alone`: for a cluster on this machine only, which must be decided at import."""
    if alone:  # whoever reaches a cluster can run code on it, so a local one binds to loopback, as on macOS
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise MissingDependencyError("ray", "ray", "--on ray") from None
    return ray


@contextmanager
def connected(address: str | None = None) -> Iterator[None]:
    """A connection to a cluster, closed at the end unless it was already open.

    If no address is given here or in `RAY_ADDRESS`, a cluster is started on this machine and stopped at the
    end.
    """
    address = address or os.environ.get("RAY_ADDRESS") or None
    ray = _ray(alone=address is None)
    if ray.is_initialized():
        yield
        return
    own: dict[str, Any] = {"address": "local", "include_dashboard": False}
    try:
        ray.init(
            **(own if address is None else {"address": address}), log_to_driver=False, logging_level="ERROR"
        )
    except (ConnectionError, TimeoutError, RuntimeError) as error:
        where = "could not be started here" if address is None else f"does not answer at {shown(address)}"
        raise ConfigError(f"--on ray: the Ray cluster {where}: {cleaned(error)[:300]}") from error
    try:
        yield
    finally:
        ray.shutdown()


class RayExecutor:
    """Actors of one CPU each, as many as the cluster has.

    Needs a connection (`connected`). Each actor opens the task once; the shards of an actor that dies are
    redone by another. Results equal those of a local run up to rounding, as batch sizes and threads differ.
    """

    threads: int | None = 1

    def map(self, task: Task[S, R], shards: Iterable[S]) -> Iterator[R]:
        """Yields results in the order of `shards`. `WorkerError` if a shard has killed `TRIES` workers."""
        job = _Job[S, R](_ray(), task, shards)
        try:
            yield from job.results()
        finally:
            job.close()


class _Worker:
    """An actor: opens the task with its first shard, so that an error in opening is raised like one of the
    work."""

    def __init__(self, task: Task[Any, Any]) -> None:
        self._task = task
        self._work: Callable[[Any], Any] | None = None

    def ready(self) -> bool:
        return True

    def run(self, shard: Any) -> Any:
        if self._work is None:
            self._work = self._task()
        return self._work(shard)


@dataclass(eq=False)
class _Actor:
    """The driver's view of one worker."""

    handle: Any
    ready: bool = False
    """False until the cluster has placed the actor; it gets no shards before that."""
    held: dict[int, Any] = field(default_factory=dict)
    """Number -> shard that it works on."""


class _Job(Generic[S, R]):
    """The state of one `map` call."""

    def __init__(self, ray: Any, task: Task[S, R], shards: Iterable[S]) -> None:
        self._ray = ray
        self._most = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._class = ray.remote(num_cpus=1)(_Worker)
        self._task = ray.put(task)
        self._feed = enumerate(shards)
        self._backlog: deque[tuple[int, S]] = deque()
        self._actors: list[_Actor] = []
        self._waiting: dict[Any, tuple[_Actor, int | None]] = {}
        """Reference -> the actor that owes it and the number of its shard, or None for its ready signal."""
        self._done: dict[int, R] = {}
        self._next = 0
        self._ended: Counter[int | None] = Counter()
        """Shard number -> workers that died while working on it; None: before they had one."""
        # A lost node takes its actors and objects with it; a machine may also kill a worker to free memory.
        lost = ray.exceptions
        self._losses = (
            lost.RayActorError,
            lost.WorkerCrashedError,
            lost.NodeDiedError,
            lost.OutOfMemoryError,
            lost.ObjectLostError,
        )

    def results(self) -> Iterator[R]:
        while True:
            self._draw()
            self._hire()
            self._give()
            if not self._waiting:
                return
            self._collect()
            while self._next in self._done:
                yield self._done.pop(self._next)
                self._next += 1

    def close(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor.handle)

    def _draw(self) -> None:
        """Takes shards from the caller: no more than the workers can hold, nor too far ahead of the next
        result."""
        while self._open < self._most * DEPTH and self._open + len(self._done) < self._most * (DEPTH + AHEAD):
            drawn = next(self._feed, None)
            if drawn is None:
                return
            self._backlog.append(drawn)

    @property
    def _open(self) -> int:
        return len(self._backlog) + sum(len(actor.held) for actor in self._actors)

    def _hire(self) -> None:
        while len(self._actors) < min(self._most, self._open):
            actor = _Actor(self._class.remote(self._task))
            self._actors.append(actor)
            self._waiting[actor.handle.ready.remote()] = actor, None

    def _give(self) -> None:
        while self._backlog:
            free = [actor for actor in self._actors if actor.ready and len(actor.held) < DEPTH]
            if not free:
                return
            actor = min(free, key=lambda a: len(a.held))
            number, shard = self._backlog.popleft()
            actor.held[number] = shard
            self._waiting[actor.handle.run.remote(shard)] = actor, number

    def _collect(self) -> None:
        """Waits for one result, or for the death of one worker."""
        (reference, *_), _ = self._ray.wait(list(self._waiting), num_returns=1)
        actor, number = self._waiting.pop(reference)
        try:
            found = self._ray.get(reference)
        except self._losses as error:
            self._dismiss(actor, error)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        else:
            self._ended[None] = 0
            if number is None:
                actor.ready = True
            else:
                del actor.held[number]
                self._done[number] = found

    def _dismiss(self, actor: _Actor, error: Exception) -> None:
        """Puts the shards of a lost worker back at the front of the queue; `_hire` replaces the worker."""
        self._actors.remove(actor)
        self._waiting = {ref: owed for ref, owed in self._waiting.items() if owed[0] is not actor}
        self._backlog.extendleft(sorted(actor.held.items(), reverse=True))
        self._ray.kill(actor.handle)
        number = next(iter(actor.held), None)  # the current one; it had not yet begun the next
        self._ended[number] += 1
        if self._ended[number] >= TRIES:
            what = "before they had any work" if number is None else f"at shard {number + 1}"
            # Ray's message is long; its last line states the cause, such as a module missing on a machine.
            reason = cleaned(str(error).strip().splitlines()[-1])[:300]
            raise WorkerError(f"{TRIES} workers ended {what}: {reason}") from error
