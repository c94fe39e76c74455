"""`ShopService`: one shop behind the endpoints: store, live histories, the model that serves, its others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from weakref import ref

from crossaisle import artifact, sharing
from crossaisle.api_types import CategoryLinks, InExperiment
from crossaisle.data.query import Query
from crossaisle.errors import ArtifactError, ConfigError, StoreError, UnknownIdError, shorten
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.experiments.running import Experiments
from crossaisle.serve.limits import ServingLimits
from crossaisle.serve.live.batching import Batcher
from crossaisle.serve.live.capacity import Room
from crossaisle.serve.live.event_counts import Pairs
from crossaisle.serve.live.heavy_queue import Heavy
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.pictures import Pictures
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.live.tallies import Tallies
from crossaisle.serve.live.warmup import ahead, warm
from crossaisle.serve.metrics import Metrics
from crossaisle.serve.store.store import Deed, Event, Picture, Store
from crossaisle.serve.workers.replication import Change, Replica
from crossaisle.serve.workers.shared_state import UNMARKED

if TYPE_CHECKING:
    from crossaisle.serve.workers.shared_state import WorkerSlot

T = TypeVar("T")
Bodies = Mapping[str, dict[str, Any]]
"""What differs from the model's catalogue, by item id."""
_LOG = logging.getLogger(__name__)


class Added(NamedTuple):
    """What became of events."""

    accepted: int
    duplicates: int
    forgotten: int
    """Covered by a deletion of their person, and not kept."""


class Erased(NamedTuple):
    """What became of a person."""

    events: int
    overwritten: bool
    """Whether no file of the store holds anything of what was deleted."""


class ShopService:
    """One shop. Made by `open`; the endpoints only translate between HTTP and its methods."""

    def __init__(
        self,
        model: Path,
        base: Recommender,
        store: Store,
        models: Path | None,
        *,
        name: str = "",
        following: Replica | None = None,
        image_hosts: Sequence[str] = (),
        limits: ServingLimits = ServingLimits(),
    ) -> None:
        """`name`: of the shop, where there may be several. `following`: where other workers serve it, too.
        `image_hosts`: whose pictures may be fetched.
        """
        self.limits = limits
        self.pictures = Pictures(image_hosts, limits.live.pictures)
        self.store, self.models, self.name = store, models, name
        self.metrics = Metrics(shop=name)
        self.following = following
        self.live = LiveHistories(self._known_events(), store.forgotten(), limits=limits.live.histories)
        self.changed: dict[str, dict[str, Any]] = store.items()
        self.room = Room.of(self.changed)
        self.active = self.previous = model
        if following is not None and following.latest is not None:
            self.active, self.previous = map(Path, following.latest)
        self.kept: dict[str, Picture] = store.pictures()
        """Pictures of items that were put in, without their contents."""
        if again := self.pictures.looked_at_by(base, self.kept, store.picture):
            try:
                store.put_items({}, again).result()
            except StoreError as error:  # they are looked at again by the next start
                _LOG.warning("how the model sees pictures is not kept: %s", error)
            self.kept |= _slim(again)
        self.shop = LiveRecommender(base, self.live, self.changed, pictures=self.kept, limits=limits.live)
        self.heavy, self.tallies = Heavy(limits.live.queues), Tallies(limits.live.queues)
        self.batcher = Batcher(lambda: self.shop, self.metrics, self.heavy, limits.live.queues)
        self.latest: deque[Event] = deque(maxlen=50)
        self.started = time.monotonic()
        # Changes to the catalogue and of the model, one after the other.
        self._changes = ThreadPoolExecutor(1, "changes")
        # Of its own, so that a database that is slow holds up nobody else.
        self.readers = ThreadPoolExecutor(2, "reading")
        self._counting: Future[Pairs] | None = None
        self.changing = asyncio.Lock()
        self.experiments = Experiments(self)
        if following is not None:
            following.bind(self)

    @classmethod
    def open(
        cls,
        model: str | Path,
        store: str | Path,
        models: str | Path | None = None,
        *,
        name: str = "",
        image_hosts: Sequence[str] = (),
        seat: WorkerSlot | None = None,
        run: str = "",
        limits: ServingLimits = ServingLimits(),
    ) -> ShopService:
        """Loads a saved model and opens the store; `ArtifactError`, `StoreError`, `ConfigError`.

        `seat`, `run`: of this process, where several workers serve from the store.
        """
        folder = None if models is None else Path(models)
        if seat is None:
            base = Recommender.load(model)
            opened = Store(store, serving=True)
        else:
            opened = Store(store, seat, run="" if seat.get(UNMARKED) else run)
        following = None
        try:
            if seat is not None:
                following = Replica(opened, seat, run)
                base = Recommender.load(following.latest[0] if following.latest else model)
            return cls(
                Path(model),
                base,
                opened,
                folder,
                name=name,
                following=following,
                image_hosts=image_hosts,
                limits=limits,
            )
        except BaseException:
            if following is not None:
                following.close()
            opened.close()
            raise

    def _known_events(self) -> Iterator[Event]:
        """Events of the store; the number of the last one is where following goes on."""
        for seq, event in self.store.events():
            if self.following is not None:
                self.following.event = seq
            yield event

    # Questions

    async def prepare(self, calm: Callable[[], float] | None = None) -> None:
        """Makes the lists of the people the model knows, one after the other, while nobody asks.

        `calm`: seconds since somebody did; by default somebody of this shop.
        """
        idle = self.limits.live.idle_seconds
        for query in ahead(self.shop):
            while (self.calm if calm is None else calm()) < idle:
                await asyncio.sleep(idle)
            if not self.shop.is_cached(query):
                await self.batcher.prepare([query])

    @property
    def calm(self) -> float:
        """Seconds since somebody asked, be it this worker or another one."""
        own = self.batcher.calm
        return own if self.following is None else min(own, self.following.seat.calm)

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs what reads the store beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.readers, work, *arguments)

    async def recommend(self, query: Query, client: str = "") -> RecommendationList:
        """The list for one query, live events counted. `client`: who asks."""
        return await self.batcher.ask(query, client)

    async def recommend_to(
        self, query: Query, client: str = ""
    ) -> tuple[RecommendationList, InExperiment | None]:
        """The same, where an experiment may decide how the list is made, and what is logged then."""
        experiment = self.experiments.of(query)
        if experiment is None:
            return await self.batcher.ask(query, client), None
        return await self.experiments.recommend(experiment, query, client)

    # Events

    async def add_events(self, events: Sequence[Event]) -> Added:
        """Keeps events and counts them at once; how many were new (by idempotency key).

        When this returns they are on the disk and count in the next answer. `ConflictError` where a key is
        known with another content: then none of them is kept.
        """
        # Shielded: a client that goes away must not come between the disk and the memory.
        return await asyncio.shield(asyncio.ensure_future(self._add(events)))

    async def _add(self, events: Sequence[Event]) -> Added:
        kept = await _done(self.store.add(events))
        if self.following is None:
            late = [event for event in self.store.late() if not self.live.forgotten.covers(event)]
            self.count((*late, *kept.fresh))
        else:
            await self.following.fresh()  # in the order that all workers see
        fresh = len(kept.fresh)
        added = Added(fresh, len(events) - fresh - kept.forgotten, kept.forgotten)
        for name, n in zip(("events", "duplicate_events", "forgotten_events"), added, strict=True):
            self.metrics.counts[name] += n
        return added

    def count(self, events: Sequence[Event]) -> None:
        """Has events count from the next answer on."""
        self.live.add(events)
        if self.live.trends.full and (self._counting is None or self._counting.done()):
            self._counting = self.readers.submit(self.live.trends.pairs)
        self.latest.extend(events[-50:])

    async def forget(self, user: str, who: str = "") -> Erased:
        """Deletes everything about a person. When this returns, nobody is shown anything of before.

        `who`: for the audit log.
        """
        return await asyncio.shield(asyncio.ensure_future(self._forget(user, who)))

    async def _forget(self, user: str, who: str) -> Erased:
        gone = await _done(self.store.forget(user, who))
        if self.following is None:
            self.drop(self.store.digest_of(user), [user], gone.time, gone.arrived)
        else:
            await self.following.forgotten()
        # What was shown to the person before everybody knew.
        await _done(self.store.forget_shown(user, time.time()))
        return Erased(gone.events, await _done(self.store.clean()))

    async def put_user(self, user: str, attributes: dict[str, Any]) -> None:
        """Keeps the attributes of a person."""
        await _done(self.store.put_user(user, attributes))

    # Items

    async def put_items(self, bodies: Bodies) -> None:
        """Keeps changed and new items, whole; when this returns they hold in every answer.

        Pictures are fetched and looked at first, while other changes go on.
        """
        pictures = await self.pictures.of(bodies, self.kept, self.shop.base)
        await self._change(lambda _: bodies, pictures)

    async def patch_item(self, item: str, fields: Mapping[str, Any]) -> None:
        """Changes some fields of an item."""
        pictures: Mapping[str, Picture | None] = {}
        if "image" in fields:
            pictures = await self.pictures.of({item: fields}, self.kept, self.shop.base)
        await self._change(lambda changed: {item: {**changed.get(item, {}), **fields}}, pictures)

    async def delete_item(self, item: str, who: str = "") -> None:
        """Takes an item out of the shop, and what is known of it and its picture out of the store.

        `who`: for the audit log.
        """
        deed = who, f"deleted item {item}"
        await self._change(lambda _: {item: {"deleted": True}}, {item: None}, deed)

    async def put_picture(self, item: str, content: bytes) -> None:
        """Keeps the picture of an item, which is new where nothing is known of it."""
        picture = await self.pictures.sent(content, self.shop.base)

        def shown(changed: Bodies) -> dict[str, dict[str, Any]]:
            before = {name: value for name, value in changed.get(item, {}).items() if name != "deleted"}
            return {item: {**before, "image": None}}

        await self._change(shown, {item: picture})

    async def delete_picture(self, item: str, who: str = "") -> None:
        """Forgets the picture of an item; `UnknownIdError` where it has none. `who`: for the audit log."""
        if item not in self.kept:
            raise UnknownIdError(f"item {shorten(item)} has no picture that was put in")
        deed = who, f"deleted the picture of item {item}"
        await self._change(
            lambda changed: {item: {**changed.get(item, {}), "image": None}}, {item: None}, deed
        )

    async def _change(
        self,
        change: Callable[[Bodies], Bodies],
        pictures: Mapping[str, Picture | None],
        deed: Deed | None = None,
    ) -> None:
        """`change`: from what has changed so far to the bodies that change now."""
        async with self.alone(), self.changing:
            await self._take_items(change(self.changed), pictures, keep=True, deed=deed)

    async def _take_items(
        self,
        bodies: Bodies,
        pictures: Mapping[str, Picture | None],
        *,
        keep: bool,
        deed: Deed | None = None,
    ) -> None:
        base, put = self.shop.base, dict(pictures)
        if new := {item: one for item, one in put.items() if one is not None}:
            # The model may have been switched since they were looked at.
            put |= await self.in_order(self.pictures.looked_at_by, base, new, self.store.picture)
        room = self.room.after(
            self.changed, bodies, base.dataset.n_items if keep else None, self.limits.live.capacity
        )
        changed, kept = self.changed | dict(bodies), self.kept
        if put:
            kept = {item: one for item, one in kept.items() if item not in put}
            kept |= _slim({item: one for item, one in put.items() if one is not None})
        shop = await self._rebuilt(base, changed, kept)
        arms = await self.in_order(self.experiments.rebuilt, base, changed, kept)
        if keep:
            await _done(self.store.put_items(dict(bodies), put, deed))
        self.changed, self.kept, self.shop, self.room = changed, kept, shop, room
        self.experiments.use(arms)

    async def _rebuilt(
        self, base: Recommender, changed: dict[str, dict[str, Any]], kept: dict[str, Picture]
    ) -> LiveRecommender:
        before, limits = self.shop, self.limits.live
        return await self.in_order(
            lambda: LiveRecommender(base, self.live, changed, before=before, pictures=kept, limits=limits)
        )

    async def in_order(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs slow work in the thread of changes, one after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._changes, work, *arguments)

    async def category_links(self, n: int) -> CategoryLinks:
        """Which categories people shop together, now."""
        shop = self.shop
        self.live.trends.tick()
        found: CategoryLinks = await self.tallies.of(
            ("links", ref(shop), n), lambda: shop.trending.links(shop.dataset, n)
        )
        return found

    # Models

    def known_models(self) -> list[str]:
        """Names of the folders that may be activated."""
        if self.models is None or not self.models.is_dir():
            return []
        return sorted(p.name for p in self.models.iterdir() if (p / artifact.MANIFEST).is_file())

    async def activate(self, name: str, who: str = "") -> None:
        """Serves another saved model; the one in use goes on until the new one is warm. `who`: for the
        audit log.

        Raises `UnknownIdError` for a name that is not there and `ArtifactError` for a damaged model.
        """
        if self.models is None:
            raise ConfigError("start the service with --models FOLDER to switch between models")
        if name not in self.known_models():
            raise UnknownIdError(f"no model {shorten(name)} in the folder of models")
        await self._switch(self.models / name, (who, f"activated model {name}"))

    async def roll_back(self, who: str = "") -> None:
        """Serves the model that was served before the last switch. `who`: for the audit log."""
        await self._switch(None, (who, "rolled the model back"))

    async def _switch(self, folder: Path | None, deed: Deed) -> None:
        """To a model, or to the previous one."""
        async with self.alone(), self.changing:
            if folder is None and self.previous == self.active:
                raise ConfigError("there is no earlier model to go back to")
            before = self.previous
            await self._take_model(folder or before, keep=True, deed=deed)
        if before not in (self.active, self.previous):
            sharing.drop(before)

    async def _take_model(self, folder: Path, *, keep: bool, deed: Deed | None = None) -> None:
        with artifact.reading(folder):
            base = await self.in_order(Recommender.load, folder)
            kept = self.kept if keep else await self.read(self.store.pictures)
            again = await self.in_order(self.pictures.looked_at_by, base, kept, self.store.picture)
            kept = kept | _slim(again)
            shop = await self._rebuilt(base, self.changed, kept)
            try:
                await self.in_order(warm, shop, self.shop.cache.queries())
            except Exception as error:
                raise ArtifactError(f"{folder.name}: the model does not answer ({error})") from error
            arms = await self.in_order(self.experiments.rebuilt, base, self.changed, kept)
        if keep and again:
            await _done(self.store.put_items({}, again))
        if keep:
            run = "" if self.following is None else self.following.run
            body = {"run": run, "active": str(folder), "previous": str(self.active)}
            await _done(self.store.put_active(body, deed))
        self.previous, self.active = self.active, folder
        self.kept, self.shop = kept, shop
        self.experiments.use(arms)
        self.metrics.counts["model_switches"] += 1

    # Other workers

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Around a change: no other worker changes anything meanwhile, and all have it behind it."""
        return nullcontext() if self.following is None else self.following.alone()

    async def follow(self, changes: Sequence[Change]) -> None:
        """Takes in what other workers changed; `changing` is held."""
        names = [one.name for one in changes if one.what == "item"]
        if names:
            bodies = await self.read(self.store.items, names)
            shown = await self.read(self.store.pictures, names)
            known = {name: shown.get(name) for name in names if name in shown or name in self.kept}
            await self._take_items(bodies, known, keep=False)
        for one in changes:
            if one.what == "model" and self.following is not None:
                latest = self.following.model_of(one.body)
                if latest is not None and Path(latest[0]) != self.active:
                    await self._take_model(Path(latest[0]), keep=False)
            elif one.what == "experiment":
                await self.experiments.follow(one.name)

    def everybody(self) -> Iterator[str]:
        """Names of all people of whom anything is in memory; some come more than once."""
        yield from self.live.names()
        yield from self.experiments.people()
        for shop in (self.shop, *self.experiments.shops()):
            yield from shop.base.dataset.user_ids.all

    def drop(self, digest: bytes, names: Sequence[str], deleted: float, arrived: Sequence[float]) -> None:
        """Forgets a person in memory. `names`: that have this digest, as far as they are known here."""
        for name in names:
            self.experiments.forget(name)
            self.live.forget(name, deleted, arrived)
        if not names:
            self.live.forget_digest(digest, deleted)
        covers = self.live.forgotten.covers
        self.latest = deque((e for e in self.latest if not covers(e)), maxlen=50)

    def report(self) -> dict[str, Any]:
        """What other workers show for this one."""
        return self.metrics.report(self.gauges())

    def reports(self) -> list[tuple[str, dict[str, Any]]]:
        """Of all workers, where there are several: of this one now, of the others within the last second."""
        if self.following is None:
            return []
        seat = self.following.seat
        every = [(seat.worker, self.report()), *seat.reports()]
        return [(str(worker), report) for worker, report in sorted(every, key=lambda pair: pair[0])]

    async def note(self, who: str, what: str) -> None:
        """One line of the audit log."""
        await _done(self.store.note(time.time(), who, what))

    def gauges(self) -> dict[str, float]:
        """Numbers of now."""
        shop = self.shop
        return {
            "items": shop.dataset.n_items,
            "kept_rankings": len(shop.cache),
            "ranking_hits": shop.cache.hits,
            "ranking_misses": shop.cache.misses,
            "store_up": float(self.store.up),
            "up_seconds": time.monotonic() - self.started,
        }

    def close(self) -> None:
        """Finishes what is under way and closes the store."""
        self.experiments.close()
        self.pictures.close()
        self.batcher.close()
        self.heavy.close()
        self.tallies.close()
        self._changes.shutdown(wait=True)
        if self.following is not None:
            self.following.close()
        self.readers.shutdown(wait=True)
        self.store.close()


def _slim(pictures: Mapping[str, Picture]) -> dict[str, Picture]:
    """Without their contents, which stay in the store."""
    return {item: one._replace(content=b"") for item, one in pictures.items()}


async def _done(future: Future[T]) -> T:
    return await asyncio.wrap_future(future)
