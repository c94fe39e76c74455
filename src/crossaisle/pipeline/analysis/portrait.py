"""`portrait`: what a model knows of one user, in words: interest points, categories, prices, tempo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crossaisle.data.history import Histories
from crossaisle.features.interests import InterestPoint, interest_points
from crossaisle.features.items import price_position
from crossaisle.features.space import ItemSpace, reduced
from crossaisle.features.users import user_table
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.wording.names import item_name

CATEGORIES = 5
TYPICAL = 3
"""Items that show what an interest point is about."""


@dataclass(frozen=True)
class Interest:
    """An interest point in words."""

    label: str
    share: float
    """0 to 1, of the history."""
    typical: tuple[str, ...]
    """Titles, the most telling first."""


@dataclass(frozen=True)
class Portrait:
    """One user. Numbers are None where unknown."""

    user: str
    events: int
    interests: tuple[Interest, ...]
    categories: tuple[tuple[str, float], ...]
    """Names and shares of the history, the largest first."""
    price_level: float | None
    """0 always the cheapest of a category, 1 always the dearest."""
    days_since: float | None
    """From the last event of the user to the last one of the shop."""
    gap_days: float | None
    """Median days between days with events."""
    tempo: float | None
    """Days with events per week."""
    repeats: float | None
    """Share of events with an item that the user had before."""
    known: dict[str, str]
    """What the shop's table of users says."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def space_of(recommender: Recommender) -> ItemSpace:
    """By the words of the items. The encoder's vectors are whitened: among them all items are about as far
    from each other, and clusters are one large remainder and some splinters."""
    parts = recommender.blend.parts.values()
    words = next((part.vectors_ for part in parts if isinstance(part, TfidfSimilarity)), None)
    return ItemSpace.of(recommender.dataset, None if words is None else reduced(words))


def interests_of(
    recommender: Recommender, histories: Histories, space: ItemSpace | None = None
) -> list[tuple[Interest, ...]]:
    """Interest points of some histories, in words."""
    space = space_of(recommender) if space is None else space
    found = interest_points(histories, space, recommender.dataset)
    return [_in_words(recommender, points) for points in found]


def _in_words(recommender: Recommender, points: Sequence[InterestPoint]) -> tuple[Interest, ...]:
    names = [list(dict.fromkeys(item_name(recommender.dataset, int(i)) for i in p.items)) for p in points]
    return tuple(
        Interest(point.label, point.share, tuple(of[:TYPICAL]))
        for point, of in zip(points, names, strict=True)
    )


def portrait(recommender: Recommender, user: str) -> Portrait:
    """`UnknownIdError` for a user that the model does not know."""
    dataset = recommender.dataset
    row = dataset.user_ids.row(user)
    history = recommender.histories.take([row])
    space = space_of(recommender)
    points = interest_points(history, space, dataset)
    table = user_table(history, dataset, price_position(dataset), points)

    def value(name: str) -> float | None:
        number = float(table.column(name)[0])
        return number if np.isfinite(number) else None

    codes, names = dataset.taxonomy.codes()[history.item], dataset.taxonomy.names()
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    largest = np.argsort(-counts, kind="stable")[:CATEGORIES].tolist()
    facts = dataset.users.row(row, named=True)
    return Portrait(
        user=user,
        events=len(history.item),
        interests=_in_words(recommender, points[0]),
        categories=tuple((names[c], counts[c] / len(codes)) for c in largest if counts[c]),
        price_level=value("user.price_level"),
        days_since=value("user.days_since"),
        gap_days=value("user.gap_days"),
        tempo=value("user.tempo"),
        repeats=value("user.repeats"),
        known={name: str(of) for name, of in facts.items() if name != "user_id" and of not in (None, "")},
    )
