"""Makes a synthetic shop of 100,000 or a million items, and compares its searched lists with exact ones.

    python benchmarks/large_shop.py --items 1000000 --out DIR

The shop is fitted and saved as a real model folder. Encoding a million titles takes 20 minutes, so only the
few thousand kinds of product are encoded: an item's vector is that of its kind plus seeded noise, whitened
like any other. It has all the parts of a shop whose customers do not buy again, except `slit`, whose closed
form is too large here. Compares lists made by search with lists made from the scores of all items: how many
items they share, the sum of their scores, and their time.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.history import Decay, Floats
from crossaisle.data.query import Query
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.encoders.cache import pretrained
from crossaisle.encoders.whiten import Whitening
from crossaisle.models.base import Scorer, pack_words
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.category_link import CategoryLink
from crossaisle.models.scorers.content import EncoderSimilarity, TfidfSimilarity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender

FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "price": {"max_price": 5.0},
    "price, share and quota": {"max_price": 5.0, "cross_share": 0.3, "quota": 2},
    "one department": {"include_categories": ("Music",)},
    "discover, price, quota, diversity": {
        "placement": "discover",
        "max_price": 3.0,
        "quota": 2,
        "diversity": 0.3,
    },
}
NOUNS = {
    "Kitchen": "pan kettle knife toaster teapot mug plate bowl grater ladle",
    "Garden": "spade rake hose lantern planter parasol hammock shears trowel barbecue",
    "Food": "coffee tea honey pasta rice biscuits chocolate oil cereal soup",
    "Clothes": "jacket scarf socks trousers shirt gloves hat belt coat dress",
    "Sport": "racket ball tent helmet dumbbell skis yoga-mat bicycle skates goggles",
    "Office": "pen notebook stapler lamp chair folder calculator envelope desk printer",
    "Baby": "pram bottle blanket rattle bib cot dummy monitor highchair nappies",
    "Music": "guitar drum piano violin flute speaker headphones record microphone trumpet",
    "Tools": "hammer drill saw wrench screwdriver ladder pliers clamp level sander",
    "Beauty": "soap shampoo lipstick perfume brush mirror cream towel comb sponge",
}
KINDS = (
    "wooden steel organic kids travel vintage folding mini professional waterproof electric wireless "
    "ceramic cotton leather glass recycled heavy-duty lightweight classic"
)
SIZES = ("small", "medium", "large", "set of 2", "set of 4", "refill", "gift box", "spare part")
NOISE = 0.9
"""Length of an item's own vector, relative to that of its kind."""
USERS, EVENTS = 10_000, 20
FAVOURITES = 4
"""Kinds of product that a user buys."""


def made(out: Path, n_items: int) -> Path:
    """The folder of the fitted shop within another one; made if missing."""
    folder = out / f"model-{n_items}"
    if not folder.is_dir():
        make(folder, n_items)
    return folder


def make(folder: Path, n_items: int, *, seed: int = 0) -> None:
    """Saves the fitted shop."""
    rng = np.random.default_rng(seed)
    kinds = [
        (department, noun, f"{kind} {noun}")
        for department, nouns in NOUNS.items()
        for noun, kind in product(nouns.split(), KINDS.split())
    ]
    of_item = rng.integers(0, len(kinds), n_items)
    dataset = _dataset(kinds, of_item, rng)
    latest = Decay(events=2.0)
    parts: dict[str, Scorer] = {
        "popularity": Popularity(half_life_days=180.0),
        "item_knn": ItemKNN(decay=latest),
        "category_link": CategoryLink(depth=-1, decay=latest),
        "tfidf": TfidfSimilarity(decay=latest),
    }
    for part in parts.values():
        part.fit(dataset)
    parts["encoder"] = _encoder([text for _, _, text in kinds], of_item, dataset, latest, rng)
    # Every part has a weight, so that every part costs time.
    people = {"popularity": 0.1, "item_knn": 1.0, "category_link": 1.0, "tfidf": 0.2, "encoder": 0.3}
    weights = {"for_you": people, "similar": {"tfidf": 1.0, "encoder": 1.0}}
    Recommender(dataset, Blend(parts=parts, weights=weights)).save(folder)


def _dataset(kinds: list[tuple[str, str, str]], of_item: np.ndarray, rng: np.random.Generator) -> Dataset:
    n = len(of_item)
    brands = [
        "".join(rng.choice(list("bdfgklmnprstvz")) + rng.choice(list("aeiou")) for _ in range(3))
        for _ in range(2000)
    ]
    brand = rng.integers(0, len(brands), n)
    size = rng.integers(0, len(SIZES), n)
    number = rng.integers(10, 1000, n)
    titles = [
        f"{brands[b]} {kinds[k][2]} {SIZES[s]} {x}"
        for b, k, s, x in zip(brand.tolist(), of_item.tolist(), size.tolist(), number.tolist(), strict=True)
    ]
    paths = [((department, noun),) for department, noun, _ in kinds]
    ids = [f"item-{row}" for row in range(n)]
    users = [f"user-{row}" for row in range(USERS)]
    items = pl.DataFrame(
        {
            "item_id": ids,
            "title": titles,
            "description": "",
            "brand": [brands[b].title() for b in brand.tolist()],
            "price": np.round(rng.lognormal(2.5, 1.0, n), 2).astype(np.float32),
            "image": pl.Series([None] * n, dtype=pl.String),
            "in_stock": rng.random(n) > 0.03,
            "attributes": "",
        }
    )
    return Dataset(
        items=items,
        users=pl.DataFrame({"user_id": users}),
        events=_events(of_item, len(kinds), rng),
        item_ids=Vocabulary(ids, what="item"),
        user_ids=Vocabulary(users, what="user"),
        taxonomy=Taxonomy(tuple(paths[k] for k in of_item.tolist()), 1),
        name=f"synthetic-{n}",
    )


def _events(of_item: np.ndarray, n_kinds: int, rng: np.random.Generator) -> Events:
    """Users buy a few kinds; within a kind, one item in ten has nine sales in ten."""
    by_kind = np.argsort(of_item, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(of_item, minlength=n_kinds))])
    lengths = 1 + rng.poisson(EVENTS - 1, USERS)
    user = np.repeat(np.arange(USERS, dtype=np.int32), lengths)
    favourites = rng.integers(0, n_kinds, (USERS, FAVOURITES))
    kind = favourites[user, rng.integers(0, FAVOURITES, len(user))]
    place = rng.random(len(user)) ** 4 * (start[kind + 1] - start[kind])
    item = by_kind[start[kind] + place.astype(np.int64)].astype(np.int32)
    time = rng.integers(1_700_000_000, 1_731_000_000, len(user))
    order = np.lexsort((time, user))
    n = len(user)
    return Events(
        user=user,
        item=item[order],
        time=time[order],
        kind=np.zeros(n, np.int8),
        value=np.full(n, np.nan, np.float32),
        quantity=np.ones(n, np.float32),
        basket=np.full(n, -1, np.int32),
    )


def _encoder(
    texts: list[str], of_item: np.ndarray, dataset: Dataset, decay: Decay, rng: np.random.Generator
) -> EncoderSimilarity:
    """Fitted as `EncoderSimilarity.fit` would, on vectors that were made up around those of the kinds."""
    encoder = pretrained("minilm")
    centres = encoder.encode(texts)
    d = centres.shape[1]
    whitening = Whitening.fit(_around(centres, np.arange(len(centres)).repeat(4), rng))
    vectors = np.empty((len(of_item), d), np.float32)
    for first in range(0, len(of_item), 50_000):
        block = slice(first, first + 50_000)
        vectors[block] = whitening.apply(_around(centres, of_item[block], rng))
    model = EncoderSimilarity(encoder="minilm", decay=decay)
    model.mean_, model.whitening_, model.vectors_ = whitening.mean_, whitening.matrix_, vectors
    model.fingerprint_ = pack_words([encoder.fingerprint])
    model.item_ids_ = dataset.item_ids
    return model


def _around(centres: Floats, which: np.ndarray, rng: np.random.Generator) -> Floats:
    noise = rng.standard_normal((len(which), centres.shape[1]), dtype=np.float32)
    raw: Floats = centres[which] + noise * np.float32(NOISE / np.sqrt(centres.shape[1]))
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def compare(folder: Path, people: int, *, seed: int = 1) -> dict[str, dict[str, float]]:
    """For each of `FILTERS`, the means over some users."""
    base = Recommender.load(folder)
    shop = LiveRecommender(base, LiveHistories())
    names = (
        np.random.default_rng(seed).choice(list(shop.dataset.user_ids.all), people, replace=False).tolist()
    )
    shop.score_many([Query(user=names[0])])  # compiles the search
    out = {}
    for label, filters in FILTERS.items():
        sums = dict.fromkeys(("shared", "score_kept", "searched_ms", "all_scored_ms"), 0.0)
        for name in names:
            query = Query(user=name, n=10, **filters)
            start = time.perf_counter()
            found = shop.recommend(query)
            between = time.perf_counter()
            best = base.recommend(query)
            end = time.perf_counter()
            sums["shared"] += len({*found.ids} & {*best.ids}) / max(len(best.ids), 1)
            sums["score_kept"] += sum(r.score for r in found) / sum(r.score for r in best)
            sums["searched_ms"] += (between - start) * 1000
            sums["all_scored_ms"] += (end - between) * 1000
        out[label] = {what: round(value / people, 4) for what, value in sums.items()}
        print(label, out[label])
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the shop")
    parser.add_argument("--items", type=int, default=100_000, help="items of the shop (default: %(default)s)")
    parser.add_argument(
        "--people", type=int, default=40, help="users whose lists are compared (default: %(default)s)"
    )
    options = parser.parse_args()
    found = compare(made(options.out, options.items), options.people)
    (options.out / f"lists-{options.items}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
