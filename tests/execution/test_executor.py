"""What every way to run promises, and what Ray promises beyond."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossaisle.errors import ConfigError, MissingDependencyError, WorkerError
from crossaisle.execution.executor import Executor, LocalExecutor
from crossaisle.execution.opening import opened
from tests.execution.ending import Killed, KillingExecutor, Squares


def test_results_come_in_the_order_of_the_shards(executor: Executor, marks: Path) -> None:
    assert list(executor.map(Squares(marks), range(50))) == [n**2 for n in range(50)]
    assert 1 <= len(list(marks.glob("opened-*"))) <= 2, "once in each worker"


def test_nothing_to_do(executor: Executor, marks: Path) -> None:
    assert list(executor.map(Squares(marks), [])) == []


def test_an_error_of_the_work_is_raised_as_it_is(executor: Executor, marks: Path) -> None:
    with pytest.raises(LookupError, match="no square of 3"):
        list(executor.map(Squares(marks, fails_at=3), range(9)))


def test_shards_are_drawn_as_workers_become_free(executor: Executor, marks: Path) -> None:
    drawn: list[int] = []

    def shards() -> Iterator[int]:
        for number in range(1000):
            drawn.append(number)
            yield number

    results = executor.map(Squares(marks), shards())
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(drawn) < 30, "a job that is far ahead of its results would fill the memory"
    results.close()


def test_a_killed_worker_costs_its_shard_and_not_the_job(on_ray: Executor, marks: Path) -> None:
    killing = KillingExecutor(on_ray, marks, frozenset({0, 3, 4, 19}))
    assert list(killing.map(Squares(marks), range(20))) == [n**2 for n in range(20)]
    assert len(list(marks.glob("killed-*"))) == 4


def test_a_shard_that_ends_every_worker_ends_the_job(on_ray: Executor, marks: Path) -> None:
    poison = Killed(Squares(marks), marks, frozenset({2}), times=10)
    with pytest.raises(WorkerError, match=r"^3 workers ended at shard 3: "):
        list(on_ray.map(poison, enumerate(range(8))))


def test_local_is_the_default_and_needs_nothing() -> None:
    with opened("local") as executor:
        assert isinstance(executor, LocalExecutor)


@pytest.mark.parametrize("name", ["dask", "ray:x", "rays://h:1", "ray://", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"must be local, ray or ray://HOST:PORT"), opened(name):
        pass


def test_without_ray_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"--on ray needs ray.*\[ray\]"), opened("ray"):
        pass
