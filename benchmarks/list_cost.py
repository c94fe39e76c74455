"""Measures the CPU time of a list that is not cached: this source tree beside another revision of it.

    python benchmarks/list_cost.py HEAD~1 --model demo/model
    python benchmarks/list_cost.py HEAD~1 --model demo/model --rounds 5 --users 400
    python benchmarks/list_cost.py --exact --model demo/model --users 400

Every round runs each tree once, in a process of its own that answers the same queries as the service does,
one at a time and eight together, without a cache. Prints milliseconds of CPU time per list, the median of the
rounds, which a busy machine changes little. It also compares the lists: the share of the other revision's ten
items that this tree shows too, and their NDCG with the other revision's list as the ideal. `--exact` compares
with this source tree when all items are scored exactly and rough scores nominate nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from revisions import HERE, answer_of, checked_out

N = 10
TOGETHER = 8
Lists = dict[str, list[list[str]]]


def questions(users: list[str], items: list[str], n: int) -> dict[str, list[dict[str, Any]]]:
    """Kind of list -> the fields of `n` such queries."""
    rng = random.Random(0)

    def user() -> str:
        return rng.choice(users)

    def item() -> str:
        return rng.choice(items)

    makes: dict[str, Callable[[], dict[str, Any]]] = {
        "for_you": lambda: {"user": user()},
        "a session of 20": lambda: {"history": tuple(rng.sample(items, 20))},
        "for_you, share, quota, price": lambda: {
            "user": user(),
            "cross_share": 0.3,
            "quota": 2,
            "max_price": 5.0,
        },
        "discover": lambda: {"user": user(), "placement": "discover"},
        "goes_with": lambda: {"items": (item(),), "placement": "goes_with"},
        "goes_with, user known": lambda: {"items": (item(),), "user": user(), "placement": "goes_with"},
        "similar": lambda: {"items": (item(),), "placement": "similar"},
    }
    return {kind: [make() for _ in range(n)] for kind, make in makes.items()}


def measure(model: Path, n: int, *, exact: bool) -> dict[str, Any]:
    """Milliseconds per list by kind, alone and in batches, and the lists, of the tree this process imports.

    `exact`: without rough scores.
    """
    from crossaisle.data.query import Query
    from crossaisle.recommend.recommender import Recommender
    from crossaisle.serve.limits.live import LiveLimits
    from crossaisle.serve.live.histories import LiveHistories
    from crossaisle.serve.live.recommender import LiveRecommender
    from crossaisle.serve.live.warmup import warm

    base = Recommender.load(model)
    shop = LiveRecommender(base, LiveHistories(), limits=LiveLimits(rankings=0))
    start = time.process_time()
    if not exact:
        warm(shop)
    warmed = time.process_time() - start
    known = base.dataset.item_counts > 20
    items = base.dataset.item_ids.ids(np.flatnonzero(known))
    cost: dict[str, dict[str, float]] = {}
    lists: Lists = {}
    for kind, fields in questions(base.dataset.user_ids.ids(range(base.dataset.n_users)), items, n).items():
        queries = [Query(n=N, **one) for one in fields]
        cost[kind], lists[kind] = {}, []
        for size in (1, TOGETHER):
            shop.score_many(queries[:size])
            took = []
            for at in range(0, len(queries) - size + 1, size):
                start = time.process_time()
                answers = shop.score_many(queries[at : at + size])
                took.append((time.process_time() - start) / size * 1000)
                for answer in answers:
                    if isinstance(answer, Exception):
                        raise answer
                    if size == 1:
                        lists[kind].append([one.item_id for one in answer.items])
            cost[kind][str(size)] = statistics.median(took)
    return {"cost": cost, "lists": lists, "warm": warmed}


def alike(then: list[list[str]], now: list[list[str]]) -> tuple[float, float]:
    """Share of the items of each list `then` that `now` has too, and the NDCG of `now`."""
    overlap, gain = [], []
    for old, new in zip(then, now, strict=True):
        if old:
            overlap.append(len(set(old) & set(new)) / len(old))
            worth = {item: 1 / np.log2(place + 2) for place, item in enumerate(old)}
            discount = 1 / np.log2(np.arange(len(new)) + 2)
            ideal = sum(value**2 for value in worth.values())
            gain.append(sum(worth.get(item, 0.0) * d for item, d in zip(new, discount, strict=True)) / ideal)
    return float(np.mean(overlap)), float(np.mean(gain))


def run(tree: Path, options: argparse.Namespace, *, exact: bool = False) -> dict[str, Any]:
    """`measure` in a process that imports a tree."""
    words = ["--model", str(options.model), "--users", str(options.users)]
    return answer_of(tree, __file__, *words, *(["--exact"] if exact else []))


def main() -> None:
    """Reads the command line, measures, prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revision", nargs="?", help="the revision to compare with: a commit, branch or tag")
    parser.add_argument("--model", type=Path, required=True, help="a saved model")
    parser.add_argument("--users", type=int, default=80, help="queries of each kind (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--exact", action="store_true", help="compare with exact scores of all items")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.model, options.users, exact=options.exact)))
        return
    if (options.revision is None) != options.exact:
        parser.error("name the revision to compare with, or say --exact")
    with tempfile.TemporaryDirectory() as folder:
        other = nullcontext(HERE) if options.exact else checked_out(options.revision, Path(folder) / "tree")
        with other as tree:
            rounds = [
                (run(tree, options, exact=options.exact), run(HERE, options)) for _ in range(options.rounds)
            ]
    print(f"{'CPU ms per list':<32}{'alone':>16}{'eight at once':>18}{'overlap':>10}{'NDCG':>9}")
    for kind in rounds[0][0]["cost"]:
        cells = [
            " -> ".join(
                f"{statistics.median(r[side]['cost'][kind][size] for r in rounds):.2f}" for side in (0, 1)
            )
            for size in ("1", str(TOGETHER))
        ]
        overlap, gain = alike(rounds[0][0]["lists"][kind], rounds[0][1]["lists"][kind])
        print(f"{kind:<32}{cells[0]:>16}{cells[1]:>18}{overlap:>10.4f}{gain:>9.4f}")
    warm = " -> ".join(f"{statistics.median(r[side]['warm'] for r in rounds):.2f}" for side in (0, 1))
    print(f"CPU seconds to prepare a service: {warm}")


if __name__ == "__main__":
    main()
