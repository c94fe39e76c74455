"""`Changes`: items, pictures, models and experiments of a shop change one at a time, while it serves.

Lists are made from a `ServingState`, which is immutable: a change builds the next one beside the event loop,
writes to the store, and swaps the state in one assignment. No request sees half a change.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from crossaisle import artifact, sharing
from crossaisle.data.merchandising.matching import check_changed
from crossaisle.data.merchandising.rules import RuleSet
from crossaisle.errors import (
    ArtifactError,
    ConfigError,
    CrossaisleError,
    UnknownIdError,
    shorten,
)
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.experiments.design import Experiment
from crossaisle.serve.experiments.running import Experiments
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.catalogue.differences import taken_back
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.pictures import Pictures
from crossaisle.serve.live.queues.threads import Threads
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.live.saved_models import SavedModels
from crossaisle.serve.live.warmup import warm
from crossaisle.serve.metrics import Metrics
from crossaisle.serve.store.records import Change
from crossaisle.serve.store.store import Deed, Picture, Store
from crossaisle.serve.workers.hosts import HostSlot
from crossaisle.serve.workers.replication import Replica, Switch
from crossaisle.serve.workers.state import Current, Loaded, rules_of, without_contents
from crossaisle.serve.workers.switching import WANTED, Told, Wanted, agreed, located, switch_body, wanted, why

T = TypeVar("T")
Bodies = Mapping[str, dict[str, Any]]
"""What differs from the model's catalogue, by item id."""
_LOG = logging.getLogger(__name__)


class Changes:
    """Makes changes one after the other, and applies those that other workers made."""

    def __init__(
        self,
        current: Current,
        store: Store,
        experiments: Experiments,
        *,
        live: LiveHistories,
        pictures: Pictures,
        models: SavedModels | None,
        metrics: Metrics,
        threads: Threads,
        replica: Replica | None = None,
        limits: LiveLimits = LiveLimits(),
    ) -> None:
        """`models`: the folder of saved models. `replica`: where other workers serve the shop, too."""
        self.models = models
        self._current, self._store, self._experiments = current, store, experiments
        self._live, self.pictures, self._metrics = live, pictures, metrics
        self._threads, self._replica, self.limits = threads, replica, limits
        self._lock = asyncio.Lock()
        self._ready: tuple[Wanted, Loaded] | None = None
        self._told: Told | None = None
        if replica is not None and isinstance(replica.slot, HostSlot):
            self._told = Told(replica.slot)
            self._told.serves(current.state.active)

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Around a change: nothing else changes meanwhile, and afterwards all workers have it."""
        return self._lock if self._replica is None else self._replica.exclusive(self.follow)

    async def follow(self, changes: Sequence[Change]) -> None:
        """Applies what other workers changed."""
        if names := [change.name for change in changes if change.what == "item"]:
            bodies = await self._threads.read(self._store.items, names)
            shown = await self._threads.read(self._store.pictures, names)
            before = self._current.state.pictures
            known = {name: shown.get(name) for name in names if name in shown or name in before}
            await self._take_items(bodies, known, keep=False)
        for change in changes:
            if change.what == "model" and self._replica is not None:
                switch = Switch.of(change.body, self._replica.run)
                if switch is not None:
                    await self._follow(switch)
            elif change.what == WANTED:
                await self._get_ready(wanted(change.body))
            elif change.what == "experiment":
                await self._experiments.follow(change.name)
            elif change.what == "rules":
                await self._take_rules(rules_of(await self._threads.read(self._store.rules)))

    # Items and pictures

    async def put_items(self, bodies: Bodies) -> None:
        """Keeps changed and new items, whole; when this returns they count in every answer.

        Pictures are fetched and encoded first, while other changes go on.
        """
        pictures = await self._fetched(bodies)
        await self._change(lambda _: bodies, pictures)

    async def patch_items(self, fields: Bodies) -> None:
        """Changes some fields of items: of all of them, or `UnknownIdError` for one that the shop lacks."""
        self.check_listed(fields)  # before pictures are fetched
        pictures = await self._fetched({item: some for item, some in fields.items() if "image" in some})

        def patched(changed: Bodies) -> dict[str, dict[str, Any]]:
            self.check_listed(fields)
            return {item: {**changed.get(item, {}), **some} for item, some in fields.items()}

        await self._change(patched, pictures)

    def check_listed(self, items: Iterable[str]) -> None:
        """`UnknownIdError` for an item that the shop lacks, or that was removed from it."""
        state = self._current.state
        for item in items:
            if state.changed.get(item, {}).get("deleted"):
                raise UnknownIdError(f"item {shorten(item)} was removed from the shop; PUT brings it back")
            state.recommender.dataset.item_ids.row(item)

    async def drop(self, items: Iterable[str] | None, actor: str = "") -> int:
        """Forgets what was told about items that the model has, so that its catalogue counts again, and
        takes out those that it lacks; None: about all. Returns how many. `actor`: for the audit log.
        """
        async with self.exclusive():
            state = self._current.state
            gone = taken_back(state.changed, items, state.recommender.base.dataset.item_ids)
            if gone:  # what changed nothing is in no audit log
                deed = actor, f"dropped changes of items: {len(gone):,}"
                hidden = {item: None for item in gone if item in state.pictures}
                await self._take_items(gone, hidden, keep=True, deed=deed)
        return len(gone)

    async def delete_item(self, item: str, actor: str = "") -> None:
        """Takes an item out of the shop, and what is known of it and its picture out of the store.

        `actor`: for the audit log.
        """
        deed = actor, f"deleted item {item}"
        await self._change(lambda _: {item: {"deleted": True}}, {item: None}, deed)

    async def put_picture(self, item: str, content: bytes) -> None:
        """Keeps the picture of an item, which is new where nothing is known of it."""
        picture = await self.pictures.sent(content, self._current.state.recommender.base)

        def shown(changed: Bodies) -> dict[str, dict[str, Any]]:
            before = {name: value for name, value in changed.get(item, {}).items() if name != "deleted"}
            return {item: {**before, "image": None}}

        await self._change(shown, {item: picture})

    async def delete_picture(self, item: str, actor: str = "") -> None:
        """Deletes the picture of an item; `UnknownIdError` where it has none. `actor`: for the audit log."""
        if item not in self._current.state.pictures:
            raise UnknownIdError(f"item {shorten(item)} has no stored picture")
        deed = actor, f"deleted the picture of item {item}"
        await self._change(
            lambda changed: {item: {**changed.get(item, {}), "image": None}}, {item: None}, deed
        )

    async def _fetched(self, bodies: Mapping[str, Mapping[str, Any]]) -> dict[str, Picture | None]:
        state = self._current.state
        return await self.pictures.of(bodies, state.pictures, state.recommender.base)

    async def _change(
        self,
        change: Callable[[Bodies], Bodies],
        pictures: Mapping[str, Picture | None],
        deed: Deed | None = None,
    ) -> None:
        """`change`: from what has changed so far to the bodies that change now."""
        async with self.exclusive():
            await self._take_items(change(self._current.state.changed), pictures, keep=True, deed=deed)

    async def _take_items(
        self,
        bodies: Bodies,
        pictures: Mapping[str, Picture | None],
        *,
        keep: bool,
        deed: Deed | None = None,
    ) -> None:
        """`keep`: False for what another worker has kept."""
        state, put = self._current.state, dict(pictures)
        base = state.recommender.base
        if new := {item: picture for item, picture in put.items() if picture is not None}:
            # The model may have been switched since they were encoded.
            put |= await self._threads.build(self.pictures.looked_at_by, base, new, self._store.picture)
        known = base.dataset.n_items if keep else None
        room = state.room.after(state.changed, bodies, known, self.limits.capacity)
        changed, kept = state.changed | dict(bodies), state.pictures
        if put:
            kept = {item: picture for item, picture in kept.items() if item not in put}
            kept |= without_contents({item: one for item, one in put.items() if one is not None})
        recommender = await self._recommender(base, changed, kept, state.rules)
        after = replace(state, recommender=recommender, changed=changed, pictures=kept, room=room)
        arms = await self._threads.build(self._experiments.rebuilt, after)
        if keep:
            await _done(self._store.put_items(dict(bodies), put, deed))
        self._current.state = after
        self._experiments.arms.replace(arms)

    # Models

    async def known_models(self) -> list[str]:
        """Names of the models that may be activated."""
        return [] if self.models is None else await self._threads.read(self.models.names)

    async def hosts(self) -> list[dict[str, str]]:
        """Which model each process serves, where there may be several hosts."""
        return [] if self._told is None else await self._told.by_all()

    async def activate(self, name: str, actor: str = "") -> None:
        """Serves another saved model; the one in use goes on until the new one is warm, on all hosts.
        `actor`: for the audit log.

        Raises `UnknownIdError` for a name that is not there, `ArtifactError` for a damaged model, and
        `ConflictError` where another host cannot serve it: then nothing was switched.
        """
        if self.models is None:
            raise ConfigError("start the service with --models FOLDER to switch between models")
        folder = await self._threads.read(self.models.find, name)
        await self._switch(folder, (actor, f"activated model {name}"))

    async def roll_back(self, actor: str = "") -> None:
        """Serves the model that was served before the last switch. `actor`: for the audit log."""
        await self._switch(None, (actor, "rolled the model back"))

    async def _switch(self, folder: Path | None, deed: Deed) -> None:
        """To a model, or to the previous one."""
        async with self.exclusive():
            state = self._current.state
            if folder is None and state.previous == state.active:
                raise ConfigError("there is no earlier model to go back to")
            before = state.previous
            chosen = folder or before
            loaded = await self._loaded(chosen, self._current.state.pictures)
            replica = self._replica
            if replica is None or not isinstance(replica.slot, HostSlot):
                await self._keep(loaded, deed)
            else:
                patience = replica.slot.shared.limits.follow_seconds
                async with agreed(self._store, replica.slot, chosen, patience):
                    await self._keep(loaded, deed)
            self._use(loaded)
        if before not in (self._current.state.active, self._current.state.previous):
            sharing.drop(before)

    async def _loaded(self, folder: Path, kept: Mapping[str, Picture]) -> Loaded:
        """A model, warm, and what serves with it."""
        state = self._current.state
        with artifact.reading(folder):
            base = await self._threads.build(Recommender.load, folder)
            again = await self._threads.build(self.pictures.looked_at_by, base, kept, self._store.picture)
            pictures = {**kept, **without_contents(again)}
            recommender = await self._recommender(base, state.changed, pictures, state.rules)
            try:
                await self._threads.build(warm, recommender, state.recommender.cache.queries())
            except Exception as error:
                raise ArtifactError(f"{folder.name}: the model does not answer ({error})") from error
            after = replace(
                state, recommender=recommender, pictures=pictures, active=folder, previous=state.active
            )
            arms = await self._threads.build(self._experiments.rebuilt, after)
        return Loaded(state, after, arms, again)

    async def _keep(self, loaded: Loaded, deed: Deed) -> None:
        """Writes a switch to the store."""
        if loaded.again:
            await _done(self._store.put_items({}, loaded.again))
        active, previous = loaded.after.active, loaded.after.previous
        body = {"run": "", "active": str(active), "previous": str(previous)}
        if self._replica is not None:
            body |= await self._threads.read(switch_body, active, previous)
            body["run"] = self._replica.run
        await _done(self._store.put_active(body, deed))

    def _use(self, loaded: Loaded) -> None:
        self._live.use(loaded.after.recommender.base.dataset.meanings)
        self._current.state = loaded.after
        self._experiments.arms.replace(loaded.arms)
        self._metrics.counts["model_switches"] += 1
        if self._told is not None:
            self._told.serves(loaded.after.active)

    async def _follow(self, switch: Switch) -> None:
        """To the model that another worker has switched to."""
        ready, self._ready = self._ready, None
        state = self._current.state
        if ready is not None and ready[0].version == switch.version and ready[1].before is state:
            self._use(ready[1])
            return
        folder = Path(switch.active)
        if self._told is not None:
            if self._told.version == switch.version:
                return
            folder = await self._threads.read(self._here, folder.name, switch.version)
        elif folder == state.active:
            return
        self._use(await self._loaded(folder, await self._threads.read(self._store.pictures)))

    def _here(self, name: str, version: str) -> Path:
        """Where this host has a model that another one serves."""
        state = self._current.state
        return located(name, version, (state.active, state.previous), self.models)

    async def _get_ready(self, asked: Wanted) -> None:
        """Loads a model that another host is about to switch to, and says so; nothing is switched yet."""
        self._ready = None
        if not asked.turn or self._told is None:
            return
        try:
            folder = await self._threads.read(self._here, asked.name, asked.version)
            pictures = await self._threads.read(self._store.pictures)
            self._ready = asked, await self._loaded(folder, pictures)
        except CrossaisleError as error:
            self._told.ready(asked.turn, why(error))
        else:
            self._told.ready(asked.turn)

    # A merchandiser's rules

    async def put_rules(
        self, change: Callable[[RuleSet], RuleSet | None], actor: str = "", said: str = "changed all rules"
    ) -> None:
        """Changes the rules; when this returns they hold in every list. `change`: from those in force to the
        next ones, or to None for those of the model. `actor`, `said`: for the audit log.

        Raises what `change` raises, and `ConfigError` for a name that the shop does not have: then the rules
        stay as they were.
        """
        async with self.exclusive():
            shop = self._current.state.recommender
            rules = change(shop.rules)
            if rules is not None:
                await self._threads.build(check_changed, shop.rules, rules, shop.dataset)
            await self._take_rules(rules, (actor, said))

    async def _take_rules(self, rules: RuleSet | None, deed: Deed | None = None) -> None:
        """`deed`: None for what another worker has kept."""
        state = replace(self._current.state, rules=rules)
        base = state.recommender.base
        recommender = await self._recommender(base, state.changed, state.pictures, state.rules)
        after = replace(state, recommender=recommender)
        arms = await self._threads.build(self._experiments.rebuilt, after)
        if deed is not None:
            body = None if rules is None else json.dumps(rules.to_list(), ensure_ascii=False)
            await _done(self._store.put_rules(body, deed))
        self._current.state = after
        self._experiments.arms.replace(arms)

    # Experiments

    async def start_experiment(self, experiment: Experiment, actor: str = "") -> None:
        """As `Experiments.create`, in all workers."""
        async with self.exclusive():
            await self._experiments.create(experiment, actor)

    async def stop_experiment(self, name: str, actor: str = "") -> None:
        """As `Experiments.stop`, in all workers."""
        async with self.exclusive():
            await self._experiments.stop(name, actor)

    # Helpers

    async def _recommender(
        self, base: Recommender, changed: Bodies, pictures: Mapping[str, Picture], rules: RuleSet | None
    ) -> LiveRecommender:
        before, live, limits = self._current.state.recommender, self._live, self.limits
        return await self._threads.build(
            lambda: LiveRecommender(
                base, live, changed, before=before, pictures=pictures, rules=rules, limits=limits
            )
        )


async def _done(future: Future[T]) -> T:
    return await asyncio.wrap_future(future)
