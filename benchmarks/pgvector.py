"""Compares search in PostgreSQL with pgvector with the embedded index, with and without filters.

    python benchmarks/pgvector.py ITEMS.parquet --items 200000 --out runs/pgvector

ITEMS.parquet has the columns `title` and `category_paths` (a list of paths such as `Makeup > Face`), as
`amazon14` has. Titles are encoded with MiniLM. If there are fewer than `--items`, the other vectors are noisy
copies (cosine to the original about 0.9) in the same category. A query is the noisy mean of one to three
items of a category, like a history. Both answer one query at a time, on one connection or thread.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from local_servers import Postgres
from real_vectors import Shop, exact_best, mask_of, measured

from crossaisle.models.search.int8_search import NearestRows
from crossaisle.models.search.postgres_search import PostgresRows

K = 10


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="Parquet file of items")
    parser.add_argument("--items", type=int, default=200_000, help="vectors to search (default: %(default)s)")
    parser.add_argument("--queries", type=int, default=300, help="queries (default: %(default)s)")
    parser.add_argument(
        "--ef-search",
        type=int,
        default=160,
        help="candidates that pgvector's HNSW index looks at (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    shop = Shop.of(options.file, options.items, options.out)
    vectors, categories = shop[0 : shop.n], shop.categories
    report: dict[str, Any] = {
        "items": shop.n,
        "of them encoded titles": min(len(shop.real), shop.n),
        "categories": len(shop.departments),
        "ef_search": options.ef_search,
    }
    asked, filters = shop.queries(options.queries)
    best = exact_best(shop, asked, filters, K)
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
                masks = None if wanted is None else [mask_of(shop, one) for one in wanted]
                left = shop.n if masks is None else int(np.median([mask.sum() for mask in masks]))
                rows: dict[str, Any] = {"rows left (median)": left}
                for who, index in (("pgvector", made), ("embedded int8", embedded)):
                    rows[who] = measured(
                        lambda row, index=index, masks=masks: index.search(
                            asked[row : row + 1], K, None if masks is None else masks[row]
                        )[0],
                        best[name],
                        len(asked),
                    )
                report[name] = rows
                print(name, rows, flush=True)
    finally:
        database.close()
    (options.out / "pgvector.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
