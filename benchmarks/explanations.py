"""Checks that explanations name what a score rests on, by deleting what they name.

    python benchmarks/explanations.py demo/model --users 100
    python benchmarks/explanations.py s3rec-beauty --root shared/data --sample 4000

SOURCE is a saved model, or a known data set, of which a sample of users is fitted. For each drawn user the
best item of a model is explained. Then items of the history are deleted, the largest contribution first. AOPC
(area over the perturbation curve; Samek et al., IEEE TNNLS 2017) is the mean drop of the item's score over
the first K deletions, relative to the score. The mean fall of the item in the ranking, in ln(rank), stands
beside it.

The baseline deletes as many items at random. Target: the 95 % interval of the difference lies above 0 for
every model that reads the history, for the blend, and for lists ordered by a learned ranker.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.config import ModelConfig
from crossaisle.data.datasets import find_catalogue, is_known, load_catalogue
from crossaisle.data.history import Floats, Histories
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.models.base import Scorer
from crossaisle.models.blend import Blend
from crossaisle.models.defaults import default_parts
from crossaisle.models.scorers.als import ALS
from crossaisle.pipeline.fit import fit_parts, split_of
from crossaisle.pipeline.languages import chosen_encoder
from crossaisle.pipeline.weights import choose_weights
from crossaisle.recommend.recommender import Recommender

K = 5
RANDOM = 3
"""Random orders per user."""
LATEST = 50
"""Longer histories are cut to their newest events, so that five items are a fair part of them."""

Scores = Callable[[Histories], Floats]
Evidence = Callable[[Histories, int], Floats]


def curves(
    score: Scores, evidence: Evidence, history: Histories, rng: np.random.Generator
) -> list[float] | None:
    """Relative AOPC and mean fall in ln(rank), by contribution and at random; None without an explanation."""
    before = score(history)[0]
    if np.isnan(before).all():
        return None
    item = int(np.nanargmax(before))
    own = np.unique(history.item)
    events = evidence(history, item)
    if not before[item] > 0 or len(own) < 2 or not np.any(events):
        return None
    amount = np.bincount(history.item, events, int(own.max()) + 1)[own]
    depth = min(K, len(own) - 1)
    orders = [own[np.argsort(-amount, kind="stable")], *(rng.permutation(own) for _ in range(RANDOM))]
    gone = [order[:k] for order in orders for k in range(1, depth + 1)]
    after = np.nan_to_num(score(Histories.joined([history.keep(~np.isin(history.item, g)) for g in gone])))
    drop = (before[item] - after[:, item]) / before[item]
    # In the list for the whole history the item is first: ln(1) = 0.
    fall = np.log1p((after > after[:, [item]]).sum(axis=1))
    out = []
    for figures in (drop, fall):
        area = figures.reshape(len(orders), depth).sum(axis=1) / (depth + 1)
        out += [float(area[0]), float(area[1:].mean())]
    return out


def measured(score: Scores, evidence: Evidence, histories: Histories, seed: int) -> dict[str, Any]:
    """Means over users, with the paired interval against random deletion."""
    rng = np.random.default_rng(seed)
    found = [curves(score, evidence, histories.take([row]), rng) for row in range(len(histories))]
    values = np.array([one for one in found if one is not None], np.float32)
    if not len(values):
        return {"n": 0}
    out: dict[str, Any] = {"n": len(values)}
    bootstrap = Bootstrap(n=len(values), resamples=2000, seed=seed)
    for name, column in (("aopc", 0), ("ln_rank", 2)):
        gap, _ = bootstrap.difference(values[:, [column]], values[:, [column + 1]])
        value, low, high = gap.of(0)
        own, chance = values[:, column].mean(), values[:, column + 1].mean()
        out[name] = {"by_contribution": float(own), "at_random": float(chance)}
        out[name] |= {"difference": value, "low": low, "high": high}
    out["above_random"] = bool(out["aopc"]["low"] > 0)
    return out


def of_blend(blend: Blend, placement: str) -> tuple[Scores, Evidence]:
    """The weighted sum, and the sum of its parts' evidence."""

    def evidence(history: Histories, item: int) -> Floats:
        parts = [scorer.evidence(history, item)[0] * weight for scorer, weight in blend.terms(placement)]
        return np.asarray(np.sum(parts, axis=0), np.float32)

    return lambda histories: blend.score_rows(histories, placement), evidence


def of_ranked(recommender: Recommender, placement: str) -> tuple[Scores, Evidence]:
    """The list of a learned ranker, explained by the blend whose scores the ranker reorders."""
    _, evidence = of_blend(recommender.blend, placement)
    return lambda histories: recommender.ranker.score_batch(histories, placement), evidence


def of_part(part: Scorer) -> tuple[Scores, Evidence]:
    """One model as it is."""
    return part.score_rows, lambda history, item: part.evidence(history, item)[0]


def cut(histories: Histories) -> Histories:
    newest: npt.NDArray[np.bool_] = histories.age < LATEST
    return histories.keep(newest)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="a saved model, or a known data set")
    parser.add_argument("--root", type=Path, help="folder of the data sets, see docs/data.md")
    parser.add_argument(
        "--sample",
        type=int,
        default=4000,
        help="users to fit on, for a known data set (default: %(default)s)",
    )
    parser.add_argument(
        "--users", type=int, default=100, help="users whose lists are explained (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default: %(default)s)")
    parser.add_argument("--only", help='one part, "blend: for_you" or "ranked: for_you" (default: all)')
    parser.add_argument("--out", type=Path, help="also write the results to this file")
    given = parser.parse_args()
    recommender = None
    if is_known(given.source):
        dataset = load_catalogue(given.source, root=given.root).dataset
        dataset = dataset.with_events(dataset.events.user < given.sample)
        split = split_of(dataset, find_catalogue(given.source).split)
        model = ModelConfig()
        settings = {"slit": {"max_items": 6_000}}
        encoder, _ = chosen_encoder(dataset, model.encoder)
        parts = default_parts(split.past, encoder=encoder, keep=model.keep, settings=settings)
        alone = given.only in parts  # then the others need not be fitted
        parts = {given.only: parts[given.only]} if alone else parts
        fit_parts(parts, split.train)
        weights = {} if alone else choose_weights(parts, split).weights
        blend, shop = Blend(parts=parts, weights=weights), split.train
    else:
        recommender = Recommender.load(given.source)
        blend, shop = recommender.blend, recommender.dataset
    everyone = dict(blend.parts)
    if given.only in (None, "als"):
        everyone["als"] = ALS().fit(shop)
    models = {name: of_part(part) for name, part in everyone.items()}
    for placement in ("for_you", "discover", "goes_with"):
        if placement in blend.weights:
            models[f"blend: {placement}"] = of_blend(blend, placement)
    if recommender is not None:
        for placement in recommender.rankers:
            models[f"ranked: {placement}"] = of_ranked(recommender, placement)
    models = {name: model for name, model in models.items() if given.only in (None, name)}
    lengths = np.diff(shop.user_indptr)
    drawn = np.random.default_rng(given.seed).permutation(np.flatnonzero(lengths >= 3))[: given.users]
    histories = cut(shop.histories(np.sort(drawn).astype(np.int32)))
    result = {}
    for name, (score, evidence) in models.items():
        result[name] = measured(score, evidence, histories, given.seed)
        print(name, json.dumps(result[name]), flush=True)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")
    silent = [name for name, row in result.items() if not row["n"]]
    below = [name for name, row in result.items() if row["n"] and not row["above_random"]]
    print(f"not above random: {below or 'none'}; explanations without a history item: {silent or 'none'}")


if __name__ == "__main__":
    main()
