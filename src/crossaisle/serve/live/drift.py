"""`DriftGauges`: how far the latest live events are from what the model learned from, for `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

from crossaisle.data.vocabulary import Vocabulary
from crossaisle.drift.compare import FEWEST, category_drift, price_drift
from crossaisle.drift.summary import UNKNOWN, Observed, Summary
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.store.store import Event

Gauges = dict[str, float]


class DriftGauges:
    """Computed when asked for, at most every `seconds`; some milliseconds for 5,000 events."""

    def __init__(self, *, seconds: float = 10.0) -> None:
        """`seconds`: how long an answer is kept."""
        self._seconds = seconds
        self._kept: tuple[float, Summary | None, Gauges] = (float("-inf"), None, {})

    def values(self, shop: LiveRecommender, latest: Iterable[Event]) -> Gauges:
        """`drift_events`, `drift_categories`, `drift_prices` and `drift_new_items`.

        The first is how many events were compared: of the kind that the model foretells, later than it. The
        second and third are PSI less chance (below 0.1 stable, from 0.25 on drift), absent below 30 events.
        The last is the share of events about items that the model does not have. Nothing for a model without
        a summary.
        """
        before = shop.base.reference
        if before is None:
            return {}
        made, of, found = self._kept
        if of is before and time.monotonic() - made < self._seconds:
            return found
        found = _compared(shop, before, latest)
        self._kept = (time.monotonic(), before, found)
        return found


def _compared(shop: LiveRecommender, before: Summary, latest: Iterable[Event]) -> Gauges:
    meanings, until = shop.base.dataset.meanings, before.until or float("-inf")
    asked = [e for e in list(latest) if e.time > until and meanings.meaning(e.kind).role == before.role]
    out = {"drift_events": float(len(asked))}
    if not asked:
        return out
    live, model = shop.dataset, shop.base.dataset
    items = Vocabulary(dict.fromkeys(event.item for event in asked))
    row = live.item_ids.rows(items.all)
    item = items.rows(event.item for event in asked)
    out["drift_new_items"] = float(np.mean((model.item_ids.rows(items.all) < 0)[item]))
    known = (row >= 0)[item]
    if known.sum() < FEWEST:
        return out
    codes, names, prices = live.taxonomy.codes(), live.taxonomy.names(), shop.view.prices
    user = np.unique([event.user for event in asked], return_inverse=True)[1]
    observed = Observed(
        user[known],
        item[known],
        [names[codes[at]] if at >= 0 and codes[at] >= 0 else UNKNOWN for at in row.tolist()],
        np.where(row >= 0, np.asarray(prices, np.float64)[row], np.nan),
        [""] * len(row),
    )
    now = Summary.of(observed, words=())
    out["drift_categories"] = category_drift(before.categories, now.categories)
    if min(before.price_counts.sum(), now.price_counts.sum()) >= FEWEST:
        out["drift_prices"] = price_drift(before, now)
    return out
