"""Measures CPU time and memory to fit the models of a shop, and to refit them with a little more data.

    python benchmarks/fit_speed.py [--data completejourney]

Fits every model that reads events on train, then on train and validation: once from scratch ("anew") and once
from what the first fit learned ("further"), as `crossaisle run` does. `--data s3rec-beauty` also times texts
with no vector cached; that needs the encoder's weights (`crossaisle models pull minilm`). On two cores,
commands give each fit one BLAS thread: OPENBLAS_NUM_THREADS=1 python benchmarks/fit_speed.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.encoders import cache
from crossaisle.models.blend import Blend
from crossaisle.models.defaults import default_parts
from crossaisle.models.scorers.content import EncoderSimilarity, TfidfSimilarity
from crossaisle.pipeline.fit import fit_parts, peak_mb, refit, split_of


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="completejourney", help="a known data set (default: %(default)s)")
    options = parser.parse_args()
    dataset = load_catalogue(options.data).dataset
    split = split_of(dataset, find_catalogue(options.data).split)
    parts = {
        name: part
        for name, part in default_parts(split.past, encoder="none", sequence="off").items()
        if part.reads_events
    }
    taken = {}
    fit_parts(parts, split.train)
    for how, earlier in (("anew", None), ("further", parts)):
        start = time.process_time()
        costs = fit_parts({n: replace(p) for n, p in parts.items()}, split.past, earlier=earlier)  # type: ignore[type-var]
        taken[how] = {name: cost["fit_seconds"] for name, cost in costs.items()}
        taken[how]["all"] = time.process_time() - start
    for name in taken["anew"]:
        print(f"{name:18} anew {taken['anew'][name]:6.1f} s, further {taken['further'][name]:6.1f} s")
    for together in (1, 2):
        start, used = time.perf_counter(), time.process_time()
        refit(Blend(parts=parts), split.past, together=together)
        wall, used = time.perf_counter() - start, time.process_time() - used
        print(f"{together} at a time: {used:.1f} s of processor, {wall:.1f} s by the clock")
    if options.data.startswith("s3rec"):
        _texts(dataset)
    print(f"process peak {peak_mb():,.0f} MB")


def _texts(dataset) -> None:
    with tempfile.TemporaryDirectory() as empty:
        plain = cache.pretrained
        cache.pretrained = lambda name="minilm": cache.CachedEncoder(plain(name).encoder, Path(empty))
        costs = fit_parts({"tfidf": TfidfSimilarity(), "encoder": EncoderSimilarity()}, dataset)
    for name, cost in costs.items():
        print(f"{name:18} {cost['fit_seconds']:6.1f} s")


if __name__ == "__main__":
    main()
