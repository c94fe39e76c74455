"""`Experiment` and `Arm`: what is compared, and who gets what. Assignment is a pure function of ids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from crossaisle.api_types import read
from crossaisle.data.query import Placement, Query
from crossaisle.errors import ConfigError

Kind = Literal["ab", "interleaving"]
Metric = Literal["conversion", "count", "value"]


@dataclass(frozen=True, kw_only=True)
class Controls:
    """What an arm sets where the request leaves it open."""

    share: float | Literal["auto"] | None = None
    diversity: float | None = None
    quota: int | None = None
    exclude_seen: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to serve."""

    name: str
    weight: float = 1.0
    """Its part of the users, relative to the other arms' weights."""
    model: str | None = None
    """A saved model of the folder of models; None: the one that is active."""
    weights: Mapping[str, float] | None = None
    """Other weights of the model's parts, for this placement."""
    controls: Controls = Controls()
    explore: float | None = None
    """Draws each place from the best items that are left, with probabilities in proportion to
    rank to the power of minus this; None: the ranking as it is."""

    def query(self, query: Query) -> Query:
        """The question as this arm asks it."""
        c = self.controls
        return replace(
            query,
            cross_share=c.share if query.cross_share is None else query.cross_share,
            diversity=c.diversity if query.diversity is None else query.diversity,
            quota=c.quota if query.quota is None else query.quota,
            exclude_seen=c.exclude_seen if query.exclude_seen is None else query.exclude_seen,
        )


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is compared, on whom, and by which measure."""

    name: str
    kind: Kind = "ab"
    placement: Placement = "for_you"
    arms: tuple[Arm, ...]
    """The first one is what the others are compared with."""
    goal: tuple[str, ...] = ("cart", "purchase")
    """Kinds of events that count, on items that were shown before."""
    metric: Metric = "conversion"
    """Per person: whether there was a goal event (`conversion`), how many (`count`), their sum (`value`)."""
    window_hours: float = 24.0
    """Events count this long after a person was shown something for the first time."""
    started: float
    """Seconds since 1970 (UTC)."""
    stopped: float | None = None

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ConfigError("arms of an experiment must have different names")
        if len(names) < 2:
            raise ConfigError("an experiment needs at least two arms")
        if self.kind == "interleaving":
            if len(names) != 2:
                raise ConfigError("interleaving compares two arms (team draft)")
            if any(arm.explore is not None or arm.weight != 1.0 for arm in self.arms):
                raise ConfigError("interleaving shows both arms to everybody: no weight, no explore")

    @property
    def running(self) -> bool:
        """Whether it still decides what is shown."""
        return self.stopped is None

    def share(self, arm: Arm) -> float:
        """The probability that a person gets an arm."""
        return arm.weight / sum(one.weight for one in self.arms)

    def assign(self, user: str) -> Arm:
        """The arm of a person: always the same one, independent of other experiments."""
        point, sofar = uniform(self.name, user), 0.0
        for arm in self.arms:
            sofar += self.share(arm)
            if point < sofar:
                return arm
        return self.arms[-1]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Experiment:
        """From JSON."""
        found: Experiment = read(cls, dict(body))
        return found


def seed_of(*ids: str) -> int:
    """64 bits that depend on ids alone: the same in every process and on every machine."""
    return int.from_bytes(hashlib.sha256("\0".join(ids).encode()).digest()[:8], "big")


def uniform(*ids: str) -> float:
    """A number from 0 to 1 (exclusive) that depends on ids alone."""
    return (seed_of(*ids) >> 11) / 2.0**53
