"""Search in PostgreSQL with pgvector beside the embedded index, on real embeddings, with and without filters:

    python benchmarks/pgvector.py ITEMS.parquet --items 200000 --out runs/pgvector

ITEMS.parquet has the columns `title` and `category_paths` (a list of paths such as `Makeup > Face`), as
`amazon14` has. Titles are encoded with MiniLM; where there are fewer than `--items`, further vectors are
copies with noise (cosine to the original about 0.9), of the same category. Queries are means of one to three
items of a category that are noised anew, as histories are. Both answer one query at a time on one connection
or thread.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from local_servers import Postgres

from crossaisle.models.search.int8_search import NearestRows
from crossaisle.models.search.postgres_search import PostgresRows
from crossaisle.models.topk import top_k

K = 10


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def noised(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At a cosine of about 0.9."""
    noise = rng.standard_normal(rows.shape, np.float32) / np.sqrt(rows.shape[1])
    return unit(rows + 0.48 * noise)


def embeddings(table: pl.DataFrame, place: Path) -> np.ndarray:
    if not place.is_file():
        from crossaisle.encoders.onnx import OnnxEncoder
        from crossaisle.encoders.weights import pull

        titles = [title or "" for title in table["title"].to_list()]
        np.save(place, OnnxEncoder(pull("minilm"), max_tokens=32).encode(titles, progress=True))
    vectors: np.ndarray = np.load(place)
    return vectors


def timed(search: Any, queries: np.ndarray, *more: Any) -> tuple[np.ndarray, list[float]]:
    found, took = [], []
    for row in range(len(queries)):
        arguments = [one[row] if isinstance(one, list) else one for one in more]
        start = time.perf_counter()
        found.append(search(queries[row : row + 1], K, *arguments)[0])
        took.append(1000 * (time.perf_counter() - start))
    return np.stack(found), took


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--ef-search", type=int, default=160)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    table = pl.read_parquet(options.file, columns=["title", "category_paths"])
    real = embeddings(table, options.out / "minilm.npy")
    paths = [(each or [""])[0] for each in table["category_paths"].to_list()]
    tops = [path.split(" > ")[0] for path in paths]
    names, codes = np.unique(paths, return_inverse=True)
    top_of = dict(zip(codes.tolist(), tops, strict=True))
    copies = rng.integers(0, len(real), max(options.items - len(real), 0))
    vectors = unit(np.concatenate([real, noised(real[copies], rng)])[: options.items])
    categories = np.concatenate([codes, codes[copies]])[: options.items].astype(np.int32)
    report: dict[str, Any] = {
        "items": len(vectors),
        "of them encoded titles": min(len(real), options.items),
        "categories": len(names),
        "ef_search": options.ef_search,
    }
    chosen = rng.integers(0, len(real), options.queries)
    queries = []
    for item in chosen:
        alike = np.flatnonzero(codes == codes[item])
        queries.append(noised(real[rng.choice(alike, rng.integers(1, 4))], rng).mean(axis=0))
    asked = unit(np.stack(queries))
    by_top = {top: [code for code, its in top_of.items() if its == top] for top in set(tops)}
    others = [np.flatnonzero(rng.random(len(names)) < 0.1) for _ in chosen]
    filters: dict[str, list[np.ndarray] | None] = {
        "none": None,
        "the category of the query": [np.array([codes[item]]) for item in chosen],
        "its department": [np.array(by_top[tops[item]]) for item in chosen],
        "a tenth of all categories, at random": others,
    }
    database = Postgres(buffers_mb=1024)
    try:
        start = time.perf_counter()
        made = PostgresRows.of(
            database.url, "items", vectors, categories, ef_search=options.ef_search, memory_mb=1024
        )
        report["build_seconds"] = round(time.perf_counter() - start, 1)
        embedded = NearestRows.of(vectors)
        with closing(made):
            for _ in range(3):
                made.search(asked, K)
                embedded.search(asked[:8], K)
            for name, wanted in filters.items():
                masks = None if wanted is None else [np.isin(categories, one) for one in wanted]
                exact = []
                for row in range(len(asked)):
                    scores = vectors @ asked[row]
                    if masks is not None:
                        scores[~masks[row]] = -np.inf
                    exact.append(top_k(scores[None], K)[0])
                rows: dict[str, Any] = {}
                for who, one in (("pgvector", made), ("embedded int8", embedded)):
                    found, took = timed(one.search, asked, *([] if masks is None else [masks]))
                    share = [
                        len(set(a) & {r for r in b if masks is None or masks[n][r]})
                        / max(1, K if masks is None else min(K, int(masks[n].sum())))
                        for n, (a, b) in enumerate(zip(found.tolist(), np.stack(exact).tolist(), strict=True))
                    ]
                    rows[who] = {
                        "recall@10": round(float(np.mean(share)), 4),
                        "p50_ms": round(float(np.quantile(took, 0.5)), 2),
                        "p95_ms": round(float(np.quantile(took, 0.95)), 2),
                    }
                sizes = [len(vectors)] if masks is None else [int(mask.sum()) for mask in masks]
                report[name] = {"rows left (median)": int(np.median(sizes)), **rows}
                print(name, report[name], flush=True)
    finally:
        database.close()
    (options.out / "pgvector.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
