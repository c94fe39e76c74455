"""`ShopService`: one shop behind the endpoints: its store, live histories, model, changes and experiments."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar
from weakref import ref

from crossaisle.api_types import CategoryLinks, InExperiment
from crossaisle.data.query import Query
from crossaisle.errors import CrossaisleError
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.changes import Changes
from crossaisle.serve.experiments.arms import Arms
from crossaisle.serve.experiments.exposures import ExposureQueue
from crossaisle.serve.experiments.log import ExperimentLog
from crossaisle.serve.experiments.running import Experiments
from crossaisle.serve.limits.serving import ServingLimits
from crossaisle.serve.live.drift import DriftGauges
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.insights.coverage import BestSellers, Coverage
from crossaisle.serve.live.insights.insights import Insights
from crossaisle.serve.live.insights.interests import InterestPoints
from crossaisle.serve.live.pictures import Pictures
from crossaisle.serve.live.queues.batching import Batcher
from crossaisle.serve.live.queues.heavy_queue import Heavy
from crossaisle.serve.live.queues.tallies import Tallies
from crossaisle.serve.live.queues.threads import Threads
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.live.saved_models import SavedModels, local_copy
from crossaisle.serve.live.warmup import ahead
from crossaisle.serve.metrics import Metrics
from crossaisle.serve.store.packed.merging import PackedEvents
from crossaisle.serve.store.postgres.engine import PostgresEngine
from crossaisle.serve.store.store import Event, Store, takes_hosts
from crossaisle.serve.store.totals import TotalsTable
from crossaisle.serve.workers.hosts import HostSlot, own_slot
from crossaisle.serve.workers.intake import Added, Erased, Intake
from crossaisle.serve.workers.memory import ShopMemory
from crossaisle.serve.workers.replication import Replica, ReplicaStart, Switch
from crossaisle.serve.workers.shared_state import UNMARKED, WorkerSlot
from crossaisle.serve.workers.state import Current, ServingState
from crossaisle.serve.workers.switching import joined

T = TypeVar("T")


class ShopService:
    """One shop. Made by `open`; the endpoints only translate between HTTP and its parts."""

    def __init__(
        self,
        store: Store,
        live: LiveHistories,
        state: ServingState,
        *,
        pictures: Pictures,
        name: str = "",
        models: SavedModels | None = None,
        start: ReplicaStart | None = None,
        last_event: int = 0,
        limits: ServingLimits = ServingLimits(),
    ) -> None:
        """`live`: holds the events of the store up to number `last_event`. `start`: where other workers
        serve the shop, too.
        """
        self.name, self.store, self.live = name, store, live
        self.image_hosts = pictures.named
        self._current = current = Current(state)
        self._threads = threads = Threads()
        self._started = time.monotonic()
        self._drift = DriftGauges()
        self.interests = InterestPoints()
        self.limits, queues = limits, limits.live.queues
        self.metrics, self._heavy, self._tallies = Metrics(shop=name), Heavy(queues), Tallies(queues)
        self.batcher = Batcher(lambda: current.state.recommender, self.metrics, self._heavy, queues)
        log, arms = ExperimentLog(store), Arms(live, models, self.metrics, self._heavy, limits.live)
        self.experiments = Experiments(
            log,
            ExposureQueue(log, store, live.forgotten, self.metrics.counts),
            arms,
            served=lambda: current.state,
            live=live,
            batcher=self.batcher,
            tallies=self._tallies,
            threads=threads,
        )
        place = 0 if start is None else start.slot.place
        self.totals = TotalsTable(store, place)
        self.insights = Insights(
            self.totals,
            lambda item: current.state.recommender.catalogue.price_of(item),
            Coverage(
                TotalsTable(store, place, "coverage"),
                BestSellers(lambda: current.state.recommender.base.dataset),
                limits.live.insights,
            ),
            limits.live.insights,
        )
        self.memory = ShopMemory(
            live,
            self.experiments,
            self.insights,
            lambda: (current.state.recommender, *arms),
            threads.readers,
            store,
        )
        self.replica: Replica | None = None
        if start is not None:
            self.replica = Replica(store, start, self.memory, event=last_event, limits=limits.workers)
        self._intake = Intake(store, live, self.memory, self.metrics.counts, self.replica)
        self.changes = Changes(
            current,
            store,
            self.experiments,
            live=live,
            pictures=pictures,
            models=models,
            metrics=self.metrics,
            threads=threads,
            replica=self.replica,
            limits=limits.live,
        )

    @classmethod
    def open(
        cls,
        model: str | Path,
        store: str | Path,
        models: str | Path | None = None,
        *,
        name: str = "",
        image_hosts: Sequence[str] = (),
        slot: WorkerSlot | None = None,
        run: str = "",
        limits: ServingLimits = ServingLimits(),
    ) -> ShopService:
        """Loads a saved model and opens the store; `ArtifactError`, `StoreError`, `ConfigError`.

        `models`: folder of saved models to switch between. It and `model` may be addresses in a bucket.
        `name`: of the shop, where there may be several.
        `image_hosts`: whose pictures may be fetched. `slot`, `run`: of this process, where several workers
        serve from the store.
        """
        saved = None if models is None else SavedModels(models)
        with ExitStack() as undo:
            first, start, among = local_copy(model), None, slot or own_slot(store, limits.workers, name)
            if slot is None:
                opened = Store(store, among, run=run, serving=True, limits=limits.store)
            else:
                opened = Store(store, slot, run="" if slot.get(UNMARKED) else run, limits=limits.store)
            undo.callback(opened.close)
            if among is not None:
                across: WorkerSlot | HostSlot = among
                run = opened.engine.run or run
                if isinstance(opened.engine, PostgresEngine) and takes_hosts(store):
                    across = HostSlot(among, opened.engine, limits.workers)
                    undo.callback(across.close)
                start = ReplicaStart.read(opened, across, run)
                if isinstance(across, HostSlot):
                    start = joined(opened, start, first, saved)
            with ThreadPoolExecutor(1, "reading") as beside:
                events = beside.submit(opened.packed_events)
                base = Recommender.load(start.switch.active if start and start.switch else first)
            service = cls.assemble(
                opened,
                base,
                first,
                saved,
                name=name,
                image_hosts=image_hosts,
                start=start,
                events=events.result(),
                limits=limits,
            )
            undo.pop_all()
        return service

    @classmethod
    def assemble(
        cls,
        store: Store,
        base: Recommender,
        model: str | Path,
        models: SavedModels | None = None,
        *,
        name: str = "",
        image_hosts: Sequence[str] = (),
        start: ReplicaStart | None = None,
        events: PackedEvents | None = None,
        limits: ServingLimits = ServingLimits(),
    ) -> ShopService:
        """From a store that is open and a model that is loaded. `start` was read before anything else.

        `events`: of the store, where these were read already, after `start`.
        """
        pictures = Pictures(image_hosts, limits.live.pictures)
        meanings, bounds = base.dataset.meanings, limits.live.histories
        forgotten = store.forgotten()
        stored = store.packed_events() if events is None else events
        live = LiveHistories((), forgotten, stored=stored, meanings=meanings, limits=bounds)
        switch = (start and start.switch) or Switch(str(model), str(model))
        state = ServingState.read(store, base, live, pictures, switch, limits.live)
        service = cls(
            store,
            live,
            state,
            pictures=pictures,
            name=name,
            models=models,
            start=start,
            last_event=live.last_stored,
            limits=limits,
        )
        service.experiments.restore()
        return service

    @property
    def state(self) -> ServingState:
        """What serves now."""
        return self._current.state

    @property
    def shop(self) -> LiveRecommender:
        """The recommender that serves now."""
        return self._current.state.recommender

    # Lists

    async def prepare(self, idle_seconds: Callable[[], float] | None = None) -> None:
        """Makes the lists to expect (`ahead`), one after the other, while there are no requests.

        `idle_seconds`: since the last request; by default the last one of this shop.
        """
        wait = self.limits.live.idle_seconds
        for query in ahead(self.shop):
            while (self.idle_seconds if idle_seconds is None else idle_seconds()) < wait:
                await asyncio.sleep(wait)
            with suppress(CrossaisleError):  # another model may serve by now, which lacks an item
                if not self.shop.is_cached(query):
                    await self.batcher.prepare([query])

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request, of this worker or another one."""
        own = self.batcher.calm
        return own if self.replica is None else min(own, self.replica.slot.idle_seconds)

    async def recommend(self, query: Query, client: str = "") -> RecommendationList:
        """The list for one query, live events counted. `client`: who asks."""
        while True:
            number = self.live.forgotten.number
            answer = await self.batcher.ask(query, client)
            if not self._deleted_since(number, query):
                return answer

    async def recommend_to(
        self, query: Query, client: str = ""
    ) -> tuple[RecommendationList, InExperiment | None]:
        """The same, where an experiment may decide how the list is made; then what is logged of it."""
        experiment, number = self.experiments.of(query), self.live.forgotten.number
        answer, within = (
            (await self.batcher.ask(query, client), None)
            if experiment is None
            else await self.experiments.recommend(experiment, query, client)
        )
        if self._deleted_since(number, query):
            return await self.recommend(query, client), None  # and nothing is logged of it
        self.insights.shown(answer, within)
        return answer, within

    def _deleted_since(self, number: int, query: Query) -> bool:
        """Whether a list was made from what has been deleted meanwhile. `number`: of the last deletion when
        it was asked for.
        """
        return query.user is not None and self.live.forgotten.since(number, query.user)

    async def category_links(self, n: int, names: tuple[str, ...] = ()) -> CategoryLinks:
        """Which categories users shop together, now: the `n` most shopped, or those named."""
        shop = self.shop
        self.live.trends.tick()
        links: CategoryLinks = await self._tallies.of(
            ("links", ref(shop), n, names), lambda: shop.trending.links(shop.dataset, n, names)
        )
        return links

    async def event_totals(self, first_day: int) -> list[dict[str, Any]]:
        """Events by day and role, from a day (since 1970, UTC) on."""
        rows = await self._tallies.of(("events", first_day), lambda: self.totals.events(first_day))
        sums: dict[tuple[int, str], list[float]] = {}
        for day, kind, n, value in rows:
            one = sums.setdefault((day, self.live.meanings.meaning(kind).role), [0, 0.0])
            one[0] += n
            one[1] += value
        return [{"day": day, "role": role, "events": n, "value": v} for (day, role), (n, v) in sums.items()]

    # Events and users

    async def add_events(self, events: Sequence[Event]) -> Added:
        """Keeps events; when this returns they are on disk and count in the next answer. See `Intake.add`."""
        return await self._intake.add(events)

    async def forget(self, user: str, actor: str = "") -> Erased:
        """Deletes everything about a user; when this returns, no list is made from what was there before.

        `actor`: for the audit log.
        """
        return await self._intake.forget(user, actor)

    async def withdraw(self, key: str, actor: str = "") -> Erased:
        """Deletes the event that was sent with a key; `UnknownIdError`. `actor`: for the audit log."""
        return await self._intake.withdraw(key, actor)

    async def put_user(self, user: str, attributes: dict[str, Any]) -> None:
        """Keeps the attributes of a user; `ConflictError` if the user is deleted meanwhile."""
        deleted = await self.read(self.store.deleted_at, user)
        await self._intake.put_user(user, attributes, deleted)

    # The store

    @property
    def readers(self) -> Executor:
        """Threads that read the store."""
        return self._threads.readers

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs what reads the store beside the event loop."""
        return await self._threads.read(work, *arguments)

    # Metrics

    def gauges(self) -> dict[str, float]:
        """Current gauge values."""
        shop = self.shop
        return {
            "items": shop.dataset.n_items,
            "kept_rankings": len(shop.cache),
            "ranking_hits": shop.cache.hits,
            "ranking_misses": shop.cache.misses,
            "store_up": float(self.store.up),
            "up_seconds": time.monotonic() - self._started,
            **self._drift.values(shop, self.memory.latest),
        }

    def report(self) -> dict[str, Any]:
        """What other workers show for this one in `/metrics`."""
        return self.metrics.report(self.gauges())

    def reports(self) -> list[tuple[str, dict[str, Any]]]:
        """Of all workers, where there are several: of this one now, of the others within the last second."""
        if self.replica is None or self.replica.slot.shared.workers == 1:
            return []
        slot = self.replica.slot
        every = [(slot.worker, self.report()), *slot.reports()]
        return [(str(worker), report) for worker, report in sorted(every, key=lambda pair: pair[0])]

    # Other workers

    async def asked(self) -> None:
        """Before a request is answered: what other workers have acknowledged counts from here on."""
        if self.replica is not None:
            await self.replica.asked()

    async def start(self) -> None:
        """Before the first request: from now on the others wait for this worker."""
        if self.replica is not None:
            await self.replica.start(self.changes.follow, self.report)

    async def stop(self) -> None:
        """After the last request."""
        if self.replica is not None:
            await self.replica.stop()

    def close(self) -> None:
        """Finishes what is under way and closes the store."""
        self.experiments.close()
        self.insights.flush()
        self.insights.coverage.flush()
        self.changes.pictures.close()
        self.batcher.close()
        self._heavy.close()
        self._tallies.close()
        self._threads.close()
        if self.replica is not None:
            self.replica.close()
        self.store.close()
