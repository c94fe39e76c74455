"""Compares the index in files with other indexes, on real embeddings, with and without filters.

    python benchmarks/index.py ITEMS.parquet --items 1000000 --out DIR
    python benchmarks/index.py ITEMS.parquet --items 10000000 --out DIR --alone

ITEMS.parquet has the columns `title` and `category_paths` (a list of paths such as `Makeup > Face`), as
`amazon14` has. Titles are encoded with MiniLM. If there are fewer than `--items`, the other vectors are noisy
copies (cosine to the original about 0.9) in the same category. A query is the noisy mean of one to three
items of a category, like a history; queries run one at a time on one thread.

Compared with the embedded index in memory, float32 products (BLAS), and faiss and usearch if installed;
`--alone` leaves all of these out, for more items than fit in memory. The index (1.2 KB an item) is removed at
the end.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from real_vectors import Shop, exact_best, mask_of, measured

from crossaisle.models.search.int8_search import NearestRows
from crossaisle.models.search.sharded_search import build_index, open_index
from crossaisle.models.topk import top_k

K = 10
Search = Callable[[np.ndarray, np.ndarray | None], Any]
"""Query float32 (1, d), allowed rows bool (n,) -> rows found."""
LISTS, PROBED = 1024, (16, 64, 256)
"""faiss' inverted file: number of lists, and how many of them a query reads."""


def peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def others(shop: Shop, report: dict[str, Any]) -> dict[str, Search]:
    """Other indexes, with all vectors in memory."""
    vectors = shop[0 : shop.n]
    embedded = NearestRows.of(vectors)

    def blas(query: np.ndarray, among: np.ndarray | None) -> Any:
        scores = query @ vectors.T
        if among is not None:
            scores[:, ~among] = -np.inf
        return top_k(scores, K)[0]

    ways: dict[str, Search] = {
        "embedded int8": lambda query, among: embedded.search(query, K, among)[0],
        "float32 (BLAS)": blas,
    }
    if find_spec("faiss") is not None:
        ways |= of_faiss(vectors, report)
    if find_spec("usearch") is not None:
        ways |= of_usearch(embedded.codes)
    return ways


def of_faiss(vectors: np.ndarray, report: dict[str, Any]) -> dict[str, Search]:
    import faiss

    faiss.omp_set_num_threads(1)
    n, d = vectors.shape
    flat = faiss.IndexScalarQuantizer(d, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    start = time.perf_counter()
    flat.train(vectors[:100_000])
    flat.add(vectors)
    report["faiss SQ8 flat, build_seconds"] = round(time.perf_counter() - start, 1)
    coarse = faiss.IndexFlatIP(d)
    kind = faiss.ScalarQuantizer.QT_8bit
    inverted = faiss.IndexIVFScalarQuantizer(coarse, d, LISTS, kind, faiss.METRIC_INNER_PRODUCT, False)
    start = time.perf_counter()
    inverted.train(vectors[np.random.default_rng(0).choice(n, min(n, 40 * LISTS), replace=False)])
    inverted.add(vectors)
    report["faiss IVF SQ8, build_seconds"] = round(time.perf_counter() - start, 1)

    def selector(among: np.ndarray) -> Any:
        return faiss.IDSelectorBitmap(np.packbits(among, bitorder="little"))

    def search_flat(query: np.ndarray, among: np.ndarray | None) -> Any:
        if among is None:
            return flat.search(query, K)[1][0]
        return flat.search(query, K, params=faiss.SearchParameters(sel=selector(among)))[1][0]

    def probing(probed: int) -> Search:
        def search(query: np.ndarray, among: np.ndarray | None) -> Any:
            chosen = {} if among is None else {"sel": selector(among)}
            how = faiss.SearchParametersIVF(nprobe=probed, **chosen)
            return inverted.search(query, K, params=how)[1][0]

        return search

    return {"faiss SQ8 flat": search_flat} | {
        f"faiss IVF{LISTS},SQ8 nprobe {probed}": probing(probed) for probed in PROBED
    }


def of_usearch(codes: np.ndarray) -> dict[str, Search]:
    from usearch.index import MetricKind, search

    def exact(query: np.ndarray, among: np.ndarray | None) -> Any:
        asked = np.rint(query * (127.0 / np.abs(query).max())).astype(np.int8)
        rows = np.arange(len(codes)) if among is None else np.flatnonzero(among)
        kept = codes if among is None else codes[rows]
        return rows[search(kept, asked[0], min(K, len(rows)), MetricKind.IP, exact=True, threads=1).keys]

    return {"usearch exact int8": exact}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="Parquet file of items")
    parser.add_argument(
        "--items", type=int, default=1_000_000, help="vectors to search (default: %(default)s)"
    )
    parser.add_argument("--queries", type=int, default=200, help="queries (default: %(default)s)")
    parser.add_argument("--alone", action="store_true", help="leave out indexes that are kept in memory")
    parser.add_argument(
        "--keep", action="store_true", help="keep the index in --out; if there is one, use it"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the index and the results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    shop = Shop.of(options.file, options.items, options.out)
    folder = options.out / f"index-{shop.n}"
    need = shop.n * (3 * shop.shape[1] + 16)
    if not folder.is_dir() and shutil.disk_usage(options.out).free < 1.2 * need:
        raise SystemExit(f"{options.out}: {need / 1e9:.1f} GB are needed on the disk")
    report: dict[str, Any] = {
        "items": shop.n,
        "of them encoded titles": min(len(shop.real), shop.n),
        "categories": len(shop.departments),
        "queries": options.queries,
    }
    if not folder.is_dir():
        start = time.perf_counter()
        build_index(folder, shop, shop.categories, progress=True)
        report["build_seconds"] = round(time.perf_counter() - start, 1)
        report["build_peak_mb"] = peak_mb()
    report["gb_on_disk"] = round(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e9, 2)
    start = time.perf_counter()
    index = open_index(folder)
    report["open_seconds"] = round(time.perf_counter() - start, 1)
    asked, filters = shop.queries(options.queries)
    best = exact_best(shop, asked, filters, K)
    ways: dict[str, Search] = {"files": lambda query, among: index.search(query, K, among)[0]}
    if not options.alone:
        ways |= others(shop, report)
    for name, wanted in filters.items():
        masks = None if wanted is None else [mask_of(shop, one) for one in wanted]
        left = shop.n if masks is None else int(np.median([mask.sum() for mask in masks]))
        rows: dict[str, Any] = {"rows left (median)": left}
        for who, search in ways.items():
            for row in range(3):
                search(asked[row : row + 1], None if masks is None else masks[row])
            rows[who] = measured(
                lambda row, search=search, masks=masks: search(
                    asked[row : row + 1], None if masks is None else masks[row]
                ),
                best[name],
                len(asked),
            )
        if wanted is not None:
            rows["files, by category"] = measured(
                lambda row, wanted=wanted: index.within(asked[row : row + 1], K, wanted[row])[0],
                best[name],
                len(asked),
            )
        report[name] = rows
        print(name, json.dumps(rows), file=sys.stderr, flush=True)
    report["peak_mb"] = peak_mb()
    (options.out / f"index-{shop.n}.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    if not options.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
