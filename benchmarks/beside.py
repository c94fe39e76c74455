"""Measures this source tree beside another revision of it, in turns, on the same machine in the same run:

    python benchmarks/beside.py 7b87d98 --model demo/model --out runs/beside
    python benchmarks/beside.py HEAD~1 --model demo/model --out runs/beside --rounds 3 --seconds 4

The other revision is checked out into a temporary git worktree and served from there. In every round each of
the two serves once, with a store of its own: lists that are kept, an event to the list that knows it, single
events, batches of 1,000 events, all measured as `benchmarks/serve.py` does it; who is first changes from
round to round. Printed are medians, and the median of the rounds' ratios, above 1 where this tree is better.
Wants two cores and a quiet machine. Leaves with 1 where a ratio is below .95.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serve import batch_of, event_of, event_to_answer, load, load_all, service
from served import Bars, say, table, workplace

from crossaisle.data.storage import load_dataset

HERE = Path(__file__).resolve().parents[1]
BAR = 0.95
KEPT = 500
"""People whose lists are asked for, again and again."""
MEASURES = {
    "kept lists a second": True,
    "event to answer, p50 ms": False,
    "event to answer, p99 ms": False,
    "single events a second": True,
    "batched events a second": True,
}
"""Whether more is better."""


@contextmanager
def checked_out(revision: str, folder: Path) -> Iterator[Path]:
    """The source tree of another revision."""
    git = ["git", "-C", str(HERE)]
    done = subprocess.run(
        [*git, "worktree", "add", "--detach", str(folder), revision],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{revision}: {done.stderr.strip()[-300:]}")
    try:
        yield folder
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", str(folder)], capture_output=True, check=False)


@contextmanager
def source(tree: Path) -> Iterator[None]:
    """What is started meanwhile imports the package from there."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(tree / "src")
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


async def measure(users: list[str], items: list[str], options: argparse.Namespace) -> dict[str, float]:
    rng = random.Random(0)

    def lists() -> tuple[str, str, bytes]:
        return "GET", f"/api/recommend/{rng.choice(users)}", b""

    first = iter(users)
    await load_all(lambda: ("GET", f"/api/recommend/{next(first)}", b""), len(users))  # kept from here on
    await load(lists, 1.0)
    kept = await load(lists, options.seconds)
    answer = await event_to_answer(users, items, options.workers, options.events)
    single = await load(event_of(users, items, rng), options.seconds, 32)
    batched = await load(batch_of(users, items, rng), options.seconds, 2)
    failed = kept["failed"] + single["failed"] + batched["failed"]
    if failed:
        raise SystemExit(f"{failed} requests failed: nothing is measured so")
    return {
        "kept lists a second": kept["per_second"],
        "event to answer, p50 ms": answer["p50_ms"],
        "event to answer, p99 ms": answer["p99_ms"],
        "single events a second": single["per_second"],
        "batched events a second": 1000 * batched["per_second"],
    }


def in_turns(
    trees: dict[str, Path], model: Path, folder: Path, options: argparse.Namespace
) -> dict[str, list[dict[str, float]]]:
    """What each measured, round by round."""
    dataset = load_dataset(model / "catalogue")
    users = list(dataset.user_ids.all)[:KEPT]
    items = [dataset.item_ids.id(row) for row in dataset.item_counts.argsort()[-5000:]]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    for number in range(options.rounds):
        names = list(trees) if number % 2 == 0 else list(trees)[::-1]
        for name in names:
            store = folder / f"{number}-{len(found[name])}-{names.index(name)}.sqlite"
            with source(trees[name]), service(model, store, workers=options.workers):
                found[name].append(asyncio.run(measure(users, items, options)))
            say(f"round {number + 1}, {name}: " + ", ".join(f"{v:g}" for v in found[name][-1].values()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revision", metavar="REV", help="what git knows: a commit, a branch, a tag")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--events", type=int, default=1000, help="events to answer in a round")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with (
        workplace(options.model) as (folder, model),
        checked_out(options.revision, folder / "other") as other,
    ):
        if not (other / "src" / "crossaisle").is_dir():
            raise SystemExit(f"{options.revision} has no src/crossaisle")
        found = in_turns({"this": HERE, options.revision: other}, model, folder, options)
    mine, theirs = found["this"], found[options.revision]
    bars, rows, ratios = Bars(), [], {}
    for name, more in MEASURES.items():
        pairs = [
            (a[name], b[name]) if more else (b[name], a[name]) for a, b in zip(mine, theirs, strict=True)
        ]
        each = [round(a / b, 3) for a, b in pairs]
        ratio = statistics.median(each)
        medians = [statistics.median(one[name] for one in some) for some in (theirs, mine)]
        ratios[name] = {"ratio": round(ratio, 3), "each": each, "other": medians[0], "this": medians[1]}
        rows.append((name, *(f"{m:,.2f}" for m in medians), f"{ratio:.3f}", f"{min(each)} to {max(each)}"))
        bars.add(name, f">= {BAR}", f"{ratio:.3f}", ratio >= BAR)
    print(table(("median of rounds", options.revision, "this tree", "ratio", "rounds"), rows))
    results: dict[str, Any] = {
        "revision": options.revision,
        "rounds": found,
        "ratios": ratios,
        "workers": options.workers,
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
    }
    bars.end(options.out, results)


if __name__ == "__main__":
    main()
