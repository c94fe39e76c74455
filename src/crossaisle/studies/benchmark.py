"""`benchmark`: evaluates every model on a known data set, on validation and test, and writes
`results.json`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from crossaisle.config import ModelConfig
from crossaisle.data.datasets import find_catalogue
from crossaisle.data.history import Decay
from crossaisle.data.splits.carts import has_baskets
from crossaisle.errors import ConfigError, nearest
from crossaisle.evaluate.results import Row
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.linear import EASE
from crossaisle.pipeline.fit import fit
from crossaisle.pipeline.measure import measure, measure_carts
from crossaisle.progress import Say, silent
from crossaisle.studies.context import StudyContext

SHOPS = ("completejourney", "instacart", "amazon14", "s3rec-beauty", "s3rec-sports", "s3rec-toys")
"""Data sets on which a complete shop model is fitted and evaluated."""
SPECIAL: dict[str, str] = {
    "cold-category": "crossaisle.studies.cold_category",
    "cold-items": "crossaisle.studies.cold_items",
    "cross-domain": "crossaisle.studies.cross_domain",
    "encode-speed": "crossaisle.studies.encode_speed",
    "fashion": "crossaisle.studies.fashion",
    "few-shot": "crossaisle.studies.few_shot",
    "lm-zero-shot": "crossaisle.studies.lm_zero_shot",
    "transfer": "crossaisle.studies.transfer",
    "zh-groceries": "crossaisle.studies.zh_groceries",
}
"""Benchmarks for other questions -> module whose `run` takes a `StudyContext`."""
MOST_CASES = {"amazon14": 5_000}
"""Maximum number of validation and of test cases, as a seeded sample; all of them would take an hour."""
BENCHMARKS = (*SHOPS, *SPECIAL)
TEXT_PRIOR = {"slit": 1.0, "tfidf": 0.02, "encoder": 0.01}
"""SLIT with a text prior of fixed weight, compared with the blend, which tunes its own."""


def run(
    name: str,
    out: str | Path,
    *,
    root: str | Path | None = None,
    encoder: str = "minilm",
    progress: bool = False,
    say: Say = silent,
) -> list[Row]:
    """Writes `out/results.json` and returns its rows.

    `encoder`: text encoder of a shop's models: a known name, a folder, or "owner/name" on the hub.
    """
    if name not in BENCHMARKS:
        raise ConfigError(f"unknown benchmark {name!r}{nearest(name, BENCHMARKS)}")
    context = StudyContext(name=name, out=Path(out), root=root, progress=progress, say=say)
    if name in SPECIAL:
        rows: list[Row] = import_module(SPECIAL[name]).run(context)
        return rows
    return _shop(context, encoder)


def _shop(context: StudyContext, encoder: str) -> list[Row]:
    name, say = context.name, context.say
    dataset = context.load(name)
    sequence = name.startswith("s3rec")
    baselines: dict[str, Scorer] = {"ease": EASE(ridge=50.0, decay=Decay(events=2.0))} if sequence else {}
    say("fitting and choosing weights on validation")
    fitted = fit(
        dataset,
        split_config=find_catalogue(name).split,
        model_config=ModelConfig(encoder=encoder),
        baselines=baselines,
        progress=context.progress,
    )
    sums = {"slit_text": TEXT_PRIOR} if sequence else {}
    evaluations = []
    for on in ("validation", "test"):
        say(f"measuring on {on}")
        evaluations.append(measure(fitted, on=on, sums=sums, max_cases=MOST_CASES.get(name)))
    rows = [row for evaluation in evaluations for row in evaluation.rows]
    if has_baskets(dataset):
        say("measuring what goes with baskets of the test")
        rows += measure_carts(fitted, dataset)
    context.write(rows)
    return rows
