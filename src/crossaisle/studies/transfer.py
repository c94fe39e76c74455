"""`benchmark transfer`: a supermarket on its first day, with the model of another supermarket."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.datasets import find_catalogue
from crossaisle.data.history import Floats
from crossaisle.data.membership import is_in
from crossaisle.data.splits.carts import MEASURED, cart_cases
from crossaisle.data.splits.cases import EvalCases
from crossaisle.evaluate.results import Row, result_row
from crossaisle.evaluate.scoring import Score
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.topk import top_k
from crossaisle.pipeline.fit import fit, peak_mb, split_of
from crossaisle.recommend.recommender import Recommender
from crossaisle.studies.context import StudyContext

SOURCE, TARGET = "instacart", "completejourney"
K = 10
_BLOCK = 100


def run(context: StudyContext) -> list[Row]:
    """Writes `out/results.json` and returns its rows.

    All events of the target shop are removed: its lists are based on texts only, or on texts and the source
    shop, with default weights. `popularity` uses the target's events before the test, as a reference for what
    a shop knows later. Slice `products`: the exact product was bought; `types`: one of its leaf category.
    """
    start = time.perf_counter()
    theirs = context.load(SOURCE)
    source = Recommender(theirs, Blend(parts={"popularity": Popularity()}).fit(theirs))
    ours = context.load(TARGET)
    past = split_of(ours, find_catalogue(TARGET).split).past
    held = (ours.events.basket >= 0) & ~is_in(ours.events.basket, past.events.basket)
    carts = cart_cases(ours, held, most=MEASURED)
    models = first_day(past, source, progress=context.progress)
    context.say(f"measuring {len(carts):,} carts")
    rows = measured(models, ours, carts, time.perf_counter() - start)
    context.write(rows)
    return rows


def first_day(
    past: Dataset, source: Recommender, *, encoder: str = "minilm", progress: bool = False
) -> dict[str, Score]:
    """Scorers for carts by name: `text` and `carried_over` without events of the shop, `popularity` with
    them."""
    empty = past.with_events(np.zeros(len(past.events), bool))
    settings, config = SplitConfig(), ModelConfig(encoder=encoder, pictures="none")
    alone = fit(empty, split_config=settings, model_config=config, progress=progress).past
    helped = fit(empty, split_config=settings, model_config=config, source=source, progress=progress).past
    known = Popularity().fit(past)
    return {
        "text": lambda carts: alone.score_batch(carts, "goes_with"),
        "carried_over": lambda carts: helped.score_batch(carts, "goes_with"),
        "popularity": known.score_rows,
    }


def measured(models: Mapping[str, Score], dataset: Dataset, carts: EvalCases, seconds: float) -> list[Row]:
    """Recall@10 of each model over products in categories other than the cart's."""
    codes, leaf = dataset.taxonomy.codes(), dataset.taxonomy.codes(-1)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for start in range(0, len(carts), _BLOCK):
        block = carts.take(np.arange(start, min(start + _BLOCK, len(carts))))
        for name, score in models.items():
            scores = np.nan_to_num(score(block.histories), nan=-np.inf)
            for row in range(len(block)):
                scores[row, np.isin(codes, codes[block.histories.items_of(row)])] = -np.inf
            for row, shown in enumerate(top_k(scores, K)):
                wanted = block.targets_of(row)
                types = np.unique(leaf[wanted])
                products = np.isin(wanted, shown).sum() / min(K, len(wanted))
                named = np.isin(types, leaf[shown[shown >= 0]]).sum() / min(K, len(types))
                found[name].append((float(products), float(named)))
    bootstrap = Bootstrap(n=len(carts))
    rows: list[Row] = []
    for name, values in found.items():
        column: Floats = np.array(values, np.float32)
        interval = bootstrap.interval(column)
        rows += [
            result_row(
                dataset.name,
                "first_day",
                "test",
                name,
                "recall",
                K,
                interval.of(at),
                len(carts),
                slice_=slice_,
                fit_seconds=seconds,
                peak_mb=peak_mb(),
            )
            for at, slice_ in enumerate(("products", "types"))
        ]
    return rows
