"""Measures what list controls do and cost in the demo shop.

    crossaisle demo --out DIR
    python benchmarks/lists.py DIR/model --out lists.json

Titles: how many of 100 lists of ten, for drawn households, show a title twice, whatever the brand.

Quality: the model's own weights (chosen on validation), with parts fitted on train and validation. R@10 on
the test, by placement, with `one_per_title` and without; the ratio has a paired bootstrap interval. Right
answers: `for_you` and `trending`, what the household bought in the test; `discover`, those of a category that
is new to it; `buy_again`, those it had before; `similar`, those in the category of the last product of its
history; `goes_with`, the rest of a test trip. "by title": any item of the right group is a hit.

Controls: R@10, relevance kept, and KL divergence from the household's categories, of `for_you`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.data.datasets import find_catalogue
from crossaisle.data.membership import is_in
from crossaisle.data.query import Query
from crossaisle.data.splits.carts import cart_cases
from crossaisle.data.splits.cases import Split
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.pipeline.fit import refit, split_of
from crossaisle.recommend.ranker import score_requests
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.rerank.calibrate import Calibration, spread_of

K, SEED = 10, 0
Case = tuple[Query, set[str]]
"""A query and its right answers."""
CONTROLS: dict[str, dict[str, Any]] = {
    "nothing": {"one_per_title": False},
    "one_per_title": {},
    "max_per_brand=2": {"max_per_brand": 2},
    "diversity=.3": {"diversity": 0.3},
    "diversity=.3, dpp": {"diversity": 0.3, "diversify_by": "dpp"},
    "calibration=.3": {"calibration": 0.3},
    "calibration=.7": {"calibration": 0.7},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a saved model")
    parser.add_argument("--out", type=Path, required=True, help="file for the results")
    parser.add_argument(
        "--cases", type=int, default=1000, help="test cases, drawn with a seed (default: %(default)s)"
    )
    given = parser.parse_args()
    start = time.perf_counter()
    served = Recommender.load(given.model)
    out: dict[str, Any] = {"lists_with_a_title_twice": titles(served)}
    print(json.dumps(out), flush=True)
    split = split_of(served.dataset, find_catalogue("completejourney").split)
    blend, _ = refit(served.blend, split.past)
    past = served.replaced(dataset=split.past, blend=blend)
    print(f"fitted after {time.perf_counter() - start:.0f} s", flush=True)
    out["placements"] = {}
    for placement, cases in cases_of(served, split, given.cases).items():
        found = measured(past, cases, {"on": {}, "off": {"one_per_title": False}})
        draws = Bootstrap(n=len(cases), seed=SEED)
        ratio = draws.ratio(found["on"][0][:, None], found["off"][0][:, None]).of(0)
        out["placements"][placement] = {
            "cases": len(cases),
            "R@10 with": interval(draws, found["on"][0]),
            "R@10 without": interval(draws, found["off"][0]),
            "ratio": [round(v, 4) for v in ratio],
            "by title, with": interval(draws, found["on"][2]),
            "by title, without": interval(draws, found["off"][2]),
        }
        print(placement, json.dumps(out["placements"][placement]), flush=True)
        if placement == "for_you":
            some = measured(past, cases, CONTROLS)
            out["controls"] = {
                name: {
                    "R@10": interval(draws, recall),
                    "relevance_kept": round(float(np.nanmean(kept)), 4),
                    "KL": round(float(np.nanmean(distance)), 3),
                }
                for name, (recall, kept, _, distance) in some.items()
            }
            print(json.dumps(out["controls"], indent=1), flush=True)
        given.out.write_text(
            json.dumps(out | {"seconds": round(time.perf_counter() - start)}, indent=1) + "\n"
        )


def titles(shop: Recommender) -> dict[str, dict[str, int]]:
    """Placement -> with and without the control -> how many of 100 lists show a title twice."""
    users = shop.dataset.user_ids.ids(np.random.default_rng(SEED).permutation(shop.dataset.n_users)[:100])
    out: dict[str, dict[str, int]] = {}
    for placement in ("for_you", "discover", "buy_again"):
        for label, on in (("with", True), ("without", False)):
            lists = shop.recommend_many(
                [Query(placement=placement, user=user, n=K, one_per_title=on) for user in users]
            )
            twice = 0
            for found in lists:
                counts = Counter(i.title.lower() for i in found if i.title)
                twice += max(counts.values(), default=0) > 1
            out.setdefault(placement, {})[label] = twice
    return out


def cases_of(served: Recommender, split: Split, most: int) -> dict[str, list[Case]]:
    """Test cases of each placement, by external ids."""
    dataset, codes = served.dataset, served.dataset.taxonomy.codes()
    ids, users, test = dataset.item_ids, dataset.user_ids, split.test
    out: dict[str, list[Case]] = {
        name: [] for name in ("for_you", "discover", "buy_again", "trending", "similar")
    }
    for at in np.random.default_rng(SEED).permutation(len(test)).tolist():
        row = int(test.histories.user[at])
        history = test.histories.items_of(at)
        if row < 0 or not len(history) or len(out["for_you"]) == most:
            continue
        user, targets = users.id(row), test.targets_of(at)
        last = int(history[-1])
        right = {
            "for_you": targets,
            "trending": targets,
            "discover": targets[~np.isin(codes[targets], codes[history])],
            "buy_again": targets[np.isin(targets, history)],
            "similar": targets[(codes[targets] == codes[last]) & (targets != last)],
        }
        for name, rows in right.items():
            if len(rows):
                items = (ids.id(last),) if name == "similar" else ()
                asked = Query(placement=name, user=user, items=items, n=K)  # type: ignore[arg-type]
                out[name].append((asked, set(ids.ids(rows))))
    later = (dataset.events.basket >= 0) & ~is_in(dataset.events.basket, split.past.events.basket)
    carts = cart_cases(dataset, later, most=most, seed=SEED)
    out["goes_with"] = [
        (
            Query(placement="goes_with", items=tuple(ids.ids(carts.histories.items_of(at))), n=K),
            set(ids.ids(carts.targets_of(at))),
        )
        for at in range(len(carts))
    ]
    return out


def measured(
    shop: Recommender, cases: list[Case], settings: dict[str, dict[str, Any]]
) -> dict[str, tuple[Any, Any, Any, Any]]:
    """Setting -> (n,) recall at 10, relevance kept, recall by title and KL, all from the same scores."""
    n = len(cases)
    out = {
        name: (np.zeros(n, np.float32), np.full(n, np.nan), np.zeros(n, np.float32), np.full(n, np.nan))
        for name in settings
    }
    ids, keys = shop.dataset.item_ids, shop.view.same_title.keys
    codes = shop.view.codes
    for start in range(0, n, 50):
        batch = cases[start : start + 50]
        requests = [shop.resolve(query) for query, _ in batch]
        every = zip(batch, requests, score_requests(shop.ranker, requests), strict=True)
        for at, ((query, right), request, scores) in enumerate(every, start):
            wanted = spread_of(codes, request.history)
            for name, controls in settings.items():
                found = shop.lists.finish(replace(query, **controls), request, scores)
                recall, kept, by_title, distance = out[name]
                recall[at] = len(right & set(found.ids)) / min(K, len(right))
                kept[at] = np.nan if found.relevance_kept is None else found.relevance_kept
                titles_right = set(keys[ids.rows(right)].tolist())
                shown = set(keys[ids.rows(found.ids)].tolist())
                by_title[at] = len(titles_right & shown) / min(K, len(titles_right))
                if wanted is not None and len(found):
                    balance = Calibration(wanted, codes[ids.rows(found.ids)], 1.0)
                    balance.add(np.arange(len(found) - 1))
                    distance[at] = balance.distances()[-1]
    return out


def interval(draws: Bootstrap, values: Any) -> list[float]:
    return [round(v, 4) for v in draws.interval(values[:, None]).of(0)]


if __name__ == "__main__":
    main()
