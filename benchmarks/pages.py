"""Checks that the pages of one list share no item and stay the same: this tree beside another revision.

    python benchmarks/pages.py HEAD~1 --model demo/model
    python benchmarks/pages.py HEAD~1 --model demo/model --lists 200 --seed 2

Lists of random placements and controls are asked for page by page as a service answers them, from cached
rankings where there are any, up to place 600; then three of their pages again. Prints for each revision how
many lists had an item on two pages, how many places that took, how many lists had a page that changed when
asked for again, and milliseconds of CPU time per page.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from revisions import HERE, answer_of, checked_out

DEEPEST = 600
MOST_PAGES = 12
CONTROLS: dict[str, tuple[Any, ...]] = {
    "quota": (1, 2, 5),
    "max_price": (0.7, 2.0, 5.0),
    "cross_share": (0.0, 0.3, 1.0),
    "diversity": (0.4,),
    "max_per_brand": (2,),
    "exclude_seen": (True,),
}
OFTEN = 0.25
"""Share of the lists with each control."""


def asked(rng: random.Random, users: list[str], items: list[str]) -> dict[str, Any]:
    """Fields of a query."""
    placement = rng.choice(("for_you", "for_you", "discover", "goes_with", "similar"))
    fields = {name: rng.choice(values) for name, values in CONTROLS.items() if rng.random() < OFTEN}
    if placement == "discover":
        fields.pop("cross_share", None)
    if placement in ("goes_with", "similar"):
        fields["items"] = (rng.choice(items),)
    return {**fields, "placement": placement, "user": rng.choice(users), "n": rng.choice((10, 50, 100))}


def measure(model: Path, lists: int, seed: int) -> dict[str, float]:
    """Measures the tree that this process imports."""
    from crossaisle.data.query import Query
    from crossaisle.recommend.recommender import Recommender
    from crossaisle.serve.live.histories import LiveHistories
    from crossaisle.serve.live.recommender import LiveRecommender
    from crossaisle.serve.live.warmup import warm

    base, rng = Recommender.load(model), random.Random(seed)
    warm(LiveRecommender(base, LiveHistories()))
    users, items = list(base.dataset.user_ids.all), list(base.dataset.item_ids.all)
    repeating = repeats = places = moved = pages = 0
    took = 0.0
    for _ in range(lists):
        fields = asked(rng, users, items)
        shop = LiveRecommender(base, LiveHistories())  # nothing is kept yet

        def page(offset: int, fields: dict[str, Any] = fields, shop: LiveRecommender = shop) -> list[str]:
            query = Query(offset=offset, **fields)
            kept = shop.from_cache(query)
            ids: list[str] = (kept if hasattr(kept, "ids") else shop.recommend(query)).ids
            return ids

        offsets = list(range(0, DEEPEST, fields["n"]))[:MOST_PAGES]
        start = time.process_time()
        found = {offset: page(offset) for offset in offsets}
        again = {offset: page(offset) for offset in rng.sample(offsets, 3)}
        took += time.process_time() - start
        ids = [item for one in found.values() for item in one]
        places, pages = places + len(ids), pages + len(found) + len(again)
        twice = len(ids) - len(set(ids))
        repeats, repeating = repeats + twice, repeating + bool(twice)
        moved += any(found[offset] != one for offset, one in again.items())
    return {
        "lists": lists,
        "places": places,
        "lists with an item on two pages": repeating,
        "places taken by such items": repeats,
        "lists with another page when asked again": moved,
        "ms of the processor per page": round(1000 * took / pages, 2),
    }


def run(tree: Path, options: argparse.Namespace) -> dict[str, float]:
    """`measure` in a process that imports a tree."""
    words = ["--model", str(options.model), "--lists", str(options.lists), "--seed", str(options.seed)]
    return answer_of(tree, __file__, *words)


def main() -> None:
    """Reads the command line, measures, prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revision", nargs="?", help="the revision to compare with: a commit, branch or tag")
    parser.add_argument("--model", type=Path, required=True, help="a saved model")
    parser.add_argument("--lists", type=int, default=60, help="lists to read (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything drawn (default: %(default)s)")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.model, options.lists, options.seed)))
        return
    if options.revision is None:
        parser.error("name the revision to compare with")
    with (
        tempfile.TemporaryDirectory() as folder,
        checked_out(options.revision, Path(folder) / "tree") as tree,
    ):
        then, now = run(tree, options), run(HERE, options)
    for name, value in then.items():
        print(f"{name:<42}{value:>10} -> {now[name]}")


if __name__ == "__main__":
    main()
