"""`InterestPoints`: what a visitor is interested in, live events included."""

from __future__ import annotations

from importlib import import_module
from threading import Lock
from typing import Any

from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.recommender import LiveRecommender

LARGEST = 200_000
"""Items of a shop up to which they are told: the space of their texts is worked out at the first look."""


class InterestPoints:
    """Any thread may ask. Keeps the space of the model that was asked about last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._of: tuple[Recommender, Any] | None = None

    def of(self, shop: LiveRecommender, user: str) -> list[dict[str, Any]]:
        """`label`, `share` (0 to 1) and `typical` titles of each interest point, the largest first.

        New items count as those that stand in for them. Empty for somebody without a history.
        """
        base = shop.base
        history = shop.grown.in_old_rows(shop.history_of(user))
        if not len(history.item) or base.dataset.n_items > LARGEST:
            return []
        # Not at the start: lists need none of it.
        portrait = import_module("crossaisle.pipeline.analysis.portrait")
        with self._lock:
            if self._of is None or self._of[0] is not base:
                self._of = base, portrait.space_of(base)
            space = self._of[1]
        [found] = portrait.interests_of(base, history, space)
        return [{"label": one.label, "share": one.share, "typical": list(one.typical)} for one in found]
