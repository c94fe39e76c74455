"""`Experiments`: decides which arm makes a list, and logs what was shown."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from crossaisle.api_types import ExperimentResults, InExperiment
from crossaisle.data.query import Placement, Query
from crossaisle.errors import (
    ConfigError,
    ConflictError,
    CrossaisleError,
    StoreError,
    UnknownIdError,
    nearest,
    shorten,
)
from crossaisle.recommend.answer import Recommendation, RecommendationList
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.experiments.design import Arm, Experiment, seed_of
from crossaisle.serve.experiments.log import ExperimentLog, Exposure
from crossaisle.serve.experiments.mixing import explore, place_probabilities, team_draft
from crossaisle.serve.experiments.results import SAME_SECONDS, results
from crossaisle.serve.live.batching import Batcher
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.store.engine import Picture

if TYPE_CHECKING:
    from crossaisle.serve.service import ShopService

_LOG = logging.getLogger(__name__)
POOL = 30
"""An exploring arm draws from this many items at least, or from three times as many as it draws."""
DRAWN = 20
"""At most this many places are drawn; those after them follow the ranking."""
FLUSH_SECONDS = 0.2
"""Exposures are written together after this time; as many may be lost in a crash."""
REMEMBERED = 100_000
Key = tuple[str, str]


class Serving(NamedTuple):
    """What an arm with a model or weights of its own asks."""

    shop: LiveRecommender
    batcher: Batcher


class Asked(NamedTuple):
    """The moment of a question."""

    time: float
    """Seconds since 1970."""
    number: int
    """Of the last deletion of a person before it."""


class Experiments:
    """The experiments of one service."""

    def __init__(self, service: ShopService) -> None:
        self._service = service
        self.log = ExperimentLog(service.store)
        self.all: dict[str, Experiment] = self.log.experiments()
        self.broken: dict[str, str] = {}
        """Running experiments that cannot be served, and why."""
        self._shops: dict[Key, LiveRecommender] = {}
        self._batchers: dict[Key, Batcher] = {}
        self._waiting: list[Exposure] = []
        self._timer: asyncio.TimerHandle | None = None
        self._shown: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        for experiment in self.all.values():
            if experiment.running:
                try:
                    self._shops |= self.shops_of(experiment, service.shop.base, service.changed, service.kept)
                except CrossaisleError as error:
                    _LOG.error("experiment %s is not served: %s", experiment.name, error)
                    self.broken[experiment.name] = str(error)

    # Lists

    def of(self, query: Query) -> Experiment | None:
        """The running experiment that decides a question, if one does."""
        if not self.all or query.user is None or query.history is not None:
            return None
        for experiment in self.all.values():
            if experiment.running and experiment.placement == query.placement:
                return None if experiment.name in self.broken else experiment
        return None

    async def recommend(
        self, experiment: Experiment, query: Query, client: str = ""
    ) -> tuple[RecommendationList, InExperiment]:
        """The list of a person's arm, and what to tell about it."""
        user = str(query.user)
        moment = Asked(time.time(), self._service.live.forgotten.number)
        plain = replace(query, explain=False)  # what is mixed is explained once it is known what is shown
        # The same list until the person does something: a page that is loaded again does not jump.
        # Counted by events, which are the same after a restart and in every worker.
        version = str(self._service.live.of(user).total)
        rng = random.Random(seed_of(experiment.name, user, version))
        if experiment.kind == "interleaving":
            first, second = experiment.arms
            # From the first place on: which arm a place is of depends on the places before it.
            whole = replace(plain, n=query.depth, offset=0, page=query.n)
            answers = await asyncio.gather(
                *(self._ask(experiment, arm, arm.query(whole), client) for arm in (first, second))
            )
            ids = [{r.item_id: r for r in answer.items} for answer in answers]
            mixed = team_draft(list(ids[0]), list(ids[1]), query.depth, rng)
            answer = _with(answers[0], [ids[team][item] for item, team in mixed])
            if query.explain:
                served = [one.served for one in answers]
                for team, arm in enumerate(experiment.arms):
                    own = [query.offset <= at and whose == team for at, (_, whose) in enumerate(mixed)]
                    answer = await self._explained(experiment, arm, query, answer, own, served[team], client)
            shown = InExperiment(name=experiment.name, arm=None)
            self._expose(moment, experiment, "", answer, teams=tuple(team for _, team in mixed))
            return _page(answer, query), shown
        arm = experiment.assign(user)
        if arm.explore is None:
            answer = await self._ask(experiment, arm, arm.query(query), client)
            self._expose(moment, experiment, arm.name, answer, share=experiment.share(arm))
        else:
            length = min(query.n, DRAWN)  # of the first page: the pages after it must go on from there
            size = max(3 * length, POOL)
            block = max(query.n, size)
            asked = replace(arm.query(plain), n=max(query.depth, block), offset=0, page=block)
            pool = await self._ask(experiment, arm, asked, client)
            size = min(size, len(pool.items))
            drawn = explore(size, length, arm.explore, rng)
            rest = [place for place in range(len(pool.items)) if place not in set(drawn)]
            answer = _with(pool, [pool.items[place] for place in (*drawn, *rest)][: query.depth])
            if query.explain:
                own = [query.offset <= at for at in range(len(answer.items))]
                answer = await self._explained(experiment, arm, query, answer, own, pool.served, client)
            if not drawn:
                return answer, InExperiment(name=experiment.name, arm=arm.name)
            loop = asyncio.get_running_loop()
            table = await loop.run_in_executor(None, place_probabilities, size, len(drawn), arm.explore)
            self._expose(
                moment,
                experiment,
                arm.name,
                answer,
                share=experiment.share(arm),
                propensities=tuple(float(table[rank, at]) for at, rank in enumerate(drawn)),
                ranked=tuple(r.item_id for r in pool.items[: query.depth]),
            )
            answer = _page(answer, query)
        return answer, InExperiment(name=experiment.name, arm=arm.name)

    async def _ask(self, experiment: Experiment, arm: Arm, query: Query, client: str) -> RecommendationList:
        return await self._batcher_of(experiment, arm).ask(query, client)

    async def _explained(
        self,
        experiment: Experiment,
        arm: Arm,
        query: Query,
        answer: RecommendationList,
        which: Sequence[bool],
        served: Placement,
        client: str,
    ) -> RecommendationList:
        """A list, some of whose places are of an arm and explained by it."""
        asked = [one for one, own in zip(answer.items, which, strict=True) if own]
        if not asked:
            return answer
        told = iter(await self._batcher_of(experiment, arm).explain(arm.query(query), asked, served, client))
        items = [next(told) if own else one for one, own in zip(answer.items, which, strict=True)]
        return replace(answer, items=tuple(items))

    def _batcher_of(self, experiment: Experiment, arm: Arm) -> Batcher:
        key = experiment.name, arm.name
        if key in self._batchers:
            return self._batchers[key]
        if key not in self._shops:
            return self._service.batcher
        service = self._service
        batcher = self._batchers[key] = Batcher(
            lambda: self._shops[key], service.metrics, service.heavy, service.limits.live.queues
        )
        return batcher

    # The log

    def _expose(
        self,
        asked: Asked,
        experiment: Experiment,
        arm: str,
        answer: RecommendationList,
        *,
        share: float = 1.0,
        propensities: tuple[float, ...] | None = None,
        ranked: tuple[str, ...] = (),
        teams: tuple[int, ...] = (),
    ) -> None:
        if not answer.items:
            return
        user, items, now = str(answer.user), tuple(answer.ids), asked.time
        if self._service.live.forgotten.since(asked.number, user):
            return  # made out of what was deleted meanwhile
        fingerprint, before = hash((arm, items)), self._shown.get((experiment.name, user))
        if before and before[0] == fingerprint and now - before[1] < SAME_SECONDS:
            return
        self._shown[experiment.name, user] = fingerprint, now
        while len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)
        if propensities is None:
            propensities = () if teams else (1.0,) * len(items)
        self._waiting.append(
            Exposure(experiment.name, arm, user, now, items, propensities, share, ranked, teams)
        )
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Hands what was shown to the store. A list is answered even where the store is away."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        counts = self._service.metrics.counts
        try:
            self.log.add(waiting)
            counts["exposures"] += len(waiting)
        except StoreError as error:
            counts["exposures_lost"] += len(waiting)
            _LOG.warning("%d exposures are not logged: %s", len(waiting), error)

    async def written(self) -> None:
        """Everything shown so far is in the store when this returns: the store writes in order."""
        self.flush()
        await asyncio.wrap_future(self._service.store.submit(lambda _: None))

    async def lines(self, name: str, after: int, n: int) -> list[tuple[int, Exposure]]:
        """Part of the log of an experiment."""
        self.get(name)
        await self.written()
        # Not shared: whoever was deleted meanwhile is in none that is asked for from then on.
        return await self._service.tallies.alone(lambda: list(self.log.exposures(name, after, n)))

    def forget(self, user: str) -> None:
        """Drops what waits to be written about a person."""
        self._waiting = [one for one in self._waiting if one.user != user]
        self._shown = OrderedDict((key, value) for key, value in self._shown.items() if key[1] != user)

    def people(self) -> list[str]:
        """Who is remembered here, some more than once."""
        return [one.user for one in list(self._waiting)] + [user for _, user in list(self._shown)]

    def shops(self) -> list[LiveRecommender]:
        """Those of arms that have one of their own."""
        return list(self._shops.values())

    # Changes

    async def create(self, experiment: Experiment, who: str = "") -> None:
        """Starts an experiment. `ConflictError` where the name or the placement is taken. `who`: for the
        audit log.
        """
        service = self._service
        async with service.alone(), service.changing:
            self._check(experiment)
            shops = await service.in_order(
                self.shops_of, experiment, service.shop.base, service.changed, service.kept
            )
            deed = who, f"started experiment {experiment.name}"
            await asyncio.wrap_future(self.log.put(experiment, deed))
            self._shops |= shops
            self.all[experiment.name] = experiment

    async def follow(self, name: str) -> None:
        """Takes in what another worker started or stopped."""
        service = self._service
        experiment = await service.read(self.log.experiment, name)
        if experiment.running:
            self._shops |= await service.in_order(
                self.shops_of, experiment, service.shop.base, service.changed, service.kept
            )
            self.all[name] = experiment
        else:
            self._end(experiment)

    def _check(self, experiment: Experiment) -> None:
        if experiment.name in self.all:
            raise ConflictError(f"there is an experiment named {experiment.name!r} already")
        for other in self.all.values():
            if other.running and other.placement == experiment.placement:
                raise ConflictError(f"experiment {other.name!r} runs on {other.placement}: stop it first")

    def _check_model(self, arm: Arm) -> None:
        if arm.model is not None and arm.model not in self._service.known_models():
            raise UnknownIdError(f"arm {arm.name!r}: no model {shorten(arm.model)} in the folder of models")

    async def stop(self, name: str, who: str = "") -> Experiment:
        """Ends an experiment; everybody gets the active model's lists again. `who`: for the audit log."""
        async with self._service.alone(), self._service.changing:
            experiment = self.get(name)
            if experiment.running:
                experiment = replace(experiment, stopped=time.time())
                await asyncio.wrap_future(self.log.put(experiment, (who, f"stopped experiment {name}")))
                self._end(experiment)
        return experiment

    def _end(self, experiment: Experiment) -> None:
        self.all[experiment.name] = experiment
        self.broken.pop(experiment.name, None)
        for key in [key for key in self._shops if key[0] == experiment.name]:
            del self._shops[key]
            if batcher := self._batchers.pop(key, None):
                batcher.end()

    def get(self, name: str) -> Experiment:
        """An experiment by name; `UnknownIdError`."""
        if name not in self.all:
            raise UnknownIdError(f"no experiment {shorten(name)}", name=name, known=self.all)
        return self.all[name]

    async def results(self, name: str) -> ExperimentResults:
        """What it has shown so far."""
        experiment = self.get(name)
        await self.written()

        def work() -> ExperimentResults:
            exposures = (one for _, one in self.log.exposures(name))
            return results(experiment, exposures, self.log.goals(experiment), time.time())

        # A change of the experiment itself shows at once.
        found: ExperimentResults = await self._service.tallies.of(("results", name, experiment.running), work)
        return replace(found, broken=self.broken.get(name))

    # Shops of arms

    def shops_of(
        self,
        experiment: Experiment,
        active: Recommender,
        changed: Mapping[str, dict[str, Any]],
        pictures: Mapping[str, Picture],
    ) -> dict[Key, LiveRecommender]:
        """Shops of arms that have a model or weights of their own. Slow: not in the event loop."""
        found = {}
        for arm in experiment.arms:
            if arm.model is None and arm.weights is None:
                continue
            key = experiment.name, arm.name
            before = self._shops.get(key)
            base = self._base(experiment, arm, active, before)
            found[key] = LiveRecommender(
                base,
                self._service.live,
                changed,
                before=before,
                pictures=pictures,
                limits=self._service.limits.live,
            )
        return found

    def _base(
        self, experiment: Experiment, arm: Arm, active: Recommender, before: LiveRecommender | None
    ) -> Recommender:
        if arm.model is not None and before is not None:
            return before.base
        self._check_model(arm)
        base = active if arm.model is None else Recommender.load(Path(str(self._service.models)) / arm.model)
        return base if arm.weights is None else reweighted(base, experiment.placement, arm.weights)

    def rebuilt(
        self, base: Recommender, changed: Mapping[str, dict[str, Any]], pictures: Mapping[str, Picture]
    ) -> dict[Key, LiveRecommender]:
        """The shops of all arms for another active model or a changed catalogue."""
        found: dict[Key, LiveRecommender] = {}
        for experiment in self.all.values():
            if experiment.running and experiment.name not in self.broken:
                found |= self.shops_of(experiment, base, changed, pictures)
        return found

    def use(self, shops: dict[Key, LiveRecommender]) -> None:
        """Serves other shops from now on."""
        self._shops = shops

    def close(self) -> None:
        """Writes what is left."""
        self.flush()
        for batcher in self._batchers.values():
            batcher.close()


def reweighted(base: Recommender, placement: str, weights: Mapping[str, float]) -> Recommender:
    """The same models with other weights for a placement; `ConfigError` for a part it does not have."""
    for name in weights:
        if name not in base.blend.parts:
            raise ConfigError(f"the model has no part {shorten(name)}{nearest(name, base.blend.parts)}")
    if not any(weights.values()):
        raise ConfigError("weights of an arm: at least one must differ from 0")
    changed = {placement: dict(weights)} | ({"unseen": dict(weights)} if placement == "for_you" else {})
    return base.with_weights(changed)


def _page(answer: RecommendationList, query: Query) -> RecommendationList:
    """The items that were asked for, of a list from the first place on."""
    return replace(answer, items=answer.items[query.offset :])


def _with(answer: RecommendationList, items: list[Recommendation]) -> RecommendationList:
    ranked = tuple(replace(one, rank=rank) for rank, one in enumerate(items, start=1))
    return replace(answer, items=ranked, cross_share=None, relevance_kept=None)
