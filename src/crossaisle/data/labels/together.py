"""`label_together`: ordered pairs of items that are bought together rather than viewed together.

A trip is a basket; without baskets, a user's day; without times, a user. Of `N` trips, n(a), n(b) and n(a, b)
contain a, b and both:

- lift(a, b) = n(a, b) N / (n(a) n(b)), confidence(a -> b) = n(a, b) / n(a);
- p: the probability of n(a, b) or more if a and b occur independently (hypergeometric, one-sided); q: p
  adjusted after Benjamini and Hochberg (J. R. Stat. Soc. B 1995), over all pairs of items with `least` trips
  each, including pairs that never occur together;
- view_lift: the lift over views, where a trip is a user's day. People view substitutes together and buy one
  of them, but buy complements together: score = log2(lift) - log2(view_lift);
- after(a -> b): trips with a for which the same user's next trip contains b; `leads` if that is significantly
  more frequent than the opposite order, by a two-sided binomial test at the same false discovery rate, over
  pairs that follow each other `TURNS` times. Popularity alone cannot lead, as it is the same when time is
  reversed.

A pair is labelled 1 if q <= `fdr` and the lift is above 1 and above `view_lift`, 0 if it is viewed together
more than bought together, and not at all otherwise.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse, stats

from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.kinds import CART, FAVOURITE, VIEW
from crossaisle.data.membership import distinct
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.errors import ConfigError, DataError

LEAST = 5
"""Minimum number of trips of an item, and of a pair."""
FDR = 0.05
TURNS = 10
"""Minimum number of successions for a pair to be tested for its order."""
LARGEST_TRIP = 100
"""Trips with more items than this say little about any pair, and are left out."""

Floats64 = npt.NDArray[np.float64]


def label_together(dataset: Dataset, *, least: int = LEAST, fdr: float = FDR) -> pl.DataFrame:
    """One row per ordered pair of items that were bought together `least` times or more.

    Columns `item_a, item_b` (String), `together, lift, view_lift, score, confidence, q, after, leads_q`
    (numbers; `view_lift` null without views, `leads_q` null where not tested), `leads` (Boolean),
    `label` (Int8). The surest pairs come first, of equally sure ones those of the highest score.
    """
    if least < 1 or not 0.0 < fdr < 1.0:
        raise ConfigError(f"least must be 1 or more, fdr between 0 and 1 (found {least} and {fdr})")
    events = dataset.events
    bought = _trips(events.take(dataset.wanted), dataset.n_items)
    count = np.asarray(bought.sum(axis=0)).ravel()
    rows = np.flatnonzero(count >= least)
    if len(rows) < 2:
        raise DataError(f"{dataset.name}: fewer than two items are in {least} trips or more")
    a, b, together = _pairs(bought[:, rows], least)
    a, b = rows[a], rows[b]
    trips = bought.shape[0]
    lift = together * trips / (count[a] * count[b])
    chance = stats.hypergeom.sf(together - 1, trips, count[a], count[b])
    possible = len(rows) * (len(rows) - 1) / 2
    q = _false_discovery(chance, possible)
    view = _view_lift(dataset, a, b)
    then, before = _order(events.take(dataset.wanted), dataset.n_items, a, b)
    turns = then + before
    known = np.nan_to_num(view, nan=1.0)
    good = (q <= fdr) & (lift > 1.0) & (lift > known)
    lopsided = np.minimum(1.0, 2.0 * stats.binom.cdf(np.minimum(then, before), turns, 0.5))
    order_q = np.full(len(a), np.nan)
    # The total number of successions is independent of their direction, so selecting by it keeps the error
    # rate.
    often = turns >= TURNS
    order_q[often] = _false_discovery(lopsided[often], float(often.sum()))
    label = np.where(good, 1, np.where(known > np.maximum(lift, 1.0), 0, -1)).astype(np.int8)
    half = {
        "together": np.tile(together.astype(np.int64), 2),
        "lift": np.tile(lift, 2),
        "view_lift": np.tile(view, 2),
        "score": np.tile(np.log2(lift) - np.log2(np.maximum(known, 1.0 / trips)), 2),
        "confidence": np.concatenate([together / count[a], together / count[b]]),
        "q": np.tile(q, 2),
        "after": np.concatenate([then, before]).astype(np.int64),
        "leads_q": np.tile(order_q, 2),
        "leads": np.concatenate([then > before, before > then]) & np.tile(order_q <= fdr, 2),
        "label": np.tile(label, 2),
    }
    names = np.array(dataset.item_ids.all, dtype=object)
    ends = {"item_a": names[np.concatenate([a, b])], "item_b": names[np.concatenate([b, a])]}
    frame = pl.DataFrame({**{n: v.tolist() for n, v in ends.items()}, **half}, schema_overrides=_TYPES)
    frame = frame.with_columns(
        pl.col("view_lift", "leads_q").fill_nan(None),
        pl.when(pl.col("label") >= 0).then(pl.col("label")).alias("label"),
    )
    keys = ["q", "score", "confidence", "item_a", "item_b"]
    return frame.sort(keys, descending=[False, True, True, False, False])


_TYPES = {"item_a": pl.String, "item_b": pl.String}


def _false_discovery(p: Floats64, tests: float) -> Floats64:
    """Benjamini-Hochberg over `tests` hypotheses, where those not in `p` have p = 1."""
    if not len(p):
        return p
    adjusted: Floats64 = stats.false_discovery_control(np.minimum(p * tests / len(p), 1.0))
    return adjusted


def _trip_codes(events: Events) -> npt.NDArray[np.int64]:
    """int64 (n,): the trip of each event, ordered by user and time; equal codes are one trip."""
    user = events.user.astype(np.int64)
    if (events.basket >= 0).any():
        # A basket belongs to one user; its first event gives its time.
        order = np.unique(events.basket, return_index=True, return_inverse=True)
        first = order[1][order[2]]
        return np.where(events.basket >= 0, first, np.arange(len(user)))
    if events.time is None:
        return user
    day = (events.time // int(SECONDS_PER_DAY)).astype(np.int64)
    return user * (int(day.max(initial=0)) + 1) + day


def _trips(events: Events, n_items: int) -> sparse.csr_matrix:
    """csr float64 (trips, n_items) of ones, for trips of up to `LARGEST_TRIP` items."""
    codes = _trip_codes(events)
    trip = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    pairs = distinct(trip * n_items + events.item)
    trip, item = pairs // n_items, pairs % n_items
    size = np.bincount(trip) if len(trip) else np.zeros(0, np.int64)
    kept = size[trip] <= LARGEST_TRIP
    trip = np.unique(trip[kept], return_inverse=True)[1]
    shape = (int(trip.max(initial=-1)) + 1, n_items)
    return sparse.csr_matrix((np.ones(len(trip)), (trip, item[kept])), shape=shape)


def _pairs(
    trips: sparse.csr_matrix, least: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats64]:
    met = sparse.triu(trips.T @ trips, k=1).tocoo()
    often = met.data >= least
    return met.row[often].astype(np.int64), met.col[often].astype(np.int64), met.data[often]


def _view_lift(dataset: Dataset, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> Floats64:
    """Lift over views; 0 for items never viewed together, NaN if one of them was never viewed."""
    raw = dataset.raw
    role = raw.meanings.roles(raw.kinds, raw.events.kind, raw.events.value, raw.events.quantity)
    looked = np.isin(role, (VIEW, FAVOURITE, CART))
    if not looked.any() or dataset.roles is None:
        return np.full(len(a), np.nan)
    views = raw.events.take(looked)
    trips = _trips(_without_baskets(views), dataset.n_items)
    count = np.asarray(trips.sum(axis=0)).ravel()
    columns = trips.tocsc()
    met = np.asarray(columns[:, a].multiply(columns[:, b]).sum(axis=0)).ravel()
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(met * trips.shape[0] / (count[a] * count[b]), np.float64)


def _without_baskets(events: Events) -> Events:
    """Groups views by day only: people compare items on one day, whatever order these end up in."""
    return replace(events, basket=np.full(len(events), -1, np.int32))


def _order(
    events: Events, n_items: int, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]
) -> tuple[Floats64, Floats64]:
    """How often b is in the trip after one with a, and vice versa; zeros without times."""
    none = np.zeros(len(a))
    if events.time is None and not (events.basket >= 0).any():
        return none, none
    codes = _trip_codes(events)
    first = np.unique(codes, return_index=True, return_inverse=True)
    trip = first[2].astype(np.int64)
    owner = events.user[first[1]]
    matrix = sparse.csr_matrix((np.ones(len(trip)), (trip, events.item)), shape=(len(owner), n_items))
    matrix.data[:] = 1.0
    follows = np.flatnonzero(owner[1:] == owner[:-1])
    one, other = matrix[follows].tocsc(), matrix[follows + 1].tocsc()

    def met(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> Floats64:
        parts = [
            np.asarray(one[:, x[s : s + 50_000]].multiply(other[:, y[s : s + 50_000]]).sum(axis=0)).ravel()
            for s in range(0, len(x), 50_000)
        ]
        return np.concatenate([np.empty(0), *parts])

    return met(a, b), met(b, a)
