"""`Experiment` and `Arm`: what is compared, and which users get which arm, a pure function of their ids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from crossaisle.api_types import read
from crossaisle.data.query import CrossShare, Placement, Query
from crossaisle.errors import ConfigError

Kind = Literal["ab", "interleaving"]
Metric = Literal["conversion", "count", "value"]


@dataclass(frozen=True, kw_only=True)
class Controls:
    """Controls of a `Query` that an arm sets if the request leaves them open."""

    cross_share: CrossShare | None = None
    diversity: float | None = None
    quota: int | None = None
    exclude_seen: bool | None = None


ARM_CONTROLS = tuple(one.name for one in fields(Controls))


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to serve."""

    name: str
    weight: float = 1.0
    """Its share of users, relative to the other arms' weights."""
    model: str | None = None
    """A saved model in the folder of models. None: the active model."""
    weights: Mapping[str, float] | None = None
    """Weights of the model's parts for this placement. None: the model's own."""
    controls: Controls = Controls()
    explore: float | None = None
    """Draws each place from the best remaining items, with probability proportional to rank to the power of
    minus this. None: the ranking as it is."""
    new_items: int | None = None
    """Of an exploring arm: so many items with few events join the draw of each first page, chosen by Thompson
    sampling. None: none."""

    def query(self, query: Query) -> Query:
        """The query with this arm's controls wherever the request sets none and the placement takes them."""
        taken = (name for name in ARM_CONTROLS if name not in query.not_taken)
        unset = (name for name in taken if getattr(query, name) is None)
        return replace(query, **{name: getattr(self.controls, name) for name in unset})


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is compared, for which placement, and by which metric."""

    name: str
    kind: Kind = "ab"
    placement: Placement = "for_you"
    arms: tuple[Arm, ...]
    """The first one is the baseline of the others."""
    goal: tuple[str, ...] = ("cart", "purchase")
    """Kinds of events that count, on items shown before."""
    metric: Metric = "conversion"
    """Per user: whether there was a goal event (`conversion`), how many (`count`) or their sum (`value`)."""
    window_hours: float = 24.0
    """Events count for this long after a user was first shown something."""
    started: float
    """Seconds since 1970 (UTC)."""
    stopped: float | None = None

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ConfigError("arms of an experiment must have different names")
        if len(names) < 2:
            raise ConfigError("an experiment needs at least two arms")
        for arm in self.arms:
            if arm.new_items is not None and arm.explore is None:
                raise ConfigError(f"arm {arm.name!r}: new_items needs explore, which draws the places")
        if self.kind == "interleaving":
            if len(names) != 2:
                raise ConfigError("interleaving compares two arms (team draft)")
            if any(arm.explore is not None or arm.weight != 1.0 for arm in self.arms):
                raise ConfigError("interleaving shows both arms to everyone: no weight, no explore")

    @property
    def running(self) -> bool:
        """Whether it still decides which lists are shown."""
        return self.stopped is None

    def share(self, arm: Arm) -> float:
        """The probability that a user gets an arm."""
        return arm.weight / sum(one.weight for one in self.arms)

    def assign(self, user: str) -> Arm:
        """A user's arm: always the same one, independent of other experiments."""
        point, total = uniform(self.name, user), 0.0
        for arm in self.arms:
            total += self.share(arm)
            if point < total:
                return arm
        return self.arms[-1]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Experiment:
        """From JSON, also as a store of an earlier version holds it."""
        found: Experiment = read(cls, {**body, "arms": [_renamed(arm) for arm in body["arms"]]})
        return found


def _renamed(arm: Mapping[str, Any]) -> dict[str, Any]:
    """An arm whose controls have today's names: `cross_share` was stored as `share`."""
    controls = dict(arm.get("controls", {}))
    if "share" in controls:
        controls["cross_share"] = controls.pop("share")
    return {**arm, "controls": controls}


def seed_of(*ids: str) -> int:
    """64 bits that depend only on the ids: the same in every process and on every machine."""
    return int.from_bytes(hashlib.sha256("\0".join(ids).encode()).digest()[:8], "big")


def uniform(*ids: str) -> float:
    """A number from 0 to 1 (exclusive) that depends only on the ids."""
    return (seed_of(*ids) >> 11) / 2.0**53
