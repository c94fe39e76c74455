"""`Experiments`: decides which arm makes a list, and logs what was shown."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from crossaisle.api_types import ExperimentResults, InExperiment
from crossaisle.data.query import Placement, Query
from crossaisle.errors import ConflictError, CrossaisleError, UnknownIdError, shorten
from crossaisle.recommend.answer import TOO_FEW, Recommendation, RecommendationList
from crossaisle.serve.experiments.arms import Arms, Recommenders, Served
from crossaisle.serve.experiments.design import Arm, Experiment, seed_of
from crossaisle.serve.experiments.exposures import ExposureQueue
from crossaisle.serve.experiments.log import ExperimentLog, Exposure
from crossaisle.serve.experiments.mixing import explore, team_draft
from crossaisle.serve.experiments.new_items import CANDIDATES, Draw, NewItems, joined
from crossaisle.serve.experiments.results import results
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.queues.batching import Batcher
from crossaisle.serve.live.queues.tallies import Tallies
from crossaisle.serve.live.queues.threads import Threads

_LOG = logging.getLogger(__name__)
POOL = 30
"""An exploring arm draws from this many items at least, or from three times as many as it draws."""
DRAWN = 20
"""At most this many places are drawn; those after them follow the ranking."""


@dataclass(frozen=True)
class _Request:
    """A list that an experiment decides."""

    experiment: Experiment
    query: Query
    user: str
    client: str
    rng: random.Random

    @property
    def plain(self) -> Query:
        """Without explanations: a mixed list is explained once it is known what is shown."""
        return replace(self.query, explain=False)


class Experiments:
    """The experiments of one shop. Empty until `restore`."""

    def __init__(
        self,
        log: ExperimentLog,
        exposures: ExposureQueue,
        arms: Arms,
        *,
        served: Callable[[], Served],
        live: LiveHistories,
        batcher: Batcher,
        tallies: Tallies,
        threads: Threads,
    ) -> None:
        """`served`: what serves now. `batcher`: asks the active model."""
        self.log, self.exposures, self.arms = log, exposures, arms
        self._served, self._live, self._batcher = served, live, batcher
        self._tallies, self._threads = tallies, threads
        self.new_items = NewItems(log, tallies)
        self._learning: set[asyncio.Future[None]] = set()
        self.all: dict[str, Experiment] = {}
        self.broken: dict[str, str] = {}
        """Running experiments that cannot be served, and why."""

    def restore(self) -> None:
        """Reads the experiments of the store and builds the arms of those that run."""
        self.all = self.log.experiments()
        for experiment in self.all.values():
            if experiment.running:
                try:
                    self.arms.add(self.arms.built(experiment, self._served()))
                except CrossaisleError as error:
                    _LOG.error("experiment %s is not served: %s", experiment.name, error)
                    self.broken[experiment.name] = str(error)

    # Lists

    def of(self, query: Query) -> Experiment | None:
        """The running experiment that decides a list, if one does."""
        if not self.all or query.user is None or query.history is not None:
            return None
        for experiment in self.all.values():
            if experiment.running and experiment.placement == query.placement:
                return None if experiment.name in self.broken else experiment
        return None

    async def recommend(
        self, experiment: Experiment, query: Query, client: str = ""
    ) -> tuple[RecommendationList, InExperiment]:
        """The list of a user's arm, and what to tell about it."""
        user = str(query.user)
        # The same list until the user does something: a page that is loaded again does not jump.
        # Counted by events, which are the same after a restart and in every worker.
        version = str(self._live.of(user).total)
        rng = random.Random(seed_of(experiment.name, user, version))
        request = _Request(experiment, query, user, client, rng)
        if experiment.kind == "interleaving":
            return await self._interleaved(request), InExperiment(name=experiment.name, arm=None)
        arm = experiment.assign(user)
        answer = await (self._plain if arm.explore is None else self._explored)(request, arm)
        return answer, InExperiment(name=experiment.name, arm=arm.name)

    async def _interleaved(self, request: _Request) -> RecommendationList:
        experiment, query, asked = request.experiment, request.query, self.exposures.asked()
        first, second = experiment.arms
        # From the first place on: which arm a place is of depends on the places before it.
        whole = replace(request.plain, n=query.depth, offset=0, page=query.n)
        answers = await asyncio.gather(
            *(self._ask(request, arm, arm.query(whole)) for arm in (first, second))
        )
        ids = [{r.item_id: r for r in answer.items} for answer in answers]
        lists = self._served().recommender.lists
        admits = lists.admission(query, list(ids[0] | ids[1]))
        mixed = team_draft(list(ids[0]), list(ids[1]), query.depth, request.rng, admits)[query.offset :]
        answer = _page(answers[0], [ids[team][item] for item, team in mixed], query)
        if query.explain:
            served = [each.served for each in answers]
            for team, arm in enumerate(experiment.arms):
                own = [whose == team for _, whose in mixed]
                answer = await self._explained(request, arm, answer, own, served[team])
        self.exposures.add(asked, experiment, "", answer, teams=tuple(team for _, team in mixed))
        return answer

    async def _plain(self, request: _Request, arm: Arm) -> RecommendationList:
        experiment, asked = request.experiment, self.exposures.asked()
        answer = await self._ask(request, arm, arm.query(request.query))
        self.exposures.add(asked, experiment, arm.name, answer, share=experiment.share(arm))
        return answer

    async def _explored(self, request: _Request, arm: Arm) -> RecommendationList:
        experiment, query, asked = request.experiment, request.query, self.exposures.asked()
        assert arm.explore is not None
        length = min(query.n, DRAWN)  # of the first page: the pages after it must go on from there
        size = max(3 * length, POOL)
        block = max(query.n, size)
        wanted = replace(arm.query(request.plain), n=max(query.depth, block), offset=0, page=block)
        pool = await self._ask(request, arm, wanted)
        size = min(size, len(pool.items))
        draw = await self._joined(request, arm, pool.items[:size], length)
        drawn = explore(len(draw.items), length, arm.explore, request.rng)
        chosen = [draw.items[place] for place in drawn]
        known = {item.item_id for item in draw.items}
        left = [item for place, item in enumerate(draw.items) if place not in set(drawn)]
        rest = [*left, *(item for item in pool.items[size:] if item.item_id not in known)]
        page = slice(query.offset, query.depth)
        answer = _page(pool, [*chosen, *rest][page], query)
        if query.explain:
            answer = await self._explained(request, arm, answer, [True] * len(answer.items), pool.served)
        if not drawn:
            return answer
        loop = asyncio.get_running_loop()
        table = await loop.run_in_executor(None, draw.probabilities, len(drawn), arm.explore)
        self.exposures.add(
            asked,
            experiment,
            arm.name,
            answer,
            share=experiment.share(arm),
            propensities=tuple(float(table[rank, at]) for at, rank in enumerate(drawn))[page],
            ranked=tuple(r.item_id for r in pool.items[page]),
        )
        return answer

    async def _joined(
        self, request: _Request, arm: Arm, ranked: Sequence[Recommendation], length: int
    ) -> Draw:
        """What is drawn from: the best items, and those with few events that join them."""
        batcher = self._batcher_of(request, arm)
        scarce = batcher.scarce_items() if arm.new_items else ()
        wanted = request.query.include_items
        some = tuple(item for item in scarce if not wanted or item in set(wanted))
        if not some or not ranked:
            return Draw(tuple(ranked))
        plain = arm.query(request.plain)
        asked = replace(plain, include_items=some, n=CANDIDATES, offset=0, page=CANDIDATES)
        found = await self._ask(request, arm, asked)
        there = {item.item_id for item in ranked} | {(item.title, item.category) for item in ranked}
        new = [i for i in found.items if not {i.item_id, (i.title, i.category)} & there]
        if self.new_items.is_due(request.experiment, arm):
            work = asyncio.ensure_future(self.new_items.learn(request.experiment, arm))
            self._learning.add(work)
            work.add_done_callback(self._learning.discard)
        shapes = self.new_items.shapes(request.experiment, arm, [item.item_id for item in new])
        return joined(ranked, new, shapes, arm.new_items or 0, length, request.rng)

    async def _ask(self, request: _Request, arm: Arm, query: Query) -> RecommendationList:
        return await self._batcher_of(request, arm).ask(query, request.client)

    async def _explained(
        self,
        request: _Request,
        arm: Arm,
        answer: RecommendationList,
        which: Sequence[bool],
        served: Placement,
    ) -> RecommendationList:
        """A list, some of whose places are of an arm and explained by it."""
        wanted = [item for item, own in zip(answer.items, which, strict=True) if own]
        if not wanted:
            return answer
        batcher, query = self._batcher_of(request, arm), arm.query(request.query)
        explained = iter(await batcher.explain(query, wanted, served, request.client))
        items = [next(explained) if own else item for item, own in zip(answer.items, which, strict=True)]
        return replace(answer, items=tuple(items))

    def _batcher_of(self, request: _Request, arm: Arm) -> Batcher:
        return self.arms.batcher_of(request.experiment, arm) or self._batcher

    # The log

    async def written(self) -> None:
        """When this returns, everything shown so far is in the store."""
        await self.exposures.written()

    async def lines(self, name: str, after: int, n: int) -> list[tuple[int, Exposure]]:
        """Part of the log of an experiment."""
        self.get(name)
        await self.written()
        # Not shared: a user deleted meanwhile is in none that is asked for from then on.
        return await self._tallies.alone(lambda: list(self.log.exposures(name, after, n)))

    def forget(self, user: str) -> None:
        """Drops what waits to be written about a user."""
        self.exposures.forget(user)

    def users(self) -> list[str]:
        """Users who are remembered here, some more than once. For any thread."""
        return self.exposures.users()

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
            exposures = (exposure for _, exposure in self.log.exposures(name))
            return results(experiment, exposures, self.log.goals(experiment), time.time())

        # A change of the experiment itself shows at once.
        tally: ExperimentResults = await self._tallies.of(("results", name, experiment.running), work)
        return replace(tally, broken=self.broken.get(name))

    # Changes: one at a time, see `crossaisle.serve.changes`

    async def create(self, experiment: Experiment, actor: str = "") -> None:
        """Starts an experiment. `ConflictError` where the name or the placement is taken. `actor`: for the
        audit log.
        """
        self._check(experiment)
        built = await self._built(experiment)
        await asyncio.wrap_future(self.log.put(experiment, (actor, f"started experiment {experiment.name}")))
        self.arms.add(built)
        self.all[experiment.name] = experiment

    async def stop(self, name: str, actor: str = "") -> Experiment:
        """Ends an experiment; all users get the active model's lists again. `actor`: for the audit log."""
        experiment = self.get(name)
        if experiment.running:
            experiment = replace(experiment, stopped=time.time())
            await asyncio.wrap_future(self.log.put(experiment, (actor, f"stopped experiment {name}")))
            self._end(experiment)
        return experiment

    async def follow(self, name: str) -> None:
        """Takes over what another worker started or stopped."""
        experiment = await self._threads.read(self.log.experiment, name)
        if experiment.running:
            self.arms.add(await self._built(experiment))
            self.all[name] = experiment
        else:
            self._end(experiment)

    async def _built(self, experiment: Experiment) -> Recommenders:
        return await self._threads.build(self.arms.built, experiment, self._served())

    def _check(self, experiment: Experiment) -> None:
        if experiment.name in self.all:
            raise ConflictError(f"an experiment named {experiment.name!r} already exists")
        for other in self.all.values():
            if other.running and other.placement == experiment.placement:
                raise ConflictError(f"experiment {other.name!r} runs on {other.placement}: stop it first")

    def _end(self, experiment: Experiment) -> None:
        self.all[experiment.name] = experiment
        self.broken.pop(experiment.name, None)
        self.arms.remove(experiment.name)

    def rebuilt(self, served: Served) -> Recommenders:
        """Recommenders of all running arms, for another model or catalogue. Slow: not in the event loop."""
        running = [one for one in self.all.values() if one.running and one.name not in self.broken]
        return self.arms.rebuilt(running, served)

    def close(self) -> None:
        """Writes what is left."""
        self.exposures.flush()
        self.arms.close()


def _page(whole: RecommendationList, items: Sequence[Recommendation], query: Query) -> RecommendationList:
    """The page that was asked for. `whole`: the list from the first place on that `items` are taken from."""
    ranked = tuple(replace(item, rank=rank) for rank, item in enumerate(items, query.offset + 1))
    notices = [notice for notice in whole.notices if not notice.endswith(TOO_FEW)]
    if len(ranked) < query.n:
        notices.append(f"{len(ranked)} of {query.n}{TOO_FEW}")
    return replace(whole, items=ranked, notices=tuple(notices), cross_share=None, relevance_kept=None)
