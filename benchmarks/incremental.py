"""Measures adding new events to a fitted model: how long it takes, and how close to a full fit it is.

    python benchmarks/incremental.py [--events 1000000] [--new 10000] [--keep DIR]

Makes a shop like that of `mid_size.py`. Its last events are the test; those before them are new to a model
fitted on the rest. The saved model is updated in place, as `crossaisle fit --incremental` does, and compared
with a fit of the same parts on the same events: scores of 1,000 users, part by part; the ten best products;
NDCG@10 of what users bought next. All parts have weight 1, because an update does not change weights.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from mid_size import make

from crossaisle.config import load_config
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.ingest.importer import import_dataset
from crossaisle.models.base import Scorer
from crossaisle.models.blend import Blend
from crossaisle.models.defaults import default_parts
from crossaisle.models.topk import top_k
from crossaisle.pipeline.fit import fit_parts, peak_mb
from crossaisle.pipeline.incremental.counts import load_counts, save_counts
from crossaisle.pipeline.incremental.folder import save_with_counts
from crossaisle.pipeline.incremental.merge import with_new
from crossaisle.pipeline.incremental.update import update
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.refit import latest, ndcg

USERS = 1000
Made = TypeVar("Made")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="events of the first fit (default: %(default)s)"
    )
    parser.add_argument("--new", type=int, default=10_000, help="events to add (default: %(default)s)")
    parser.add_argument("--keep", type=Path, help="folder for the model (default: a temporary one)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        measure(given.keep or Path(place), given.events, given.new)


def measure(folder: Path, n_events: int, new: int) -> None:
    make(folder, n_events + 2 * new)
    whole = import_dataset(load_config(folder / "shop.toml", []).data).dataset
    time_of = whole.events.time
    assert time_of is not None
    first_test, first_new = (int(np.sort(time_of)[-part]) for part in (new, 2 * new))
    now, then = whole.before(first_test), whole.before(first_new)
    print(
        f"{whole.n_items:,} items, {len(then.events):,} events, {len(now.events) - len(then.events):,} new,"
        f" {len(whole.events) - len(now.events):,} to predict",
        flush=True,
    )
    model = folder / "model"
    old, _ = fitted(then)
    save_with_counts(old, model)
    refitted, seconds = fitted(now)
    found = updated(model, now)
    print(f"a fit of these parts: {seconds:.1f} s")
    print(
        f"peak {peak_mb():,.0f} MB; counts kept beside the model {megabytes(folder / 'model.counts'):,.0f} MB"
    )
    compare(found, refitted, old, now)
    cases = latest(whole, now, first_test, refitted.repeats, 0)
    listed = np.ones(whole.n_items, bool)
    for name, one in (("before the update", old), ("updated", found), ("fitted", refitted)):
        print(f"NDCG@10 of {len(cases):,} users, {name}: {ndcg(one.score_batch, cases, listed).mean():.5f}")


def updated(model: Path, now: Dataset) -> Recommender:
    """What `crossaisle fit --incremental` does after the import, step by step."""
    base, counts = timed("load", lambda: (Recommender.load(model), load_counts(model)))
    added = timed("find what is new", lambda: with_new(base.dataset, now))
    found = timed("update", lambda: update(base, added, counts))

    timed("save", lambda: save_counts(found.counts, model, lambda: found.recommender.save(model, half=True)))
    print("\n".join(found.lines(added.events, len(added.change.users))))
    return found.recommender


def timed(name: str, work: Callable[[], Made]) -> Made:
    """Prints wall and CPU seconds."""
    clock, processor = time.perf_counter(), time.process_time()
    made = work()
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    print(f"{name:<18}{clock:>7.2f} s, {processor:.2f} of processor", flush=True)
    return made


def fitted(dataset: Dataset) -> tuple[Recommender, float]:
    """The parts of a shop whose users buy once, fitted on some events."""
    parts = default_parts(dataset, encoder="none", sequence="off")
    start = time.perf_counter()
    fit_parts(parts, dataset, together=2)
    seconds = time.perf_counter() - start
    weights = {"for_you": dict.fromkeys(parts, 1.0)}
    return Recommender(dataset, Blend(parts=parts, weights=weights)), seconds


def compare(updated: Recommender, refitted: Recommender, old: Recommender, now: Dataset) -> None:
    """Scores of the updated and the old model beside those of the new fit."""
    users = np.sort(np.random.default_rng(0).choice(now.n_users, USERS, replace=False))
    histories = now.histories(users)
    print(f"{'part':<16}{'difference, median':>20}{'90 %':>10}{'99 %':>10}{'top-10 alike':>14}{'before':>10}")
    for name in refitted.blend.parts:
        wanted, found, before = (
            scores(model.blend.parts[name], histories) for model in (refitted, updated, old)
        )
        best = np.maximum(np.abs(wanted).max(axis=1), 1e-12)
        off = np.abs(found - wanted).max(axis=1) / best
        shares = " ".join(f"{np.quantile(off, q):>9.5f}" for q in (0.5, 0.9, 0.99))
        print(f"{name:<16}{shares:>40}{alike(found, wanted):>14.4f}{alike(before, wanted):>10.4f}")


def scores(part: Scorer, histories: Histories) -> Floats:
    """float32 (n, n_items); 0 where the part has no score, and for what a user has."""
    found = np.nan_to_num(part.score_rows(replace(histories)))
    found[histories.owner, histories.item] = 0.0
    return found


def alike(one: Floats, other: Floats) -> float:
    """Share of the ten best that both have."""
    tens = top_k(one, 10), top_k(other, 10)
    return float(np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(*tens, strict=True)]))


def megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    main()
