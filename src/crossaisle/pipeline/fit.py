"""From a data set to a recommender: split, fit, choose weights on validation, fit again on all there is."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.knowledge.naming import Rejected, named
from crossaisle.data.knowledge.rules import Rule, read_rules
from crossaisle.data.merchandising.matching import check_names
from crossaisle.data.merchandising.rules import NO_RULES, RuleSet
from crossaisle.data.splits.cases import Split
from crossaisle.data.splits.split import basket_split, leave_last_out, temporal_split, unsplit
from crossaisle.data.splits.split import split as by_protocol
from crossaisle.drift.summary import Summary
from crossaisle.errors import ConfigError, DataError
from crossaisle.evaluate.mission_guard import MISSION, OVERALL
from crossaisle.execution.executor import Executor
from crossaisle.models.base import Scorer
from crossaisle.models.blend import Blend
from crossaisle.models.defaults import BESIDE, KNOWLEDGE, default_parts
from crossaisle.models.newcomers import Newcomers
from crossaisle.models.scorers.cold_start.source_shop import SourceShop
from crossaisle.models.scorers.cold_start.transferred import TransferredLinks, TransferredPopularity
from crossaisle.pipeline.kind_weights import weigh_kinds
from crossaisle.pipeline.languages import chosen_encoder
from crossaisle.pipeline.learn import LearnedRankers, learn_rankers, why_none
from crossaisle.pipeline.mission import OPEN_LIST, Floors, kept_to_floors
from crossaisle.pipeline.weights import choose_weights, ruled
from crossaisle.progress import bar
from crossaisle.recommend.hits import hits_of_cases
from crossaisle.recommend.recommender import Recommender

COLD_OR_RANDOM = ("random", "cold_items", "cold_users", "cold_categories")
TOGETHER, FEW_ITEMS = 2, 100_000
"""Parts that are fitted at a time, in shops of so many items at most: beyond that the memory of two fits
counts for more than the time of one."""
Costs = dict[str, dict[str, float]]
"""Per model: `fit_seconds`, and `peak_mb`, the largest memory of the process by the end of its fit."""


@dataclass(frozen=True)
class Fitted:
    """What `fit` gives: models that have seen the events before the test, and what it took."""

    split: Split
    past: Recommender
    validation_blend: Blend
    """The same weights, with parts that have only seen the training events; those that learned from events
    are not fitted any more where `fit` was not `to_measure`."""
    costs: Costs
    rejected: tuple[Rejected, ...] = ()
    """Lines of the knowledge file that name something the shop does not have."""
    learned: LearnedRankers = field(default_factory=LearnedRankers)
    mission: tuple[str, ...] = ()
    """What the mission guard says about the weights of the blend."""

    def to_serve(
        self, dataset: Dataset, *, executor: Executor | None = None, progress: bool = False
    ) -> Recommender:
        """The same weights with parts fitted once more, on all events of the shop."""
        if dataset.roles is not None:  # kinds weigh what was chosen
            dataset = dataset.meaning(self.past.dataset.meanings)
        blend, _ = refit(
            self.past.blend, dataset, together=at_once(dataset), executor=executor, progress=progress
        )
        hits = hits_of_cases(self.past, dataset, self.split.test) if len(self.split.test) else None
        return self.past.replaced(dataset=dataset, blend=blend, reference=Summary.of_model(dataset, hits))


def split_of(dataset: Dataset, config: SplitConfig) -> Split:
    """Applies `[split]`; shares of a temporal split are shares of the events.

    A shop with too few events for that comes back whole, with a note that says why. Dates that were set are
    taken at their word: `ConfigError` where the events do not reach them.
    """
    if not len(dataset.events):
        return unsplit(dataset, "there are no events yet")
    if config.protocol == "leave_last_out":
        longest = int(np.diff(dataset.user_indptr).max())
        if longest < 3:
            return unsplit(dataset, f"no user has three events (the most are {longest})")
        return leave_last_out(dataset)
    if config.protocol == "baskets":
        n = dataset.n_users if dataset.users_are_baskets else len(np.unique(dataset.events.basket))
        held, other = _held(config.test, n), _held(config.validation, n)
        if min(held, other, n // 5) < 1:
            return unsplit(dataset, f"there are only {n} baskets")
        return basket_split(dataset, test=held, validation=other, seed=config.seed)
    if config.protocol in COLD_OR_RANDOM:
        if isinstance(config.test, date):
            raise ConfigError(f"[split] protocol = {config.protocol!r} takes a share for test, not a date")
        return by_protocol(dataset, config.protocol, share=config.test, seed=config.seed)
    return _split_by_time(dataset, config)


def _split_by_time(dataset: Dataset, config: SplitConfig) -> Split:
    seconds = dataset.events.time
    if seconds is None:
        return temporal_split(dataset)  # which says what is wrong
    test = config.test if isinstance(config.test, date) else _day(seconds, config.test)
    before = seconds[seconds < np.datetime64(test, "s").astype(np.int64)]
    validation = config.validation
    if not isinstance(validation, date):
        validation = _day(before if len(before) else seconds, validation)
        if test is not config.test and not _first_day(seconds) < validation < test:
            first, last = _first_day(seconds), _day(seconds, 0.0)
            days = f"the events ({len(seconds):,}, from {first} to {last})"
            return unsplit(dataset, f"{days} cannot be cut by days into three parts")
    return temporal_split(dataset, test_from=test, validation_from=validation)


def _first_day(seconds: np.ndarray) -> date:
    return _day(seconds, 1.0)


def _held(share: float | date, n_baskets: int) -> int:
    """Baskets to hold out, at most 10,000: more make no interval visibly narrower."""
    if isinstance(share, date):
        raise ConfigError(
            "[split] protocol = 'baskets' takes shares, not dates (baskets are drawn at random)"
        )
    return min(int(share * n_baskets), 10_000)


def _day(seconds: np.ndarray, share: float) -> date:
    """The day on which the last `share` of the events starts."""
    moment: date = (
        np.datetime64(int(np.quantile(seconds, 1.0 - share, method="higher")), "s")
        .astype("datetime64[D]")
        .item()
    )
    return moment


def fit(
    dataset: Dataset,
    *,
    split_config: SplitConfig,
    model_config: ModelConfig,
    baselines: Mapping[str, Scorer] | None = None,
    source: Recommender | None = None,
    merchandising: RuleSet = NO_RULES,
    executor: Executor | None = None,
    to_measure: bool = True,
    progress: bool = False,
) -> Fitted:
    """Chooses weights on validation, then fits on train and validation together. Test is not touched.

    `baselines` are unfitted models that are fitted along, to be measured, but get no weight. `source`:
    another shop, of which is carried over what helps on validation or, without one, the default share.
    `merchandising`: rules of lists, which nothing is chosen by; `ConfigError` for an unknown name in them.
    `executor`: whose workers fit what can be shared out (`Scorer.fit_on`). `to_measure`: False to serve only:
    what the models of the training events learned is let go, so that fewer models are in memory at once.
    """
    check_names(merchandising, dataset, merchandising.where)
    split, parts, rules = split_and_parts(dataset, split_config, model_config)
    if source is not None:
        parts |= carried_over(source, encoder=chosen_encoder(dataset, model_config.encoder)[0])
    early, found = _on_validation(split, parts, dict(baselines or {}), model_config, executor, progress)
    if not to_measure:
        del parts
        early = _forgetting(early)
    together = at_once(dataset)
    late, again = refit(early, found.split.past, together=together, executor=executor, progress=progress)
    for name in (name for name in again if early.parts[name].continues):
        again[name]["fit_seconds"] += found.costs[name]["fit_seconds"]  # it began where the first fit ended
    recommender = Recommender(
        found.split.past,
        late,
        repeats=not found.split.validation.mask_seen,
        tuned=found.split.chooses,
        newcomers=Newcomers.of(late.parts.values(), found.split.past),
        rankers=found.learned.rankers,
        rules=merchandising,
    )
    unknown = tuple(named(rules, dataset)[1])
    costs = found.costs | again
    return Fitted(found.split, recommender, early, costs, unknown, found.learned, found.mission)


@dataclass(frozen=True)
class _Found:
    """What validation says."""

    split: Split
    costs: Costs
    learned: LearnedRankers
    mission: tuple[str, ...]


def _on_validation(
    split: Split,
    parts: dict[str, Scorer],
    extra: dict[str, Scorer],
    model_config: ModelConfig,
    executor: Executor | None,
    progress: bool,
) -> tuple[Blend, _Found]:
    """Fits the parts on the training events, and finds weights and rankers for them."""
    texts = {name: part for name, part in (parts | extra).items() if not part.reads_events}
    rest = {name: part for name, part in (parts | extra).items() if part.reads_events}
    first = fit_parts(texts, split.train, progress=progress)
    together = at_once(split.train)
    first |= fit_parts(rest, split.train, together=together, executor=executor, progress=progress)
    chosen = choose_weights(
        parts, split, repeats=model_config.repeats, seed=model_config.seed, progress=progress
    )
    split, early = chosen.split, Blend(parts=parts | extra, weights=chosen.weights)
    asked = tuple(name for name in parts if name not in (*BESIDE, KNOWLEDGE))
    learned = LearnedRankers()
    mission: tuple[str, ...] = ()
    if len(split.validation) and not split.validation.other_categories_only:
        learns = model_config.ranker and not why_none()
        slices = (OVERALL, *MISSION) if learns else OPEN_LIST
        floors = Floors.of(early, split, asked, slices=slices, seed=model_config.seed)
        own, ruling = kept_to_floors(early, chosen, asked, floors, seed=model_config.seed)
        early.weights["for_you"], mission = own, (ruling.statement,)
        if model_config.ranker:
            learned = learn_rankers(
                early, split, asked, floors=floors, seed=model_config.seed, progress=progress
            )
    return early, _Found(split, first, learned, mission)


def _forgetting(blend: Blend) -> Blend:
    """The blend without what parts learned that a fit on more events learns anew."""
    parts = {
        name: replace(part) if part.reads_events and not part.continues else part  # type: ignore[type-var]
        for name, part in blend.parts.items()
    }
    return Blend(parts=parts, weights=blend.weights)


def split_and_parts(
    dataset: Dataset, split_config: SplitConfig, model_config: ModelConfig
) -> tuple[Split, dict[str, Scorer], Sequence[Rule]]:
    """The split, with kinds of events as validation weighs them; unfitted parts; the shop's rules."""
    rules = read_rules(model_config.knowledge) if model_config.knowledge else ()
    weighed = weigh_kinds(
        dataset, lambda shop: split_of(shop, split_config), keep=model_config.keep, seed=model_config.seed
    )
    split = split_of(weighed.dataset, split_config)
    encoder, said = chosen_encoder(dataset, model_config.encoder)
    split = ruled(replace(split, notes=(*split.notes, *weighed.notes, *said)), model_config.repeats)
    parts = default_parts(
        split.past,
        encoder=encoder,
        pictures=model_config.pictures,
        picture_hosts=model_config.picture_hosts,
        sequence=model_config.sequence,
        keep=model_config.keep,
        seed=model_config.seed,
        settings=model_config.parts,
        leave_out=model_config.leave_out,
        knowledge=rules,
    )
    return split, parts, rules


def carried_over(source: Recommender, *, encoder: str) -> dict[str, Scorer]:
    """Unfitted parts that read another shop; `DataError` where nothing has happened there, either."""
    if not len(source.dataset.events):
        raise DataError(f"{source.dataset.name}: has no events, so there is nothing to carry over")
    shop = SourceShop.of(source.dataset, encoder=None if encoder == "none" else encoder)
    return {
        "transferred_popularity": TransferredPopularity(source=shop),
        "transferred_links": TransferredLinks(source=shop),
    }


def at_once(dataset: Dataset) -> int:
    """How many parts of a shop are fitted at a time."""
    return TOGETHER if dataset.n_items <= FEW_ITEMS else 1


def fit_parts(
    parts: Mapping[str, Scorer],
    dataset: Dataset,
    *,
    earlier: Mapping[str, Scorer] | None = None,
    together: int = 1,
    executor: Executor | None = None,
    progress: bool = False,
) -> Costs:
    """Fits every part; `MissingDependencyError` before the first of them.

    `earlier`: by name, models of the same settings that have learned from most of these events.
    `together`: how many at a time, but for those that keep several cores busy. What each of them costs is
    then the processor time of its thread. With an `executor` they are fitted in turn, each by all workers.
    """
    workers = None if executor is None or executor.threads is None else executor
    together = together if workers is None else 1
    for part in parts.values():
        part.check_installed()
    lenders = _lenders(parts)
    names = [name for name in parts if name not in lenders]
    beside = [] if together == 1 else [name for name in names if not parts[name].several_threads][::-1]
    costs: Costs = {}

    def fit_one(name: str) -> None:
        clock = time.thread_time if name in beside else time.perf_counter
        start, before = clock(), (earlier or {}).get(name)
        if workers is not None and (before is None or not parts[name].continues):
            parts[name].fit_on(dataset, workers)
        elif before is None:
            parts[name].fit(dataset)
        else:
            parts[name].fit_after(before, dataset)
        costs[name] = {"fit_seconds": clock() - start, "peak_mb": peak_mb()}

    with bar("fitting", len(names), show=progress) as advance:
        with ThreadPoolExecutor(together) as pool:
            for _ in pool.map(fit_one, beside):  # the slowest stand first: there is less to wait for
                advance(1)
        for name in names:
            if name not in beside:
                fit_one(name)
                advance(1)
    for name, lender in lenders.items():
        parts[name].sharing(parts[lender])
        costs[name] = costs[lender]
    return costs


def _lenders(parts: Mapping[str, Scorer]) -> dict[str, str]:
    """Part -> an earlier one that learns the same."""
    out: dict[str, str] = {}
    lending: list[str] = []
    for name, part in parts.items():
        twin = next((other for other in lending if part.learns_like(parts[other])), None)
        if twin is None:
            lending.append(name)
        else:
            out[name] = twin
    return out


def refit(
    blend: Blend,
    dataset: Dataset,
    *,
    together: int = 1,
    executor: Executor | None = None,
    progress: bool = False,
) -> tuple[Blend, Costs]:
    """A new blend with the same weights, fitted on other events of the same shop.

    Parts that read no events are shared with the old blend; others may start from what they know there.
    `together` and `executor` as for `fit_parts`.
    """
    fresh = {name: replace(p) if p.reads_events else p for name, p in blend.parts.items()}  # type: ignore[type-var]
    learning = {name: part for name, part in fresh.items() if part.reads_events}
    earlier = {name: part for name, part in blend.parts.items() if part.continues}
    costs = fit_parts(
        learning, dataset, earlier=earlier, together=together, executor=executor, progress=progress
    )
    return Blend(parts=fresh, weights=blend.weights), costs


def peak_mb() -> float:
    """The largest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def describe_weights(blend: Blend) -> dict[str, dict[str, Any]]:
    """Weights per placement, rounded for display."""
    return {
        placement: {name: round(w, 4) for name, w in sorted(chosen.items(), key=lambda c: -abs(c[1]))}
        for placement, chosen in blend.weights.items()
    }
