"""Measures how a service starts with many events in its store: this source tree beside another revision.

    python benchmarks/start.py HEAD~1 --model demo/model --out runs/start
    python benchmarks/start.py 7b87d98 --model demo/model --out runs/start --events 10000000 --alone

The other revision makes the store; `--keep FILE` keeps it for the next time. In it are users of the model and
ten times as many new ones, who look at and buy products as often as these were bought before. Each tree then
serves from a copy. This tree packs the events at its first start, which happens once; the next start is the
one that counts. Measures wall and CPU time until ready, memory then and at its peak, the first lists of some
users, and their lists after one more event.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from fresh_lists import processor_ms
from revisions import HERE, arguments, checked_out, importing
from serve import PORT, service
from served import Bars, memory_mb, say, table, workplace

from crossaisle.data.storage import load_dataset

URL = f"http://127.0.0.1:{PORT}"
MAKE = """
import sys
try:
    from crossaisle.serve.store.store import Store
except ImportError:  # earlier revisions
    from crossaisle.serve.store import Store
Store(sys.argv[1]).close()
"""
BAR_SECONDS, BAR_MB = 5.0, 1000.0
FIRST = 50
AT_ONCE = 200_000


def written(tree: Path, model: Path, place: Path, n: int) -> list[str]:
    """Writes the store with a tree's own schema, unless it is there; returns some of its users."""
    dataset, rng = load_dataset(model / "catalogue"), np.random.default_rng(0)
    people = [*dataset.user_ids.all, *(f"new-{at}" for at in range(10 * dataset.n_users))]
    some = [people[at] for at in rng.choice(len(people), FIRST, replace=False).tolist()]
    if place.exists():
        return some
    partial = place.with_suffix(".partial")
    with importing(tree):
        subprocess.run([sys.executable, "-c", MAKE, str(partial)], check=True)
    busy = 1.0 / np.arange(1, len(people) + 1) ** 0.6
    busy = rng.permutation(busy / busy.sum())
    bought = np.maximum(dataset.item_counts, 0.1)
    items, end = dataset.item_ids.all, float(dataset.histories().now.max()) * 86_400
    with closing(sqlite3.connect(partial)) as store, store:
        store.execute("PRAGMA journal_mode=OFF")
        store.execute("PRAGMA synchronous=OFF")
        store.execute("DROP INDEX events_by_user")  # recreated at the end, in order
        for start in range(0, n, AT_ONCE):
            size = min(AT_ONCE, n - start)
            user = rng.choice(len(people), size, p=busy).tolist()
            item = rng.choice(len(items), size, p=bought / bought.sum()).tolist()
            kind = np.where(rng.random(size) < 0.8, "view", "purchase").tolist()
            when = (end + 90 * 86_400 * (start + np.arange(size)) / n).tolist()
            store.executemany(
                'INSERT INTO events (key, "user", item, kind, time) VALUES (?, ?, ?, ?, ?)',
                (
                    (f"k{start + at:09}", people[u], items[i], k, t)
                    for at, (u, i, k, t) in enumerate(zip(user, item, kind, when, strict=True))
                ),
            )
        store.execute('CREATE INDEX events_by_user ON events ("user")')
    with closing(sqlite3.connect(partial)) as store:
        store.execute("PRAGMA journal_mode=WAL")
    partial.rename(place)
    return some


def add(user: str, item: str) -> None:
    """Sends one event."""
    body = json.dumps({"user": user, "item": item, "kind": "view"}).encode()
    request = urllib.request.Request(f"{URL}/api/events", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as got:
        got.read()


def started(tree: Path, model: Path, store: Path, people: list[str], item: str) -> dict[str, float]:
    """Measures one start."""
    with importing(tree), service(model, store, patience=900) as (pid, ready):
        figures = {
            "ready, s": ready,
            "processor, s": processor_ms(pid) / 1000,
            "memory when ready, MB": memory_mb(pid),
        }
        for name in ("first lists", "lists after an event"):
            took = []
            for user in people:
                if name != "first lists":
                    add(user, item)
                start = time.perf_counter()
                with urllib.request.urlopen(f"{URL}/api/recommend/{user}", timeout=60) as got:
                    json.load(got)
                took.append(1000 * (time.perf_counter() - start))
            figures[f"{name}, p50 ms"] = statistics.median(took)
            figures[f"{name}, slowest ms"] = max(took)
        figures["most memory, MB"] = memory_mb(pid, "VmHWM")
    return figures


def main() -> None:
    """Reads the command line, measures, prints a table."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="events in the store (default: %(default)s)"
    )
    parser.add_argument("--keep", type=Path, help="store to keep for the next time; made if missing")
    parser.add_argument("--alone", action="store_true", help="leave out the other revision")
    options = parser.parse_args()
    results: dict[str, Any] = {"events": options.events, "cores": os.cpu_count()}
    with (
        workplace(options.model) as (folder, model),
        checked_out(options.revision, folder / "other") as other,
    ):
        store = options.keep or folder / "store.sqlite"
        people = written(other, model, store, options.events)
        item = load_dataset(model / "catalogue").item_ids.id(0)
        say(f"{options.events:,} events written")
        trees = {"this": HERE} if options.alone else {options.revision: other, "this": HERE}
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
        first: list[dict[str, float]] = []
        for _ in range(options.rounds):
            for name, tree in trees.items():
                copy = folder / "copy.sqlite"
                shutil.copy(store, copy)
                if tree == HERE:
                    first.append(started(tree, model, copy, people, item))
                    say(f"the first start: {first[-1]}")
                rounds[name].append(started(tree, model, copy, people, item))
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
    bars.end(options.out, results | {"first": first, "rounds": rounds})


if __name__ == "__main__":
    main()
