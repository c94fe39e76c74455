"""`ServingState`: what a shop serves from at one moment. It is never changed, only replaced as a whole."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from crossaisle.data.merchandising.rules import RuleSet
from crossaisle.errors import ConfigError, StoreError
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.experiments.arms import Recommenders
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.capacity import Room
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.pictures import Pictures
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.store.store import Picture, Store
from crossaisle.serve.workers.replication import Switch

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServingState:
    """What a shop serves from at one moment."""

    recommender: LiveRecommender
    changed: dict[str, dict[str, Any]]
    """Items that differ from the model's catalogue, by id."""
    pictures: dict[str, Picture]
    """Pictures of items that were put in, without their contents, which stay in the store."""
    rules: RuleSet | None
    """A merchandiser's, of this shop; None: those of the model."""
    room: Room
    """How much the shop has put in."""
    active: Path
    """Folder of the model that serves."""
    previous: Path
    """Folder of the one before."""

    @classmethod
    def read(
        cls,
        store: Store,
        base: Recommender,
        live: LiveHistories,
        pictures: Pictures,
        switch: Switch,
        limits: LiveLimits = LiveLimits(),
    ) -> ServingState:
        """As the store is. Pictures that another model's encoder has seen are encoded again."""
        changed, kept, rules = store.items(), store.pictures(), rules_of(store.rules())
        if again := pictures.looked_at_by(base, kept, store.picture):
            try:
                store.put_items({}, again).result()
            except StoreError as error:  # the next start encodes them again
                _LOG.warning("pictures encoded for this model could not be stored: %s", error)
            kept |= without_contents(again)
        return cls(
            recommender=LiveRecommender(base, live, changed, pictures=kept, rules=rules, limits=limits),
            changed=changed,
            pictures=kept,
            rules=rules,
            room=Room.of(changed),
            active=Path(switch.active),
            previous=Path(switch.previous),
        )


class Loaded(NamedTuple):
    """A model that is ready to serve."""

    before: ServingState
    after: ServingState
    arms: Recommenders
    again: Mapping[str, Picture]
    """Pictures that its encoder has seen anew."""


class Current:
    """Holds the state that serves now; `Changes` replaces it."""

    def __init__(self, state: ServingState) -> None:
        self.state = state


def rules_of(body: str | None) -> RuleSet | None:
    """A merchandiser's rules as the store holds them; `StoreError` where they cannot be read."""
    if body is None:
        return None
    try:
        return RuleSet.of(json.loads(body), "rules of the store")
    except (ValueError, ConfigError) as error:
        raise StoreError(f"{error}: restore a backup of the store") from error


def without_contents(pictures: Mapping[str, Picture]) -> dict[str, Picture]:
    return {item: picture._replace(content=b"") for item, picture in pictures.items()}
