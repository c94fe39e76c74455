"""Measures how fast the pretrained encoder reads product titles, in wall and CPU time, by setting.

    python benchmarks/encode_speed.py TITLES.parquet [--column title] [--limit 3000]

TITLES.parquet is a table with one title a row. Titles per CPU second depend least on what else the machine is
doing. Whitening and TF-IDF of the same titles are timed as well.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import polars as pl

from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.encoders.tfidf import TfidfEncoder
from crossaisle.encoders.weights import pull
from crossaisle.encoders.whiten import Whitening

SETTINGS: list[dict[str, int]] = [
    {},
    {"threads": 1},
    {"batch_tokens": 256},
    {"batch_tokens": 2048},
    {"max_tokens": 32},
    {"max_tokens": 128},
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("titles", help="Parquet file with titles")
    parser.add_argument("--column", default="title", help="its column of titles (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=3000, help="titles to encode (default: %(default)s)")
    options = parser.parse_args()
    table = pl.read_parquet(options.titles, columns=[options.column])
    titles = [t for t in table[options.column].unique(maintain_order=True).to_list() if t][: options.limit]
    folder = pull("minilm")
    reference: np.ndarray | None = None
    print(f"{len(titles)} titles, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'setting':<24}{'titles/s':>10}{'per CPU-s':>11}{'cosine to default':>19}")
    for setting in SETTINGS:
        encoder = OnnxEncoder(folder, **setting)
        encoder.encode(titles[:8])
        wall, cpu = time.perf_counter(), time.process_time()
        vectors = encoder.encode(titles)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        reference = vectors if reference is None else reference
        name = ", ".join(f"{key}={value}" for key, value in setting.items()) or "default"
        cosine = float((vectors * reference).sum(axis=1).mean())
        print(f"{name:<24}{len(titles) / wall:>10.0f}{len(titles) / cpu:>11.0f}{cosine:>19.4f}", flush=True)
    wall = time.perf_counter()
    Whitening.fit(reference).apply(reference)
    print(f"whitening: {time.perf_counter() - wall:.2f} s")
    wall = time.perf_counter()
    shape = TfidfEncoder().fit_transform(titles).shape
    print(f"TF-IDF: {time.perf_counter() - wall:.2f} s, {shape[1]} terms")


if __name__ == "__main__":
    main()
