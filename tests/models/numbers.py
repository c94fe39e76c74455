"""Every number among the hyper-parameters of a scorer, and values that are wrong for most of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast, get_args, get_type_hints

from crossaisle.models.base import Scorer

ODD = (0, -1, 10**30, 1e300, math.nan, math.inf, -math.inf)


@dataclass(frozen=True)
class Number:
    """A numeric hyper-parameter."""

    name: str
    """Dotted, such as "decay.events"."""
    whole: bool
    limits: Mapping[str, Any]

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]

    def takes(self, value: float) -> bool:
        """Whether its type and range allow it."""
        if self.whole and not isinstance(value, int):
            return False
        return math.isfinite(value) and self.limits["low"] <= value <= self.limits["high"]

    def values(self) -> Iterator[float]:
        """Odd ones, and the ends of the range; large whole numbers would only take long."""
        yield from ODD
        yield self.limits["low"]
        if not self.whole:
            yield self.limits["high"]


def numbers(made: object, prefix: str = "") -> Iterator[Number]:
    """Of a scorer, those of its decay included."""
    hints = get_type_hints(type(made))
    for spec in fields(cast(Any, made)):
        value, kinds = getattr(made, spec.name, None), get_args(hints[spec.name]) or (hints[spec.name],)
        if spec.init and (int in kinds or float in kinds):
            yield Number(prefix + spec.name, float not in kinds, spec.metadata)
        elif spec.init and is_dataclass(value) and spec.name == "decay":
            yield from numbers(value, f"{spec.name}.")


def changed(part: Scorer, name: str, value: float) -> dict[str, Any]:
    """The settings of a scorer with another value of a dotted name."""
    *tables, last = name.split(".")
    settings = part.settings()
    inner = settings
    for table in tables:
        inner[table] = inner = dict(inner[table])
    inner[last] = value
    return settings
