"""Prints `goes_with` lists to be read, and figures about them, from a saved model of a shop with trips.

    python benchmarks/goes_with.py demo/model --out goes-with.json

Beside products: 60 products that were in at least 20 trips, drawn with a seed, evenly over departments (the
top of the taxonomy) and, within each, over thirds of its sales: best sellers, the middle and the rest. Prints
the first places of each list, one line per product. Figures over all lists of ten: how many different
products are shown; the share of staples (the 20 products in the most trips); and the lift: of trips with the
product's leaf category, the share that has the shown leaf category, over that share of all trips.

Beside carts: 100 drawn households with six carts each, of one to three products taken from anybody's trips.
Figures of ten places: how many two carts of one household share (mean over all pairs), how many the household
had before, and the lift given the cart.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.query import Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.recommender import Recommender

PRODUCTS, FEWEST, STAPLES, SHOWN = 60, 20, 20, 5
PEOPLE, CARTS, K = 100, 6, 10


class Lifts:
    """How much likelier a trip has a leaf category beside another one."""

    def __init__(self, dataset: Dataset) -> None:
        self.codes = dataset.taxonomy.codes(-1)
        trips, known = dataset.basket_matrix().tocsr(), np.flatnonzero(self.codes >= 0)
        shape = (dataset.n_items, int(self.codes.max()) + 1)
        members = sparse.csr_matrix((np.ones(len(known)), (known, self.codes[known])), shape=shape)
        held = (trips @ members).tocsr()
        held.data[:] = 1.0
        self.trips = np.bincount(trips.indices, minlength=dataset.n_items)
        both, size = (held.T @ held).toarray(), np.asarray(held.sum(axis=0)).ravel()
        self.lift = (both + 1.0) * held.shape[0] / (np.outer(size, size) + held.shape[0])

    def of(self, cart: Rows, shown: Rows) -> float:
        """For each item shown the largest lift of a product of the cart; the mean of these."""
        return float(self.lift[np.ix_(self.codes[cart], self.codes[shown])].max(axis=0).mean())


def drawn_products(shop: Recommender, lifts: Lifts, seed: int) -> list[int]:
    """Item rows, evenly over departments and thirds of their sales."""
    rng, paths = np.random.default_rng(seed), shop.dataset.taxonomy.paths
    sold = np.flatnonzero((lifts.trips >= FEWEST) & (lifts.codes >= 0))
    department = np.array([paths[row][0][0] for row in sold.tolist()])
    cells: list[list[int]] = []
    for name in sorted(set(department.tolist())):
        rows = sold[department == name]
        rows = rows[np.argsort(-lifts.trips[rows], kind="stable")]
        third = (np.cumsum(lifts.trips[rows]) - 1) * 3 // lifts.trips[rows].sum()
        cells += [rng.permutation(rows[third == part]).tolist() for part in range(3)]
    order, out = rng.permutation(len(cells)).tolist(), []
    while len(out) < PRODUCTS and any(cells):
        out += [cells[at].pop() for at in order if cells[at]]
    return sorted(out[:PRODUCTS], key=lambda row: (paths[row][0], row))


def beside_products(shop: Recommender, lifts: Lifts, seed: int) -> dict[str, Any]:
    """Lists beside drawn products, and figures about them."""
    dataset = shop.dataset
    ids, title = dataset.item_ids, dataset.items["title"]
    staples = set(np.argsort(-lifts.trips, kind="stable")[:STAPLES].tolist())
    lines, every, lift = [], [], []
    for row in drawn_products(shop, lifts, seed):
        found = shop.recommend(Query(placement="goes_with", items=(ids.id(row),), n=K))
        shown = ids.rows(found.ids)
        every += shown.tolist()
        lift.append(lifts.of(np.array([row]), shown))
        lines.append(
            {
                "item": ids.id(row),
                "title": title[row],
                "category": " > ".join(dataset.taxonomy.paths[row][0]),
                "trips": int(lifts.trips[row]),
                "goes_with": [i.title for i in found][:SHOWN],
            }
        )
    return {
        "products": len(lines),
        "different": len(set(every)),
        "staples": round(float(np.mean([row in staples for row in every])), 3),
        "lift": round(float(np.mean(lift)), 2),
        "lists": lines,
    }


def beside_carts(shop: Recommender, lifts: Lifts, seed: int) -> dict[str, float]:
    """How much of a user's list follows the cart."""
    rng, dataset = np.random.default_rng(seed), shop.dataset
    trips = dataset.basket_matrix().tocsr()
    long_enough = np.flatnonzero(np.diff(trips.indptr) >= 5)
    ids = dataset.item_ids
    overlap, own, lift = [], [], []
    for user in rng.permutation(dataset.n_users)[:PEOPLE].tolist():
        had = set(dataset.events.item[slice(*dataset.user_indptr[user : user + 2])].tolist())
        lists = []
        for trip in rng.choice(long_enough, CARTS, replace=False).tolist():
            held = trips.indices[trips.indptr[trip] : trips.indptr[trip + 1]]
            cart = rng.choice(held, rng.integers(1, 4), replace=False)
            query = Query(
                placement="goes_with", items=tuple(ids.ids(cart)), user=dataset.user_ids.id(user), n=K
            )
            shown = ids.rows(shop.recommend(query).ids)
            lists.append(set(shown.tolist()))
            own.append(np.mean([row in had for row in shown.tolist()]))
            lift.append(lifts.of(cart, shown))
        overlap += [len(a & b) / K for a, b in combinations(lists, 2)]
    return {
        "overlap_of_two_carts": round(float(np.mean(overlap)), 3),
        "share_of_own_products": round(float(np.mean(own)), 3),
        "lift": round(float(np.mean(lift)), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a saved model")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="also write the results to this file")
    given = parser.parse_args()
    shop = Recommender.load(given.model)
    lifts = Lifts(shop.dataset)
    products = beside_products(shop, lifts, given.seed)
    for line in products["lists"]:
        print(f"{line['trips']:6}  {line['title']}  ({line['category']})")
        print(f"        -> {'; '.join(line['goes_with'])}")
    found = {"products": products, "carts": beside_carts(shop, lifts, given.seed)}
    print(json.dumps({k: v for k, v in products.items() if k != "lists"} | found["carts"], indent=1))
    if given.out:
        given.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
