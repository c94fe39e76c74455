"""`benchmark encode-speed`: titles per second when serving, compared with sentence-transformers in float32.

The checkpoint is exported to int8 ONNX; then both encode the same titles, truncated to the same length, on
the same cores, alternately.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.evaluate.results import Row, result_row
from crossaisle.progress import bar
from crossaisle.studies.context import StudyContext

CHECKPOINT = "minilm-torch"
TITLES_OF = "s3rec-beauty"
TITLES = 1000
REPEATS = 5
CHECKED_ON = 500
"""Number of other titles on which fidelity is checked before the model is saved."""


def run(context: StudyContext) -> list[Row]:
    """Writes `out/int8` and `out/results.json`; returns its rows.

    `ratio` is the median over repeats of our titles per second over theirs, with the extremes as `low` and
    `high`; `cosine` is the mean over titles, with the 2.5 and 97.5 percentiles as bounds.
    """
    from crossaisle.training.torch_library import require

    require("the comparison of encoding speed")
    from crossaisle.training.export.onnx import export_onnx
    from crossaisle.training.export.reference import SentenceTransformerEncoder
    from crossaisle.training.text.backbone import Backbone

    name, folder = context.name, context.out
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
    shop = context.load(TITLES_OF)
    titles = [t for t in shop.items["title"].unique(maintain_order=True).to_list() if t and t.strip()]
    drawn = [titles[i] for i in np.random.default_rng(0).permutation(len(titles))]
    titles, others = drawn[:TITLES], drawn[TITLES : TITLES + CHECKED_ON]
    context.say(f"exporting {CHECKPOINT} to int8")
    backbone = Backbone.load(CHECKPOINT)
    export_onnx(backbone, folder / "int8", texts=others)
    theirs = SentenceTransformerEncoder(_source(CHECKPOINT), max_tokens=backbone.max_tokens)
    ours = OnnxEncoder(folder / "int8", max_tokens=backbone.max_tokens, threads=cores)
    threads = theirs.choose_threads(others[:200], cores)
    context.say(f"{len(titles)} titles, {cores} cores, sentence-transformers faster on {threads} thread(s)")
    seconds = alternate({"ours": ours.encode, "theirs": theirs.encode}, titles, progress=context.progress)
    ratio = seconds["theirs"] / seconds["ours"]
    cosine = np.einsum("nd,nd->n", ours.encode(titles), theirs.encode(titles))
    context.say(", ".join(f"{who} {len(titles) / np.median(s):.0f} titles/s" for who, s in seconds.items()))
    values = {
        "ratio": (float(np.median(ratio)), float(ratio.min()), float(ratio.max())),
        "cosine": (float(cosine.mean()), *np.quantile(cosine, [0.025, 0.975]).tolist()),
        "titles_per_second": _spread(len(titles) / seconds["ours"]),
    }
    rows = [_row(name, "crossaisle", metric, value, len(titles)) for metric, value in values.items()]
    other = _spread(len(titles) / seconds["theirs"])
    rows.append(_row(name, "sentence_transformers", "titles_per_second", other, len(titles)))
    context.write(rows)
    return rows


def alternate(
    encoders: dict[str, Callable[[Sequence[str]], Any]],
    texts: Sequence[str],
    *,
    repeats: int = REPEATS,
    progress: bool = False,
) -> dict[str, np.ndarray]:
    """Seconds of each encoder per repeat, float64 (repeats,); within each repeat, the encoders take turns."""
    for encode in encoders.values():
        encode(texts[:16])
    seconds: dict[str, list[float]] = {who: [] for who in encoders}
    with bar("reading titles in turns", repeats * len(encoders), show=progress) as advance:
        for _ in range(repeats):
            for who, encode in encoders.items():
                start = time.perf_counter()
                encode(texts)
                seconds[who].append(time.perf_counter() - start)
                advance(1)
    return {who: np.array(taken) for who, taken in seconds.items()}


def _source(name: str) -> Path:
    from crossaisle.encoders.weights import pull

    return pull(name)


def _spread(values: np.ndarray) -> tuple[float, float, float]:
    return float(np.median(values)), float(values.min()), float(values.max())


def _row(name: str, model: str, metric: str, value: tuple[float, float, float], n: int) -> Row:
    return result_row(name, "alternating_repeats", "test", model, metric, 1, value, n)
