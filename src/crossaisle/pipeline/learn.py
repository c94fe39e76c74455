"""Learned rankers: grown on validation cases, judged on cases they have not seen, kept where they gain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, cast

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.splits.windows import bounds_before, windows_before
from crossaisle.evaluate.acceptance import Verdict, guard
from crossaisle.evaluate.mission_guard import Ruling, Values, mission_guard
from crossaisle.models.blend import Blend
from crossaisle.models.ranking.examples import Examples, choose_retrievers, examples_of
from crossaisle.models.ranking.pool import Pool
from crossaisle.models.ranking.ranker import LearnedRanker
from crossaisle.models.ranking.tables import ShopTables
from crossaisle.models.ranking.trees import TREES, is_installed
from crossaisle.models.scorers.vectors.vector_model import VectorModel
from crossaisle.models.shortlists import CandidateRule, TuningTask
from crossaisle.pipeline.missing import no_lightgbm
from crossaisle.pipeline.mission import BLEND, LIMIT, Floors
from crossaisle.pipeline.ranker_trial import Growth, Trial
from crossaisle.progress import bar

RANKER = "ranker"
LIFTS = (0.0, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 1.8, 2.0, 2.1, 2.2, 2.3, 2.4)
"""Of categories that are new to the history, in standard deviations of the scores. The last ones are dear, so
they lie close."""
PRICE = 0.01
"""The share of NDCG overall that may be given for slices of the mission, floors or not."""
NO_EARLIER = (
    "no ranker is learned: there are too few events before validation to train trees on "
    "earlier windows of time, and halves of a single window would know each other's "
    "season"
)


@dataclass(frozen=True, kw_only=True)
class LearningLimits:
    """How much is learned from; small numbers are for tests."""

    cases: int = 20_000
    """Validation cases that are scored, at most."""
    looked_at: int = 800
    """Cases that say which parts retrieve."""
    windows: int = 2
    """Stretches of time before validation that trees are grown on where a shop is cut by time."""
    cells: int = 250_000_000
    """Cases times items that are scored for a placement, at most: what large shops can afford."""
    fewest: int = 200
    """Cases with a right candidate: from fewer nothing is learned."""
    trees: int = TREES


@dataclass(frozen=True)
class LearnedRankers:
    """The result of learning: the rankers that are used, and what to say about all that were tried."""

    rankers: Mapping[str, LearnedRanker] = field(default_factory=dict)
    """By placement."""
    notes: tuple[str, ...] = ()
    """For the report, in words."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """By placement, JSON-ready: what was tried, reliability of the probabilities, gain by feature."""


def why_none() -> str:
    """Why no ranker can be learned here; "" where one can."""
    return "" if is_installed() else no_lightgbm()


@dataclass(frozen=True, eq=False)
class EarlierShop:
    """What a ranker would have seen at the beginning of a window, and what people did in it."""

    blend: Blend
    """Fitted on `dataset`, with the weights of the later one."""
    dataset: Dataset
    tables: ShopTables
    cases: EvalCases


def earlier_shops(
    blend: Blend,
    split: Split,
    parts: Sequence[str],
    placements: Iterable[str],
    *,
    most: int,
    cases: int,
    seed: int = 0,
) -> list[EarlierShop]:
    """The newest window first.

    `parts`: those that rankers may read, of which those are fitted that the `placements` ask; `most` windows,
    and at most so many `cases` of each.
    """
    used = {name for placement in placements for name in blend.weights_for(placement)}
    used |= {name for name in parts if not blend.parts[name].reads_events}
    out = []
    for known, asked in windows_before(split, most):
        fresh = {
            name: cast(Any, replace(cast(Any, part))).fit(known) if part.reads_events else part
            for name, part in blend.parts.items()
            if name in used
        }
        some = np.random.default_rng(seed).permutation(len(asked))[:cases]
        shop = Blend(parts=fresh, weights=blend.weights)
        out.append(EarlierShop(shop, known, ShopTables.of(known, habits=True), asked.take(np.sort(some))))
    return out


def learn_rankers(
    blend: Blend,
    split: Split,
    parts: Sequence[str],
    *,
    floors: Floors | None = None,
    seed: int = 0,
    limits: LearningLimits = LearningLimits(),
    progress: bool = False,
) -> LearnedRankers:
    """A ranker for each placement that gains from one, with figures of those that do not.

    `blend`: fitted on `split.train`; `parts`: those that a ranker may read; `floors`: what they reach alone,
    measured here where it is not known. Without LightGBM there are none, and a note says so. Where time is
    cut trees grow on windows before validation, with the parts fitted on what was known before each, and
    validation judges them.
    """
    if refusal := why_none():
        return LearnedRankers(notes=(refusal,))
    everyone, rules = split.validation, rules_of(split)
    most = min(limits.cases, limits.cells // split.train.n_items)
    order = np.random.default_rng(seed).permutation(len(everyone))
    rows = np.sort(order[:most])
    cases = everyone.take(rows)
    earlier: Callable[[], list[EarlierShop]] | None = None
    if split.protocol == "temporal" and rules:
        if not bounds_before(split, limits.windows):
            return LearnedRankers(notes=(NO_EARLIER,))

        @cache  # once for all placements, and not at all where cases are too few
        def earlier() -> list[EarlierShop]:
            return earlier_shops(blend, split, parts, rules, most=limits.windows, cases=most, seed=seed)

    singles = (floors or Floors.of(blend, split, parts, seed=seed)).among(rows)
    rankers, figures, notes = {}, {}, []
    for placement, rule in rules.items():
        if placement != "for_you" and placement not in blend.weights:
            continue
        trial = learn(
            blend,
            split.train,
            cases,
            placement,
            rule,
            parts,
            earlier=earlier,
            seed=seed,
            limits=limits,
            progress=progress,
        )
        if trial is None:
            notes.append(f"{placement}: too few validation cases to learn a ranker from")
            continue
        verdict, ruling, lift = judged(trial, cases, split.train, singles, seed=seed)
        figures[placement] = trial.figures(lift) | {
            "verdict": verdict.to_dict(),
            "mission": ruling.to_dict(),
            "lift": lift,
        }
        notes += [f"{placement}: {verdict.statement}", f"{placement}: {ruling.statement}"]
        if ruling.chosen != BLEND:
            rankers[placement] = trial.final(lift)
            figures[placement]["gains"] = rankers[placement].trees[0].gains()
    return LearnedRankers(rankers, tuple(notes), figures)


def judged(
    trial: Trial, cases: EvalCases, train: Dataset, singles: Mapping[str, Values], *, seed: int = 0
) -> tuple[Verdict, Ruling, float]:
    """Whether a ranker is provably better than the blend, what the mission guard says, and the lift it takes.

    `singles`: the single models on the same cases. A lift costs `LIMIT` at most, and no more than chance may.
    """
    examples = trial.examples
    alone = examples.features[:, 0]
    verdict = guard(RANKER, examples.ndcg(trial.scores), BLEND, examples.ndcg(alone), seed=seed)
    candidates = {BLEND: trial.values(alone, cases, train)}
    lifts = {BLEND: 0.0}
    if verdict.accepted:
        for lift in LIFTS if trial.ranker.placement == "for_you" else LIFTS[:1]:
            name = RANKER if not lift else f"{RANKER} with new categories raised by {lift:g}"
            candidates[name], lifts[name] = trial.values(trial.lifted(lift), cases, train), lift
    overall = next(iter(candidates[BLEND]))
    limit = min(LIMIT, max(unsure(values[overall]) for values in candidates.values()))
    ruling = mission_guard(candidates, singles, overall=overall, price=PRICE, limit=limit, seed=seed)
    return verdict, ruling, lifts[ruling.chosen]


def unsure(values: Floats) -> float:
    """Half of the 95 % interval of a mean, as a share of it: nobody could tell such a price from chance."""
    known = values[~np.isnan(values)]
    return float(1.96 * known.std() / np.sqrt(len(known)) / max(known.mean(), 1e-12))


def rules_of(split: Split) -> dict[str, CandidateRule]:
    """What may be a candidate, by placement that a ranker is tried for."""
    cases = split.validation
    if cases.other_categories_only:
        return {}
    rules: dict[str, CandidateRule] = {
        "for_you": TuningTask(cases, unseen=cases.mask_seen),
        "discover": TuningTask(cases, unseen=True, new=True),
    }
    if not cases.mask_seen:
        rules["unseen"] = TuningTask(cases, unseen=True)
    return rules


def learn(
    blend: Blend,
    train: Dataset,
    cases: EvalCases,
    placement: str,
    rule: CandidateRule,
    parts: Sequence[str],
    *,
    earlier: Callable[[], Sequence[EarlierShop]] | None = None,
    seed: int = 0,
    limits: LearningLimits = LearningLimits(),
    progress: bool = False,
) -> Trial | None:
    """A ranker over those of `parts` that the placement asks; None where there are too few cases.

    `blend`: fitted on `train`, which ends before the `cases`. `earlier`: gives the shop in windows before
    them, asked where there are enough cases; None where halves of the cases teach each other.
    `MissingDependencyError` without LightGBM.
    """
    tables = ShopTables.of(train, habits=train.has_time)
    texts = tuple(name for name in parts if isinstance(blend.parts[name], VectorModel))
    # Other parts would have to be asked for every list: in completejourney that doubled its cost.
    parts = tuple(name for name in parts if name in blend.weights_for(placement))
    pool = Pool(unseen=rule.unseen, other=rule.other, new=rule.new)
    ranker = LearnedRanker(placement=placement, pool=pool, parts=parts, texts=texts, habits=train.has_time)
    some = cases.take(np.arange(0, len(cases), max(1, len(cases) // limits.looked_at)))
    retrievers = choose_retrievers(ranker, blend, tables, some)
    ranker = replace(ranker, pool=replace(pool, retrievers=retrievers))
    with bar(f"candidates of {placement}", len(cases), show=progress) as advance:
        examples = examples_of(ranker, blend, tables, cases, seed=seed, advance=advance)
    if examples.answered < limits.fewest:
        return None
    before = None
    if earlier is not None:
        before = Examples.joined(
            [examples_of(ranker, shop.blend, shop.tables, shop.cases, seed=seed) for shop in earlier()]
        )
        if before.answered < limits.fewest:
            return None
    growth = Growth(directions=ranker.directions(blend), seed=seed, trees=limits.trees)
    return Trial.of(ranker, examples, growth, before)
