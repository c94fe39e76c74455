"""Compares two Ray workers with one process, for encoding and for lists of all users.

    python benchmarks/ray_workers.py --titles 8192 --repeats 3 [--model demo/model]

Titles are drawn from a shop's words. The two ways take turns, each with an empty cache; one more turn kills a
worker. On a machine that others use, compare within a turn, and CPU time rather than wall time. Wall time is
given in full, including the start of the workers (they load Python and the model), and from the first result
to the last, which is what counts for a long job. CPU time is that of the work, in workers and driver, without
their start and without Ray's own daemons. The one process reads with two threads, a worker with one.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from crossaisle.data.query import Query
from crossaisle.encoders.cache import CachedEncoder
from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.encoders.spread import Reading
from crossaisle.encoders.weights import pull
from crossaisle.execution.executor import Executor, LocalExecutor
from crossaisle.execution.on_ray import RayExecutor
from crossaisle.pipeline.exports.lists import export_lists

WORDS = (
    "organic roasted unsalted whole grain wild caught smoked stainless steel cordless rechargeable "
    "waterproof insulated leather cotton linen recycled bamboo ceramic nonstick portable folding "
    "adjustable heavy duty wireless compact travel size family pack refill unscented herbal green black "
    "white almond coffee tea chocolate tomato pasta sauce bread flour sugar honey olive oil vinegar "
    "cheese butter yogurt milk juice water soap shampoo brush towel bottle kettle pan knife lamp bulb "
    "cable charger battery speaker headphones keyboard mouse desk chair tent backpack boot sandal jacket "
    "glove scarf toy puzzle book pencil paper paint garden hose spade seed pot "
)


@dataclass(frozen=True)
class Watched:
    """A task whose workers record their CPU time, and of which one may be killed."""

    task: Callable[[], Callable[[Any], Any]]
    notes: Path
    kill_at: int | None = None

    def __call__(self) -> Callable[[tuple[int, Any]], Any]:
        work = self.task()
        begun = time.process_time()
        mark = self.notes / "killed"

        def run(numbered: tuple[int, Any]) -> Any:
            number, shard = numbered
            if number == self.kill_at and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            found = work(shard)
            (self.notes / f"cpu-{os.getpid()}").write_text(str(time.process_time() - begun))
            return found

        return run


class Stopwatch:
    """An executor that records when results came."""

    def __init__(self, inner: Executor, notes: Path, kill_at: int | None = None) -> None:
        self.inner, self.notes, self.kill_at = inner, notes, kill_at
        self.threads = inner.threads
        self.came: list[float] = []

    def map(self, task: Any, shards: Iterable[Any]) -> Iterator[Any]:
        self.came = [time.perf_counter()]
        for found in self.inner.map(Watched(task, self.notes, self.kill_at), enumerate(shards)):
            self.came.append(time.perf_counter())
            yield found

    def figures(self, driver: float) -> tuple[float, float, float]:
        """Seconds in total, seconds a shard after the first, CPU seconds."""
        own = self.notes / f"cpu-{os.getpid()}"
        others = [float(file.read_text()) for file in self.notes.glob("cpu-*") if file != own]
        a_shard = (self.came[-1] - self.came[1]) / (len(self.came) - 2)
        return self.came[-1] - self.came[0], a_shard, driver + sum(others)


Job = Callable[[Executor, Path], Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--titles", type=int, default=8192, help="titles to encode (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns (default: %(default)s)")
    parser.add_argument("--model", type=Path, help="also export lists of all users of this saved model")
    options = parser.parse_args()
    import ray

    os.environ.update(RAY_USAGE_STATS_ENABLED="0")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Ray {ray.__version__}")
    rng = np.random.default_rng(0)
    titles = [
        f"{' '.join(rng.choice(WORDS.split(), rng.integers(3, 12)))} {n}" for n in range(options.titles)
    ]
    folder = pull("minilm")
    compare(
        "encoding", lambda executor, out: encoded(executor, out, titles, folder), options.repeats, cosine_gap
    )
    if options.model:
        compare(
            "lists", lambda executor, out: exported(executor, out, options.model), options.repeats, score_gap
        )
    ray.shutdown()


def compare(what: str, job: Job, repeats: int, gap: Callable[[Any, Any], str]) -> None:
    """Both ways in turns, then once more with a worker killed."""
    ratios: list[tuple[float, float, float]] = []
    first: Any = None
    with tempfile.TemporaryDirectory() as scratch:
        for turn in range(repeats + 1):
            found, taken = {}, {}
            names = ["one process", "Ray, 2 workers"] if turn < repeats else ["Ray, 2 workers"]
            for name in names if turn % 2 == 0 else reversed(names):
                folder = Path(scratch) / f"{turn}-{len(name)}"
                folder.mkdir()
                inner = LocalExecutor() if name == "one process" else RayExecutor()
                watch = Stopwatch(inner, folder, kill_at=None if turn < repeats else 2)
                driver = time.process_time()
                found[name] = job(watch, folder)
                taken[name] = watch.figures(time.process_time() - driver)
            if turn == repeats:
                assert (folder / "killed").exists()
                print(f"{what}, a worker killed: {gap(first, found['Ray, 2 workers'])}")
                return
            one, two = taken["one process"], taken["Ray, 2 workers"]
            ratios.append(tuple(a / b for a, b in zip(one, two, strict=True)))
            first = found["one process"]
            print(
                f"{what}, turn {turn + 1}: one process {one[0]:.1f} s ({one[2]:.1f} s of processor), Ray "
                f"{two[0]:.1f} s ({two[2]:.1f} s); speed beside one process: {ratios[-1][0]:.2f} in all, "
                f"{ratios[-1][1]:.2f} once it runs; {gap(first, found['Ray, 2 workers'])}",
                flush=True,
            )
            if turn == repeats - 1:
                whole, running, processor = map(statistics.median, zip(*ratios, strict=True))
                print(
                    f"{what}, median: {whole:.2f} in all, {running:.2f} once it runs, "
                    f"{processor:.2f} by processor time"
                )


def encoded(executor: Executor, out: Path, titles: list[str], folder: Path) -> np.ndarray:
    encoder = CachedEncoder(OnnxEncoder(folder), out)
    encoder.encoder.encode(titles[:2])
    task = Reading("minilm", encoder.fingerprint, executor.threads)
    assert encoder.fill(titles, executor, task) == len(titles)
    return encoder.encode(titles)


def exported(executor: Executor, out: Path, model: Path) -> pl.DataFrame:
    export_lists(model, out / "lists.parquet", Query(placement="for_you"), executor=executor)
    return pl.read_parquet(out / "lists.parquet")


def cosine_gap(one: np.ndarray, other: np.ndarray) -> str:
    far = np.abs(one - other).max()
    return f"lowest cosine {(one * other).sum(axis=1).min():.6f}, largest difference {far:.1e}"


def score_gap(one: pl.DataFrame, other: pl.DataFrame) -> str:
    same = one.drop("score").equals(other.drop("score"))
    far = (one["score"] - other["score"]).abs().max()
    return f"{len(one):,} rows {'equal' if same else 'NOT EQUAL'}, scores within {far:.1e}"


if __name__ == "__main__":
    main()
