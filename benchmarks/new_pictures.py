"""Measures how soon new items are recommendable from their pictures, and beside what.

    python benchmarks/new_pictures.py --out runs/new-pictures

Fits a shop of fashion products (data set `fashion`, with synthetic users who each buy one kind of article),
holds some products out, starts the service, and adds each of these by its picture, by its title, and by both.
Measures the time until the new item has an answer of its own, and how many of the first five products that
`similar` and `goes-with` show beside it have its article type and gender. Writes `results.json`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
from fuzz import service

from crossaisle.data.datasets import pull_catalogue
from crossaisle.data.ingest.importer import import_frames
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.picture_similarity import PictureSimilarity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender

KINDS = ["articleType", "gender"]
SHOWN = 5


def fitted(products: pl.DataFrame, out: Path, rng: np.random.Generator) -> Path:
    """Saves a model of some products."""
    files = []
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    for name, image in products.select("id", "image").iter_rows():
        (out / "pictures" / f"{name}.jpg").write_bytes(image)
        files.append(str((out / "pictures" / f"{name}.jpg").resolve()))
    items = products.select(
        pl.col("id").cast(pl.String).alias("item_id"),
        pl.col("productDisplayName").fill_null("").alias("title"),
        pl.col("masterCategory").alias("department"),
        pl.col("articleType").alias("aisle"),
        pl.Series("image", files),
    )
    by_kind = [g["id"].to_list() for _, g in products.group_by("subCategory", "gender", maintain_order=True)]
    events = []
    for user in range(4000):
        own = by_kind[int(rng.integers(len(by_kind)))]
        for place in rng.permutation(len(own))[:5].tolist():
            events.append((f"u{user}", str(own[place]), f"2024-01-{1 + place % 28:02d} 10:00:00"))
    frame = pl.DataFrame(events, ["user_id", "item_id", "time"], orient="row")
    shop = import_frames(
        items, frame, columns={"items": {"categories": ["department", "aisle"]}}, name="fashion"
    )
    parts = {
        "popularity": Popularity(),
        "item_knn": ItemKNN(shrink=1.0),
        "tfidf": TfidfSimilarity(),
        "picture": PictureSimilarity(),
    }
    weights = {
        "for_you": {"popularity": 0.1, "item_knn": 1.0},
        "similar": {"tfidf": 0.5, "picture": 0.5},
        "goes_with": {"item_knn": 1.0},
    }
    blend = Blend(parts=parts, weights=weights).fit(shop.dataset)
    Recommender(shop.dataset, blend).save(out / "model")
    return out / "model"


def run(out: Path, held_out: int, root: str | None, seed: int = 0) -> dict[str, Any]:
    """The whole benchmark; returns its results."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("store.sqlite*"):
        old.unlink()
    rng = np.random.default_rng(seed)
    products = pl.read_parquet(pull_catalogue("fashion", root) / "fashion" / "products.parquet")
    products = products[rng.permutation(len(products))]
    new, known = products[:held_out], products[held_out:]
    kinds = {str(row["id"]): tuple(row[k] for k in KINDS) for row in products.iter_rows(named=True)}
    start = time.perf_counter()
    model = fitted(known, out, rng)
    results: dict[str, Any] = {"items": len(known), "held_out": held_out}
    results["fit_seconds"] = round(time.perf_counter() - start, 1)
    catalogue = set(known["id"].cast(pl.String))
    with (
        service(model, out / "store.sqlite", out / "service.log") as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        for way in ("picture", "title", "both"):
            seconds, found = [], {"similar": [], "goes-with": []}
            for row in new.iter_rows(named=True):
                item = f"{way}-{row['id']}"
                begun = time.perf_counter()
                if way != "picture":
                    body = {"title": row["productDisplayName"] or "?"}
                    client.put(f"/api/items/{item}", json=body).raise_for_status()
                if way != "title":
                    headers = {"content-type": "image/jpeg"}
                    path = f"/api/items/{item}/picture"
                    client.put(path, content=row["image"], headers=headers).raise_for_status()
                for beside in found:
                    answer = client.get(f"/api/items/{item}/{beside}", params={"n": 40}).raise_for_status()
                    if beside == "similar":
                        seconds.append(time.perf_counter() - begun)
                    ids = [one["item_id"] for one in answer.json()["items"]]
                    ids = [one for one in ids if one in catalogue][:SHOWN]
                    own = kinds[str(row["id"])]
                    found[beside].append([[kinds[i][k] == own[k] for i in ids] for k in range(len(KINDS))])
                # New items must not be shown beside each other.
                client.delete(f"/api/items/{item}").raise_for_status()
            p50, p99 = np.percentile(seconds, [50, 99]) * 1000
            results[way] = {"ms_until_similar": {"p50": round(p50, 1), "p99": round(p99, 1)}} | {
                f"{beside}_same_{kind}": round(float(np.mean([np.mean(one[k] or [0]) for one in rows])), 3)
                for beside, rows in found.items()
                for k, kind in enumerate(KINDS)
            }
    shares = {kind: known[kind].value_counts()["count"].to_numpy() / len(known) for kind in KINDS}
    results["chance"] = {kind: round(float((share**2).sum()), 3) for kind, share in shares.items()}
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--held-out",
        type=int,
        default=200,
        help="products to add while the service runs (default: %(default)s)",
    )
    parser.add_argument("--root", default=None, help="folder of the data sets, see docs/data.md")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default: %(default)s)")
    chosen = parser.parse_args()
    print(json.dumps(run(chosen.out, chosen.held_out, chosen.root, chosen.seed), indent=1))
