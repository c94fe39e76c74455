"""Refits a real shop after a month of events, as `crossaisle refit` does.

    python benchmarks/refit.py --model demo/model --out runs/refit [--days 30]

Takes the last days of events out of a saved model and fits it without them, puts these events into a store as
if users had sent them, and refits. Writes `results.json`: what the comparison on the latest tenth of the new
events found, and how long it took.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.refit import fitted_on, refit
from crossaisle.serve.store.store import Event, Store


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", type=Path, default=Path("demo/model"), help="a saved model (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--days",
        type=float,
        default=30.0,
        help="days of events that arrive after the first fit (default: %(default)s)",
    )
    options = parser.parse_args()
    work = options.out / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    base = Recommender.load(options.model)
    seconds = base.dataset.events.time
    if seconds is None:
        raise SystemExit(f"{options.model}: its events have no times")
    after = seconds >= seconds.max() - options.days * SECONDS_PER_DAY
    fitted_on(base, base.dataset.with_events(~after), progress=True).save(work / "first")
    store = Store(work / "store.sqlite")
    store.add(events(base.dataset, after)).result()
    results: dict[str, Any] = {"days": options.days, "events": int(after.sum())}
    start = time.perf_counter()
    found = refit(work / "first", store, work / "models", name="second", progress=True)
    results["seconds"] = round(time.perf_counter() - start, 1)
    results["refit"] = found.to_dict()
    store.close()
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    shutil.rmtree(work)
    print(json.dumps(results, indent=1))


def events(dataset: Dataset, which: np.ndarray) -> list[Event]:
    """Some events of a data set, as a client would have sent them."""
    own = dataset.events
    assert own.time is not None
    places = np.flatnonzero(which)
    places = places[np.argsort(own.time[places], kind="stable")]
    return [
        Event(
            f"e{place}",
            dataset.user_ids.id(int(own.user[place])),
            dataset.item_ids.id(int(own.item[place])),
            dataset.kinds[own.kind[place]],
            float(own.time[place]),
            None if np.isnan(own.value[place]) else float(own.value[place]),
            float(own.quantity[place]),
        )
        for place in places.tolist()
    ]


if __name__ == "__main__":
    main()
