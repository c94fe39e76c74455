"""The start of a service with many events in its store: this source tree beside another revision of it.

    python benchmarks/start.py HEAD~1 --model demo/model --out runs/start
    python benchmarks/start.py 7b87d98 --model demo/model --out runs/start --events 10000000 --alone

The store is written once: people of the model and ten times as many new ones, who look at and buy products
as often as these were bought before. Each tree then serves from a copy. Measured are seconds until it is
ready, of the clock and of the processor, its memory then and at most, and how long the first lists take.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import statistics
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from fresh_lists import processor_ms
from revisions import HERE, arguments, checked_out, importing
from serve import PORT, service
from served import Bars, memory_mb, say, table, workplace

from crossaisle.data.storage import load_dataset

BAR_SECONDS, BAR_MB = 5.0, 1000.0
FIRST = 50
AT_ONCE = 200_000


def written(model: Path, place: Path, n: int) -> list[str]:
    """Writes the store; returns some of its people."""
    from crossaisle.serve.store.store import Store

    Store(place).close()
    dataset, rng = load_dataset(model / "catalogue"), np.random.default_rng(0)
    people = [*dataset.user_ids.all, *(f"new-{at}" for at in range(10 * dataset.n_users))]
    busy = 1.0 / np.arange(1, len(people) + 1) ** 0.6
    busy = rng.permutation(busy / busy.sum())
    bought = np.maximum(dataset.item_counts, 0.1)
    items, end = dataset.item_ids.all, float(dataset.histories().now.max()) * 86_400
    with sqlite3.connect(place) as store:
        store.execute("PRAGMA synchronous=OFF")
        for start in range(0, n, AT_ONCE):
            size = min(AT_ONCE, n - start)
            user = rng.choice(len(people), size, p=busy).tolist()
            item = rng.choice(len(items), size, p=bought / bought.sum()).tolist()
            kind = np.where(rng.random(size) < 0.8, "view", "purchase").tolist()
            when = (end + 90 * 86_400 * (start + np.arange(size)) / n).tolist()
            store.executemany(
                'INSERT INTO events (key, "user", item, kind, time) VALUES (?, ?, ?, ?, ?)',
                (
                    (f"k{start + at}", people[u], items[i], k, t)
                    for at, (u, i, k, t) in enumerate(zip(user, item, kind, when, strict=True))
                ),
            )
    store.close()
    return [people[at] for at in rng.choice(len(people), FIRST, replace=False).tolist()]


def started(tree: Path, model: Path, store: Path, people: list[str]) -> dict[str, float]:
    """Of one start."""
    with importing(tree), service(model, store) as (pid, ready):
        figures = {
            "ready, s": ready,
            "processor, s": processor_ms(pid) / 1000,
            "memory when ready, MB": memory_mb(pid),
        }
        took = []
        for user in people:
            start = time.perf_counter()
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/recommend/{user}", timeout=60) as got:
                json.load(got)
            took.append(1000 * (time.perf_counter() - start))
        figures["first lists, p50 ms"] = statistics.median(took)
        figures["most memory, MB"] = memory_mb(pid, "VmHWM")
    return figures


def main() -> None:
    """Reads the command line, measures, prints a table."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--alone", action="store_true", help="leave the other revision out")
    options = parser.parse_args()
    results: dict[str, Any] = {"events": options.events, "cores": os.cpu_count()}
    with (
        workplace(options.model) as (folder, model),
        checked_out(options.revision, folder / "other") as other,
    ):
        people = written(model, folder / "store.sqlite", options.events)
        say(f"{options.events:,} events written")
        trees = {"this": HERE} if options.alone else {options.revision: other, "this": HERE}
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
        for _ in range(options.rounds):
            for name, tree in trees.items():
                store = folder / "copy.sqlite"
                shutil.copy(folder / "store.sqlite", store)
                rounds[name].append(started(tree, model, store, people))
                say(f"{name}: {rounds[name][-1]}")
                for left in folder.glob("copy.sqlite*"):
                    left.unlink()
    medians = {
        name: {what: statistics.median(one[what] for one in each) for what in each[0]}
        for name, each in rounds.items()
    }
    rows = [(what, *(f"{one[what]:.1f}" for one in medians.values())) for what in medians["this"]]
    print(table((f"{options.events:,} events", *medians), rows))
    bars, this = Bars(), medians["this"]
    bars.add(
        "start to ready, s", f"<= {BAR_SECONDS:g}", f"{this['ready, s']:.1f}", this["ready, s"] <= BAR_SECONDS
    )
    bars.add(
        "memory, MB", f"<= {BAR_MB:g}", f"{this['most memory, MB']:.0f}", this["most memory, MB"] <= BAR_MB
    )
    bars.end(options.out, results | {"rounds": rounds})


if __name__ == "__main__":
    main()
