"""Search spaces: which values of a scorer's hyper-parameters are worth trying.

Each scorer declares its own as `Scorer.space`, beside the hyper-parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`."""

    low: float
    high: float
    log: bool = True
    """Whether twice as much is one step, wherever it starts from."""
    whole: bool = False
    """Whole numbers only."""

    def clipped(self, value: float) -> float:
        """The nearest value of the range."""
        found = min(max(value, self.low), self.high)
        return round(found) if self.whole else float(f"{found:.4g}")


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class AnyDecay:
    """How much older events count: by days where the data has times, by order where it goes by order."""


Space = Mapping[str, Range | Choice | AnyDecay]
DAYS = Range(low=7.0, high=1000.0)
"""Half-lives."""
PLACES = Range(low=0.5, high=100.0)
"""Events of a history after which an older one counts 1/e."""


def searched(space: Space, settings: Mapping[str, Any], *, has_time: bool) -> dict[str, Range | Choice]:
    """What can be tried on data with or without times: dotted name of a setting -> its values.

    `settings` are those the search starts from: a decay by order stays one.
    """
    out: dict[str, Range | Choice] = {}
    for name, values in space.items():
        if isinstance(values, AnyDecay):
            by_order = settings[name]["events"] is not None or not has_time
            out[f"{name}.events" if by_order else f"{name}.half_life_days"] = PLACES if by_order else DAYS
        elif has_time or not name.endswith("_days"):
            out[name] = values
    return out


def value_of(settings: Mapping[str, Any], name: str) -> Any:
    """The value of a dotted name."""
    for key in name.split("."):
        settings = settings[key]
    return settings


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as tables, as `[model.parts.NAME]` has them."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        *tables, key = name.split(".")
        table = out
        for one in tables:
            table = table.setdefault(one, {})
        table[key] = value
    return out


def half_way(values: Range | Choice, start: Any) -> list[Any]:
    """A few values to try beside `start`: a third and three times as much, or every other choice."""
    if isinstance(values, Choice):
        return [value for value in values.values if value != start]
    if start is None:
        middle = (values.low * values.high) ** 0.5
        return [values.clipped((middle * end) ** 0.5) for end in (values.low, values.high)]
    tried = [values.clipped(start / 3.0), values.clipped(start * 3.0)]
    return [value for value in dict.fromkeys(tried) if value != start]
