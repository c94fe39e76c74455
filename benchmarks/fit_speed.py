"""Seconds and memory to fit SLIT with text on s3rec-beauty, no vector cached, in a process of its own.

    python benchmarks/fit_speed.py

The weights of the encoder must be on this machine (`crossaisle models pull minilm`). Needs the s3rec files.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from crossaisle.data.datasets import load_catalogue
from crossaisle.encoders import cache
from crossaisle.models.scorers.content import EncoderSimilarity, TfidfSimilarity
from crossaisle.models.scorers.linear import SLIT
from crossaisle.pipeline.fit import fit_parts, peak_mb


def main() -> None:
    dataset = load_catalogue("s3rec-beauty").dataset
    parts = {"slit": SLIT(), "tfidf": TfidfSimilarity(), "encoder": EncoderSimilarity()}
    with tempfile.TemporaryDirectory() as empty:
        plain = cache.pretrained
        cache.pretrained = lambda name="minilm": cache.CachedEncoder(plain(name).encoder, Path(empty))
        start = time.perf_counter()
        costs = fit_parts(parts, dataset)
        total = time.perf_counter() - start
    for name, cost in costs.items():
        print(f"{name:8} {cost['fit_seconds']:6.1f} s")
    print(f"together {total:6.1f} s, process peak {peak_mb():,.0f} MB")


if __name__ == "__main__":
    main()
