"""Measures what `crossaisle run` takes for a shop of 36,298 items, 51,164 users and 402,268 purchases.

    python benchmarks/mid_size.py --out DIR [--set model.sequence=off ...]

Makes the shop's files (users stay within a few kinds of product and move on to related ones; sales follow a
power law, as in the Amazon shops of `s3rec`), runs the command in a process of its own, and prints CPU time,
wall time, peak memory, and how many items each linear model knows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
from large_shop import KINDS, NOUNS, SIZES

from crossaisle.recommend.recommender import Recommender

ITEMS, USERS, EVENTS = 36_298, 51_164, 402_268
FEWEST = 5
"""Purchases every user has at least."""
FAVOURITES = 4
"""Kinds of product a user buys; each leads to a related one, the same for all users."""
SETTINGS = """
[data]
name = "mid-size shop"

[data.items]
path = "items.parquet"

[data.events]
path = "events.parquet"
"""


def make(folder: Path, events: int = EVENTS, *, items: int | None = None, seed: int = 0) -> tuple[int, int]:
    """Writes `items.parquet`, `events.parquet` and `shop.toml`; returns the numbers of items and users.

    Both are in proportion to `events`, unless the number of items is given.
    """
    rng = np.random.default_rng(seed)
    users = round(USERS * events / EVENTS)
    items = round(ITEMS * events / EVENTS) if items is None else items
    folder.mkdir(parents=True, exist_ok=True)
    kinds = [
        (department, noun, f"{kind} {noun}")
        for department, nouns in NOUNS.items()
        for noun, kind in product(nouns.split(), KINDS.split())
    ]
    of_item = rng.integers(0, len(kinds), items)
    brands = [
        "".join(rng.choice(list("bdfgklmnprstvz")) + rng.choice(list("aeiou")) for _ in range(3)).title()
        for _ in range(2000)
    ]
    brand = [brands[at] for at in rng.integers(0, len(brands), items).tolist()]
    size = [SIZES[at] for at in rng.integers(0, len(SIZES), items).tolist()]
    number = rng.integers(10, 1000, items).tolist()
    described = [kinds[at] for at in of_item.tolist()]
    titles = [
        f"{b} {kind} {s} {n}" for b, (_, _, kind), s, n in zip(brand, described, size, number, strict=True)
    ]
    pl.DataFrame(
        {
            "item_id": [f"item-{row}" for row in range(items)],
            "title": titles,
            "brand": brand,
            "categories": [f"{department} > {noun}" for department, noun, _ in described],
        }
    ).write_parquet(folder / "items.parquet")
    user, item = _purchases(of_item, len(kinds), users, events, rng)
    time_of = _ordered_within(rng.integers(1_700_000_000, 1_731_000_000, len(user)), user)
    pl.DataFrame(
        {
            "user_id": [f"user-{row}" for row in user.tolist()],
            "item_id": [f"item-{row}" for row in item.tolist()],
            "time": time_of,
        }
    ).write_parquet(folder / "events.parquet")
    (folder / "shop.toml").write_text(SETTINGS)
    return items, users


def _purchases(
    of_item: np.ndarray, n_kinds: int, users: int, events: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """int64 (n,) each: users, ascending, and items; a user buys an item once."""
    lengths = FEWEST + rng.geometric(1 / (events * 1.15 / users - FEWEST + 1), users) - 1
    user = np.repeat(np.arange(users), lengths)
    by_kind = np.argsort(of_item, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(of_item, minlength=n_kinds))])
    # Kinds sell by a power law, too.
    share = 1.0 / np.arange(1, n_kinds + 1) ** 0.6
    favourites = rng.choice(n_kinds, (users, FAVOURITES), p=share / share.sum())
    kind = favourites[user, rng.integers(0, FAVOURITES, len(user))]
    leads_to = rng.permutation(n_kinds)
    kind = np.where(rng.random(len(user)) < 0.3, leads_to[kind], kind)
    room = start[kind + 1] - start[kind]
    item = by_kind[
        np.minimum(start[kind] + (rng.random(len(user)) ** 3 * room).astype(np.int64), len(of_item) - 1)
    ]
    _, first = np.unique(user * len(of_item) + item, return_index=True)
    first = np.sort(rng.permutation(first)[:events])
    return user[first], item[first]


def _ordered_within(moments: np.ndarray, user: np.ndarray) -> np.ndarray:
    """Times, ascending within each user; `user` is ascending."""
    return moments[np.lexsort((moments, user))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the shop and the run")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the run; may be repeated (default: %(default)s)",
    )
    options = parser.parse_args()
    shop = options.out / "shop"
    if not (shop / "shop.toml").is_file():
        make(shop)
    command = [
        sys.executable,
        "-m",
        "crossaisle",
        "run",
        "shop.toml",
        "--out",
        str((options.out / "run").resolve()),
    ]
    command += [argument for pair in options.set for argument in ("--set", pair)]
    start = time.perf_counter()
    subprocess.run(command, cwd=shop, check=True, env=os.environ)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    model = Recommender.load(options.out / "run" / "model")
    known = {
        name: int(part.known_.sum())
        for name, part in model.blend.parts.items()
        if part.kind in ("ease", "slit")
    }
    print(
        json.dumps(
            {
                "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
                "seconds": round(time.perf_counter() - start, 1),
                "peak_mb": round(used.ru_maxrss / 1e3),
                "items_with_events": int((model.dataset.item_counts > 0).sum()),
                "items_known": known,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
