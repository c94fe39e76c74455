"""Compares the speed of this source tree with another revision: both run in turns, on one machine.

    python benchmarks/beside.py 7b87d98 --model demo/model --out runs/beside
    python benchmarks/beside.py HEAD~1 --model demo/model --out runs/beside --rounds 3 --seconds 4

The other revision is checked out into a temporary git worktree and served from there. In every round each
tree starts once, with a store of its own, and is measured as in `serve.py`: cached lists, cached lists with
filters, lists that are not cached (sessions), the time from an event to a list that reflects it, single
events, and batches of 1,000 events. The trees take turns at going first. Each is asked with the parameter
names of its own OpenAPI document.

Prints the ratio of the medians (above 1: this tree is better) with the lowest and highest ratio of any round.
Needs two cores and a quiet machine. Exits with 1 if a ratio is below .95.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from revisions import HERE, Dialect, arguments, checked_out, importing
from serve import PORT, all_answered, batch_of, event_of, event_to_answer, load, load_all, service
from served import Bars, say, table, workplace

from crossaisle.data.storage import load_dataset

BAR = 0.95
KEPT = 500
"""Users whose lists are asked for, again and again."""
SESSION = 20
"""Items of a session."""
FILTERS = {"cross_share": 0.3, "quota": 2, "max_price": 5}
MEASURES = {
    "kept lists a second": True,
    "kept lists with filters a second": True,
    "lists not kept a second": True,
    "lists not kept, p99 ms": False,
    "event to answer, p50 ms": False,
    "event to answer, p99 ms": False,
    "single events a second": True,
    "batched events a second": True,
    "start to ready, s": False,
}
"""Measurement -> whether more is better."""
Rounds = list[dict[str, float]]
"""What one tree measured, round by round."""


def dialect() -> Dialect:
    """The names of the running service."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/openapi.json", timeout=10) as answer:
        return Dialect(json.load(answer))


def sessions(items: list[str], rng: random.Random) -> Callable[[], tuple[str, str, bytes]]:
    """Requests for lists that no service caches: each for a session of its own."""

    def make() -> tuple[str, str, bytes]:
        body = {"history": rng.sample(items, SESSION), "n": 10}
        return "POST", "/api/recommend", json.dumps(body).encode()

    return make


async def measure(users: list[str], items: list[str], options: argparse.Namespace) -> dict[str, float]:
    """Measures everything but the start, of the running service."""
    rng, words = random.Random(0), dialect()

    def lists() -> tuple[str, str, bytes]:
        return "GET", words.path(rng.choice(users)), b""

    def filtered() -> tuple[str, str, bytes]:
        return "GET", words.path(rng.choice(users), **FILTERS), b""

    first = iter(users)
    all_answered(
        {"first": await load_all(lambda: ("GET", words.path(next(first)), b""))}
    )  # kept from here on
    await load(lists, 1.0)
    loads = {
        "kept": await load(lists, options.seconds),
        "filtered": await load(filtered, options.seconds / 2),
        "fresh": await load(sessions(items, rng), options.seconds),
    }
    answer = await event_to_answer(users, items, options.workers, options.events)
    loads["single"] = await load(event_of(users, items, rng), options.seconds, 32)
    loads["batched"] = await load(batch_of(users, items, rng), options.seconds, 2)
    all_answered(loads)
    return {
        "kept lists a second": loads["kept"]["per_second"],
        "kept lists with filters a second": loads["filtered"]["per_second"],
        "lists not kept a second": loads["fresh"]["per_second"],
        "lists not kept, p99 ms": loads["fresh"]["p99_ms"],
        "event to answer, p50 ms": answer["p50_ms"],
        "event to answer, p99 ms": answer["p99_ms"],
        "single events a second": loads["single"]["per_second"],
        "batched events a second": 1000 * loads["batched"]["per_second"],
    }


def in_turns(
    trees: dict[str, Path], model: Path, folder: Path, options: argparse.Namespace
) -> dict[str, Rounds]:
    """Rounds of each tree."""
    dataset = load_dataset(model / "catalogue")
    users = list(dataset.user_ids.all)[:KEPT]
    items = [dataset.item_ids.id(row) for row in dataset.item_counts.argsort()[-5000:]]
    rounds: dict[str, Rounds] = {name: [] for name in trees}
    compiled = folder / "compiled"
    for name, tree in trees.items():  # a start that also compiles modules takes longer
        with importing(tree, compiled), service(model, folder / f"first-{list(trees).index(name)}.sqlite"):
            say(f"{name}: starts")
    for number in range(options.rounds):
        order = list(trees) if number % 2 == 0 else list(trees)[::-1]
        for name in order:
            store = folder / f"{number}-{order.index(name)}.sqlite"
            with (
                importing(trees[name], compiled),
                service(model, store, workers=options.workers) as (_, ready),
            ):
                figures = asyncio.run(measure(users, items, options))
            rounds[name].append({**figures, "start to ready, s": ready})
            said = ", ".join(f"{value:g}" for value in rounds[name][-1].values())
            say(f"round {number + 1}, {name}: {said}")
    return rounds


def compared(this: Rounds, other: Rounds) -> dict[str, dict[str, Any]]:
    """For each measurement: both medians, their ratio (above 1: this tree is better), and each round's."""
    out: dict[str, dict[str, Any]] = {}
    for name, more in MEASURES.items():
        mine, theirs = ([figures[name] for figures in rounds] for rounds in (this, other))

        def better(a: float, b: float, more: bool = more) -> float:
            return round(a / b if more else b / a, 3)

        medians = statistics.median(mine), statistics.median(theirs)
        out[name] = {
            "this": medians[0],
            "other": medians[1],
            "ratio": better(*medians),
            "rounds": [better(a, b) for a, b in zip(mine, theirs, strict=True)],
        }
    return out


def main() -> None:
    parser = arguments(__doc__, rounds=6)
    parser.add_argument(
        "--seconds", type=float, default=6.0, help="length of each measurement (default: %(default)s)"
    )
    parser.add_argument(
        "--events",
        type=int,
        default=1000,
        help="events to a list that reflects them, per round (default: %(default)s)",
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="worker processes of the service (default: %(default)s)"
    )
    options = parser.parse_args()
    with (
        workplace(options.model) as (folder, model),
        checked_out(options.revision, folder / "other") as other,
    ):
        rounds = in_turns({"this": HERE, options.revision: other}, model, folder, options)
    ratios = compared(rounds["this"], rounds[options.revision])
    bars, rows = Bars(), []
    for name, one in ratios.items():
        medians = (f"{one['other']:,.2f}", f"{one['this']:,.2f}")
        between = f"{min(one['rounds'])} to {max(one['rounds'])}"
        rows.append((name, *medians, f"{one['ratio']:.3f}", between))
        bars.add(name, f">= {BAR}", f"{one['ratio']:.3f}", one["ratio"] >= BAR)
    print(table(("median of rounds", options.revision, "this tree", "ratio", "single rounds"), rows))
    results: dict[str, Any] = {
        "revision": options.revision,
        "rounds": rounds,
        "ratios": ratios,
        "workers": options.workers,
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
    }
    bars.end(options.out, results)


if __name__ == "__main__":
    main()
