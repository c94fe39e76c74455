"""Measures lists that are not cached, over HTTP: this source tree beside another revision, in turns.

    python benchmarks/fresh_lists.py 7b87d98 --model demo/model --out runs/fresh
    python benchmarks/fresh_lists.py 7b87d98 --model demo/model --other-model before/model --out runs/fresh
    python benchmarks/fresh_lists.py HEAD~1 --model demo/model --out runs/fresh --rounds 5
    python benchmarks/fresh_lists.py --items 1000000 --out runs/fresh --rounds 1

Without a revision this tree is measured alone. `--items N` takes the synthetic shop of `large_shop.py`, which
is made in `--out` once (a million items: three minutes and 3 GB); another revision fits it itself.

In every round each tree starts once, with a store of its own. Before each measurement every user gets one new
event, so that no list is cached. Then each user's list is asked for once, over eight connections, and what
goes with each of the most bought products. Everyday traffic asks for lists of users drawn at random; a tenth
of its requests are events. Prints medians of the rounds, their ratio, and the CPU time of the service for
each request, which a busy machine changes least.

`--other-model` is for a revision that cannot load the model: a model it fitted itself, of the same data. Only
users and items that both models know are asked about. Each model's parts are printed, since one may do more
for a list than the other; what the code alone gained shows only with a model that both can load. Needs two
cores and a quiet machine. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from beside import FILTERS, dialect
from large_shop import made
from pyarrow.parquet import read_table
from revisions import HERE, Dialect, arguments, checked_out, importing, large_shop_of
from serve import Connection, all_answered, load, load_all, memory_mb, service
from served import Bars, say, table, workplace

from crossaisle.data.storage import load_dataset

BARS = {
    "for_you": (4.0, 30.0),
    "discover": (3.0, 40.0),
    "goes_with": (3.0, 40.0),
    "everyday traffic, a tenth events": (3.0, 40.0),
}
"""Measurement -> target for the ratio of lists a second, and for p99 in milliseconds."""
LARGE = {100_000: (350.0, 40.0), 1_000_000: (150.0, 120.0)}
"""Items of a synthetic shop -> target for lists a second, and for p99 in milliseconds."""
WITH_FILTERS, FILTERED = "for_you with share, quota and price", {None: 300.0, 1_000_000: 60.0}
"""A measurement; items of a synthetic shop -> target for lists a second."""
MOST_MB = 12_000.0
Figures = dict[str, dict[str, Any]]


async def something_happens(users: list[str], items: list[str], rng: random.Random) -> None:
    """Sends one event of each user."""
    connection = await Connection().open()
    for start in range(0, len(users), 1000):
        events = [{"user": user, "item": rng.choice(items)} for user in users[start : start + 1000]]
        status, answer = await connection.ask("POST", "/api/events", json.dumps(events).encode())
        if status != 200:
            raise SystemExit(f"events were refused: {answer[:300]!r}")
    connection.writer.close()


def processor_ms(pid: int) -> float:
    """CPU milliseconds a process has used so far (Linux)."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return 1000.0 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def measure(pid: int, users: list[str], items: list[str], seconds: float) -> Figures:
    """Measures the running service."""
    rng, words, out = random.Random(0), dialect(), Figures()

    async def measured(name: str, work: Coroutine[Any, Any, dict[str, Any]], n: int = 0) -> None:
        before, start = processor_ms(pid), time.perf_counter()
        found = await work
        all_answered({name: found})
        n = n or round(found["per_second"] * (time.perf_counter() - start))
        out[name] = {**found, "processor_ms": (processor_ms(pid) - before) / n}

    def lists(words: Dialect, **controls: Any) -> Iterator[tuple[str, str, bytes]]:
        for user in rng.sample(users, len(users)):
            yield "GET", words.path(user, **controls), b""

    for name, controls in (
        ("for_you", {}),
        ("discover", {"placement": "discover"}),
        (WITH_FILTERS, FILTERS),
    ):
        await something_happens(users, items, rng)
        asked = lists(words, **controls)
        await measured(name, load_all(partial(next, asked)), len(users))
    beside = (("GET", f"/api/items/{item}/goes-with", b"") for item in rng.sample(items, len(items)))
    await measured("goes_with", load_all(partial(next, beside)), len(items))

    def mixed() -> tuple[str, str, bytes]:
        user = rng.choice(users)
        if rng.random() < 0.1:
            event = {"user": user, "item": rng.choice(items), "kind": "view"}
            return "POST", "/api/events", json.dumps(event).encode()
        return "GET", f"/api/recommend/{user}", b""

    await something_happens(users, items, rng)
    await measured("everyday traffic, a tenth events", load(mixed, seconds))
    return out


def asked_for(models: Iterable[Path], n: int) -> tuple[list[str], list[str]]:
    """Users drawn at random and the products with most events, of those that all models know."""
    first, *others = models
    dataset = load_dataset(first / "catalogue")
    users, items = list(dataset.user_ids.all), dataset.item_ids.ids(dataset.item_counts.argsort())
    for other in others:
        known = {
            kind: set(
                read_table(other / "catalogue" / f"{kind}s.parquet", columns=[f"{kind}_id"])[0].to_pylist()
            )
            for kind in ("user", "item")
        }
        users = [user for user in users if user in known["user"]]
        items = [item for item in items if item in known["item"]]
    if not (users and items):
        raise SystemExit(f"{', '.join(map(str, models))} are models of different shops")
    return random.Random(1).sample(users, min(n, len(users))), items[-n:]


def added_up(model: Path) -> str:
    """Kind of list -> the parts whose scores it adds up, and `ranker` if one was learned."""
    config = json.loads((model / "config.json").read_text())
    learned = config.get("rankers") or {}
    return "\n".join(
        f"  {placement}: {', '.join([*parts, *(['ranker'] if placement in learned else [])])}"
        for placement, parts in config["blend"]["weights"].items()
    )


def main() -> None:
    """Reads the command line, measures, prints a table."""
    parser = arguments(__doc__, rounds=3, alone=True)
    parser.add_argument(
        "--seconds", type=float, default=8.0, help="length of the everyday traffic (default: %(default)s)"
    )
    parser.add_argument(
        "--users",
        type=int,
        default=2000,
        help="users, and as many products, to ask about (default: %(default)s)",
    )
    parser.add_argument(
        "--other-model", type=Path, help="model that the other revision serves (default: --model)"
    )
    parser.add_argument("--items", type=int, help="items of a synthetic shop, instead of --model")
    options = parser.parse_args()
    if (options.items is None) == (options.model is None):
        parser.error("give --model or --items")
    if options.items:
        options.model = made(options.out, options.items)
    with ExitStack() as opened:
        folder, model = opened.enter_context(workplace(options.model))
        trees, models = {"this": HERE}, {"this": model}
        if options.revision:
            tree = opened.enter_context(checked_out(options.revision, folder / "other"))
            theirs = options.other_model
            if theirs is None and options.items:
                theirs = large_shop_of(tree, options.out / options.revision, options.items)
            trees[options.revision] = tree
            models[options.revision] = model if theirs is None else theirs
        users, items = asked_for(dict.fromkeys(models.values()), options.users)
        if options.other_model is not None:
            models[options.revision] = Path(shutil.copytree(options.other_model, folder / "other-model"))
        rounds: dict[str, list[Figures]] = {name: [] for name in trees}
        for number in range(options.rounds):
            for name in list(trees)[:: 1 if number % 2 else -1]:
                store = folder / f"{name}-{number}.sqlite"
                with importing(trees[name]), service(models[name], store) as (pid, _):
                    rounds[name].append(asyncio.run(measure(pid, users, items, options.seconds)))
                    rounds[name][-1]["memory"] = {"mb": memory_mb(pid)}
                said = ", ".join(f"{one['per_second']:g}" for one in list(rounds[name][-1].values())[:-1])
                say(f"round {number + 1}, {name}: {said}")
        report(options, rounds)


def report(options: argparse.Namespace, rounds: Mapping[str, list[Figures]]) -> None:
    """Prints tables of medians and targets, writes the results and exits."""

    def median(name: str, kind: str, figure: str) -> float:
        return statistics.median(one[kind][figure] for one in rounds[name])

    bars, rows, names = Bars(), [], list(rounds)[::-1]
    for kind in (*BARS, WITH_FILTERS):
        rate, p99 = median("this", kind, "per_second"), median("this", kind, "p99_ms")
        ratio = rate / median(names[0], kind, "per_second")
        row = [" -> ".join(f"{median(name, kind, 'per_second'):.0f}" for name in names), f"{ratio:.2f}"]
        row += [" -> ".join(f"{median(name, kind, 'p99_ms'):.0f}" for name in names)]
        row += [" -> ".join(f"{median(name, kind, 'processor_ms'):.1f}" for name in names)]
        rows.append((kind, *row))
        if kind == WITH_FILTERS:
            if options.items in FILTERED:
                least = FILTERED[options.items]
                bars.add(f"{kind}, a second", f">= {least:g}", f"{rate:.0f}", rate >= least)
        elif options.items in LARGE:
            least, within = LARGE[options.items]
            bars.add(f"{kind}, a second", f">= {least:g}", f"{rate:.0f}", rate >= least)
            bars.add(f"{kind}, p99 ms", f"<= {within:g}", f"{p99:.1f}", p99 <= within)
        elif not options.items and options.revision:
            times, within = BARS[kind]
            bars.add(f"{kind}, times as many", f">= {times:g}", f"{ratio:.2f}", ratio >= times)
            bars.add(f"{kind}, p99 ms", f"<= {within:g}", f"{p99:.1f}", p99 <= within)
    mb = {name: median(name, "memory", "mb") for name in names}
    if options.items in LARGE:
        bars.add("largest memory, MB", f"<= {MOST_MB:g}", f"{mb['this']:.0f}", mb["this"] <= MOST_MB)
    print(table(("median of rounds", "a second", "ratio", "p99 ms", "processor ms a request"), rows))
    print(f"{' -> '.join(names)}; largest memory {' -> '.join(f'{mb[name]:,.0f} MB' for name in names)}")
    if options.other_model is not None:
        print(f"{options.revision}, {options.other_model}:\n{added_up(options.other_model)}")
        print(f"this tree, {options.model}:\n{added_up(options.model)}")
    bars.end(options.out, {"revision": options.revision, "rounds": rounds, "cores": os.cpu_count()})


if __name__ == "__main__":
    main()
