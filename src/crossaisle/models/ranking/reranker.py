"""`Reranker`: the learned rankers of a model, by placement, with the tables that their features read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.artifact import reading
from crossaisle.data.dataset import Dataset
from crossaisle.decode import build
from crossaisle.errors import ArtifactError, shorten
from crossaisle.models.blend import Blend
from crossaisle.models.ranking.calibration import Isotonic
from crossaisle.models.ranking.pool import Pool
from crossaisle.models.ranking.ranker import LearnedRanker
from crossaisle.models.ranking.tables import ShopTables
from crossaisle.models.ranking.trees import Trees

_PLACEMENT = re.compile(r"[a-z][a-z_]*")
LARGEST = 1e6
"""Of the numbers that weigh trees: far from where float32 ends."""


@dataclass(frozen=True, eq=False)
class Reranker:
    """The second stage of a recommender; empty where no ranker was found better than the blend."""

    rankers: Mapping[str, LearnedRanker]
    """By the name of the blend's weights: a placement, or `unseen`."""
    dataset: Dataset
    """What the blend was fitted on."""

    @cached_property
    def tables(self) -> ShopTables:
        return ShopTables.of(self.dataset, habits=any(one.habits for one in self.rankers.values()))


def save_rankers(rankers: Mapping[str, LearnedRanker], folder: Path) -> dict[str, Any]:
    """Writes `PLACEMENT-0.txt`, ... in LightGBM's text format and returns the settings, JSON-ready."""
    described = {}
    for placement, ranker in rankers.items():
        folder.mkdir(parents=True, exist_ok=True)
        for number, trees in enumerate(ranker.trees):
            (folder / f"{placement}-{number}.txt").write_bytes(trees.text.encode("ascii"))
        curve = ranker.calibration
        described[placement] = {
            "pool": vars(ranker.pool) | {"retrievers": list(ranker.pool.retrievers)},
            "parts": list(ranker.parts),
            "texts": list(ranker.texts),
            "habits": ranker.habits,
            "scales": list(ranker.scales),
            "prior": ranker.prior,
            "lift": ranker.lift,
            "calibration": curve and {"scores": curve.scores.tolist(), "chances": curve.chances.tolist()},
        }
    return described


def load_rankers(described: Mapping[str, Any], folder: Path, blend: Blend) -> dict[str, LearnedRanker]:
    """The opposite of `save_rankers`; `ArtifactError`, and what `Trees.read` raises."""
    out = {}
    for placement, one in described.items():
        if not _PLACEMENT.fullmatch(placement):
            raise ArtifactError(f"{folder}: {shorten(placement)} is not the name of a placement: fit again")
        with reading(folder):
            curve = one["calibration"]
            files = [folder / f"{placement}-{number}.txt" for number in range(len(one["scales"]))]
            bare = LearnedRanker(
                placement=placement,
                pool=build(Pool, one["pool"], f"ranker of {placement}", what="setting"),
                parts=tuple(one["parts"]),
                texts=tuple(one["texts"]),
                habits=bool(one.get("habits", False)),  # saved before there were any
                scales=tuple(map(float, one["scales"])),
                prior=float(one.get("prior", 0.0)),  # the same
                lift=float(one["lift"]),
                calibration=curve and _curve(curve),
            )
            named = {*bare.parts, *bare.texts, *bare.pool.retrievers}
            if unknown := named - set(blend.parts):
                raise ArtifactError(
                    f"{folder}: a ranker reads {shorten(unknown.pop())}, which is not a part: fit again"
                )
            numbers = [*bare.scales, bare.prior, bare.lift]
            fit = np.isfinite(numbers).all() and max(numbers) <= LARGEST and min(bare.prior, bare.lift) >= 0
            if not fit or min(bare.scales, default=0.0) < 1 / LARGEST:
                raise ValueError(
                    f"scales, prior and lift of a ranker must be numbers from 0 to {LARGEST:g}, "
                    f"the scales from {1 / LARGEST:g} on"
                )
            texts = [file.read_bytes().decode("ascii") for file in files]
            out[placement] = replace(bare, trees=tuple(Trees.read(text, bare.features) for text in texts))
    return out


def _curve(described: Mapping[str, Any]) -> Isotonic:
    scores, chances = (np.array(described[name], np.float64) for name in ("scores", "chances"))
    if scores.shape != chances.shape or scores.ndim != 1 or not np.isfinite([scores, chances]).all():
        raise ValueError("the calibration of a ranker is not a curve")
    return Isotonic(scores, chances)
