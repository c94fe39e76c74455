"""Prototypes: a class is the mean vector of its members; something new belongs to the nearest one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.encoders.base import unit_rows

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class PrototypeRule:
    """How classes are told apart (Snell et al., Prototypical Networks, NeurIPS 2017; nothing is trained)."""

    centre: bool = False
    """Take the mean of the members' vectors out of all vectors first."""
    name: float = 0.0
    """Weight of the class's own name, as one more vector, beside the mean of its members."""
    second: float = 0.0
    """Weight of the cosine in the second view beside that in the first."""


RULES = tuple(
    PrototypeRule(centre=centre, name=name, second=second)
    for centre, name, second in product((False, True), (0.0, 0.1, 0.25, 0.5), (0.0, 0.25, 0.5, 1.0))
)
"""Rules that vote together. Choosing the one that is best on a few hundred members picks up their noise."""


@dataclass(frozen=True)
class View:
    """Members and class names as one encoder sees them."""

    members: Floats
    """float32 (n, d), rows of unit length or zeros."""
    names: Floats
    """float32 (classes, d)."""

    def cosines(self, queries: Floats, labels: Labels, rule: PrototypeRule) -> Floats:
        """float32 (q, classes): cosines of queries (q, d) with each class's prototype."""
        members, names = self.members, self.names
        if rule.centre:
            mean = members.mean(axis=0)
            queries, members, names = (unit_rows(rows - mean) for rows in (queries, members, names))
        sums = np.zeros_like(names)
        np.add.at(sums, labels, members)
        count = np.maximum(np.bincount(labels, minlength=len(names)), 1).astype(np.float32)
        return queries @ unit_rows(sums / count[:, None] + rule.name * names).T


def classify(
    views: Sequence[View],
    labels: Labels,
    queries: Sequence[Floats],
    rules: Sequence[PrototypeRule] = RULES,
) -> Floats:
    """float32 (q, classes): the mean score over the rules.

    `labels` (n,) are the classes of the members; `queries` are given as each view sees them, (q, d) each.
    """
    total: Floats = np.zeros((len(queries[0]), len(views[0].names)), np.float32)
    seen: dict[tuple[bool, float], list[Floats]] = {}
    for rule in rules:
        key = rule.centre, rule.name
        if key not in seen:
            seen[key] = [view.cosines(q, labels, rule) for view, q in zip(views, queries, strict=True)]
        first, *second = seen[key]
        score = (first + rule.second * second[0]) / np.float32(1 + rule.second) if second else first
        total += score / len(rules)
    return total
