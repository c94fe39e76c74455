"""Switches a model on all hosts or on none: once each says that it has it, one line switches them all.

The line is in the store's log of changes, in the order that all hosts see. Before it, another one asks all to
load the model and keep it ready; each says in its row (`Membership`) that it has, or why not.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from crossaisle.errors import ArtifactError, ConflictError, CrossaisleError, StoreError
from crossaisle.serve.live.saved_models import SavedModels, version_of
from crossaisle.serve.store.store import Store
from crossaisle.serve.workers.hosts import HostSlot
from crossaisle.serve.workers.replication import ReplicaStart, Switch

WANTED = "wanted"
"""The change that asks for a model to be kept ready."""


class Wanted(NamedTuple):
    """A model that all hosts are to keep ready."""

    turn: str
    """Tells this switch from others; "" where nothing is wanted any more."""
    name: str = ""
    version: str = ""


def wanted(body: str) -> Wanted:
    """As it is logged."""
    return Wanted(**json.loads(body))


def located(name: str, version: str, folders: tuple[str | Path, ...], models: SavedModels | None) -> Path:
    """The folder of a version of a model on this machine; `CrossaisleError` where it has none.

    `folders`: looked at first.
    """
    for folder in map(Path, folders):
        with suppress(ArtifactError):
            if not version or version_of(folder) == version:
                return folder
    if models is None:
        raise StoreError(
            f"model {name} (version {version}) is not here: start with --models FOLDER or s3://..."
        )
    return models.find(name, version)


def switch_body(active: Path, previous: Path) -> dict[str, str]:
    """What the log says of a switch: models by folder, and by version for hosts that have them elsewhere."""
    versions = {"version": version_of(active), "version_before": version_of(previous)}
    return {"active": str(active), "previous": str(previous), **versions}


def joined(store: Store, start: ReplicaStart, folder: Path, models: SavedModels | None) -> ReplicaStart:
    """A start with the model that all hosts serve: `folder`, where this is the first of them.

    `StoreError` where this host does not have the others' model.
    """
    body = store.begin_with(start.run, switch_body(folder, folder)).result()
    switch = Switch.of(body, start.run)
    assert switch is not None, "of this run"
    active = switch.active
    try:
        here = located(Path(active).name, switch.version, (folder,), models)
    except CrossaisleError as error:
        raise StoreError(f"{store.name}: the other hosts serve another model: {why(error)}") from None
    before = here
    with suppress(CrossaisleError):  # to be gone back to
        place = switch.previous
        before = located(Path(place).name, switch.version_before, (folder,), models)
    return replace(start, switch=Switch(str(here), str(before), switch.version, switch.version_before))


class Told:
    """What this process says of models to the others."""

    def __init__(self, slot: HostSlot) -> None:
        self._slot, self._said = slot, dict[str, Any]()
        self.version = ""
        """Of the model that serves: the folder may hold another one by now."""

    def serves(self, folder: Path) -> None:
        """Which model it serves, just loaded from a folder."""
        self.version = version_of(folder)
        self._say(model=folder.name, version=self.version)

    def ready(self, turn: str, error: str = "") -> None:
        """Whether it keeps the model of a turn ready; why not."""
        self._say(turn=turn, error=error)

    async def by_all(self) -> list[dict[str, str]]:
        """Name, model and version of every process; `StoreError`."""
        found = []
        for one in await self._slot.members():
            said = json.loads(one.model or "{}")
            found.append(
                {"name": one.name, "model": said.get("model", ""), "version": said.get("version", "")}
            )
        return found

    def _say(self, **what: str) -> None:
        self._said |= what
        self._slot.say(json.dumps(self._said))


@asynccontextmanager
async def agreed(store: Store, slot: HostSlot, folder: Path, seconds: float) -> AsyncIterator[None]:
    """Inside, every live process of every host keeps a model ready; `ConflictError` says which one does not.

    Where that fails, or the block does, nothing is switched anywhere.
    """
    turn = Wanted(secrets.token_hex(4), folder.name, await asyncio.to_thread(version_of, folder))
    await _asked(store, turn)
    try:
        await _everybody(slot, turn, seconds)
        yield
    except BaseException:
        await _asked(store, Wanted(""))
        raise


async def _asked(store: Store, turn: Wanted) -> None:
    await asyncio.wrap_future(store.put_wanted(json.dumps(turn._asdict())))


async def _everybody(slot: HostSlot, turn: Wanted, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        late = []
        for one in await slot.members():
            said = json.loads(one.model or "{}")
            if not one.serving or one.place == slot.place:
                continue
            if said.get("turn") != turn.turn:
                late.append(one.name)
            elif said.get("error"):
                raise ConflictError(
                    f"{one.name} cannot serve model {turn.name}: {said['error']}: nothing was switched"
                )
        if not late:
            return
        if time.monotonic() > end:
            raise ConflictError(
                f"{late[0]} has not loaded model {turn.name} within {seconds:g} s: nothing was switched; "
                "try again, or stop that service first"
            )
        await asyncio.sleep(0.02)


def why(error: CrossaisleError) -> str:
    """What a host says to the others, in one line."""
    return " ".join(str(error).split())[:300]
