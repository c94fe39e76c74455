"""Metrics of whole lists: what a model shows, whether or not it was bought.

`lists` is int32 (n, k), best first, -1 where a list is shorter. Functions give float64 (n,), NaN
where a case has nothing to measure, or one number for the whole shop.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories
from crossaisle.data.membership import is_in
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Rows

PerCase = npt.NDArray[np.float64]
_CHUNK = 4096


def exposure(lists: Rows, n_items: int) -> npt.NDArray[np.int64]:
    """int64 (n_items,): in how many lists each item stands."""
    return np.bincount(lists[lists >= 0], minlength=n_items)


def coverage(lists: Rows, n_items: int) -> float:
    """Share of the catalogue that stands in at least one list (Ge et al., RecSys 2010)."""
    return float(np.count_nonzero(exposure(lists, n_items)) / n_items)


def gini(lists: Rows, n_items: int) -> float:
    """Gini coefficient of exposure over the catalogue: 0 = all items alike, 1 = one item has it all.

    Fleder & Hosanagar, Management Science 2009.
    """
    shown = np.sort(exposure(lists, n_items))
    total = shown.sum()
    if not total or n_items < 2:
        return float("nan")
    place = np.arange(1, n_items + 1)
    return float((2 * (place * shown).sum() / total - n_items - 1) / (n_items - 1))


def novelty(lists: Rows, train_counts: npt.NDArray[np.integer]) -> PerCase:
    """Mean self-information of a list in bits, -log2 of the items' shares of training events.

    Zhou et al., PNAS 2010. Counts are smoothed by one, so that a new item is finite.
    """
    share = (train_counts + 1) / (train_counts.sum() + len(train_counts))
    return _mean(np.where(lists >= 0, -np.log2(share)[lists], 0.0), lists >= 0)


def category_diversity(lists: Rows, taxonomy: Taxonomy) -> PerCase:
    """Intra-list diversity: mean distance of all pairs of a list (Ziegler et al., WWW 2005).

    The distance of two items is 1 - 2 c / (a + b) with a and b the lengths of their category paths
    and c the length of what these share (Wu & Palmer, ACL 1994). Items without a category are left out.
    """
    length = np.array([len(p[0]) if p else 0 for p in taxonomy.paths])[lists]
    length[lists < 0] = 0
    codes = np.stack([taxonomy.codes(d)[lists] for d in range(max(taxonomy.depth, 1))])
    total, pairs = np.zeros(len(lists)), np.zeros(len(lists))
    for i in range(lists.shape[1]):
        for j in range(i):
            both = (length[:, i] > 0) & (length[:, j] > 0)
            depth = np.minimum(length[:, i], length[:, j])
            levels = np.arange(len(codes))[:, None] < depth
            shared = ((codes[:, :, i] == codes[:, :, j]) & levels).sum(axis=0)
            distance = 1 - 2 * shared / np.maximum(length[:, i] + length[:, j], 1)
            total += np.where(both, distance, 0.0)
            pairs += both
    return np.where(pairs > 0, total / np.maximum(pairs, 1), np.nan)


def vector_diversity(lists: Rows, vectors: Floats) -> PerCase:
    """Intra-list diversity as the mean 1 - cosine of all pairs; `vectors` float32 (n_items, d).

    Take vectors that the model itself does not use. A row of zeros (no text) is left out.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.where(norms > 0, vectors / np.where(norms > 0, norms, 1.0), 0.0)
    out = np.full(len(lists), np.nan)
    for start in range(0, len(lists), _CHUNK):
        part = lists[start : start + _CHUNK]
        usable = (part >= 0) & (norms[:, 0] > 0)[part]
        size = usable.sum(axis=1)
        length2 = (np.where(usable[:, :, None], unit[part], 0.0).sum(axis=1) ** 2).sum(axis=1)
        pairs = size * (size - 1)
        out[start : start + _CHUNK] = np.where(pairs > 0, 1 - (length2 - size) / np.maximum(pairs, 1), np.nan)
    return out


def serendipity(lists: Rows, cases: EvalCases, expected: Rows) -> PerCase:
    """Share of a list that is relevant and not obvious: a target outside `expected` (n, m).

    Ge et al., RecSys 2010, with the item-kNN top 50 as the obvious list.
    """
    n = len(lists)
    width = int(max(lists.max(initial=0), cases.target.max(initial=0), expected.max(initial=0))) + 1
    row = np.arange(n)[:, None]
    shown = np.where(lists >= 0, row * width + lists, -1)
    owner = np.repeat(np.arange(n), np.diff(cases.target_indptr))
    relevant = is_in(shown.ravel(), owner * width + cases.target).reshape(shown.shape)
    obvious = np.where(expected >= 0, row * width + expected, -2)
    surprising = relevant & ~is_in(shown.ravel(), obvious.ravel()).reshape(shown.shape)
    return _mean(surprising, lists >= 0)


def outside_history(lists: Rows, histories: Histories, taxonomy: Taxonomy) -> PerCase:
    """Share of a list from categories (the shop's level) that are not in the history; NaN without one."""
    category = taxonomy.codes()
    n = int(category.max(initial=0)) + 1
    listed = np.where(lists >= 0, category[lists], -1)
    had = category[histories.item]
    mine = (histories.owner * n + had)[had >= 0]
    keys = np.where(listed >= 0, np.arange(len(lists))[:, None] * n + listed, -1)
    outside = (listed >= 0) & ~is_in(keys.ravel(), mine).reshape(keys.shape)
    return np.where(histories.lengths > 0, _mean(outside, lists >= 0), np.nan)


def calibration(lists: Rows, histories: Histories, taxonomy: Taxonomy, *, alpha: float = 0.01) -> PerCase:
    """Kullback-Leibler divergence of a list's categories from the history's (Steck, RecSys 2018); 0 = alike.

    KL(p | (1 - alpha) q + alpha p) in nats, categories at the shop's level; NaN without a history.
    """
    category = taxonomy.codes()
    width = int(category.max(initial=0)) + 1
    out = np.full(len(lists), np.nan)
    step = max(1, (8 << 20) // width)
    for start in range(0, len(lists), step):
        rows = slice(start, start + step)
        part, mine = lists[rows], histories.take(rows)
        had, listed = category[mine.item], np.where(part >= 0, category[part], -1)
        p = _shares(mine.owner, had, (len(part), width))
        owner = np.repeat(np.arange(len(part)), part.shape[1])
        q = _shares(owner, listed.ravel(), (len(part), width))
        mixed = (1 - alpha) * q + alpha * p
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(p > 0, p * np.log(p / mixed), 0.0)
        usable = (p.sum(axis=1) > 0) & (q.sum(axis=1) > 0)
        out[rows] = np.where(usable, np.maximum(terms.sum(axis=1), 0.0), np.nan)
    return out


def category_flow(
    lists: Rows, histories: Histories, taxonomy: Taxonomy
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """From which category to which: int64 (C, C) recommended items, and the category names.

    Row: the category of the last item of a history; column: that of the recommended item.
    """
    category, names = taxonomy.codes(), taxonomy.names()
    last = histories.last_item
    origin = np.where(last >= 0, category[last], -1)[:, None]
    listed = np.where(lists >= 0, category[lists], -1)
    flat = (origin * len(names) + listed)[(origin >= 0) & (listed >= 0)]
    return np.bincount(flat, minlength=len(names) ** 2).reshape(len(names), len(names)), names


def _shares(owner: npt.NDArray[np.int64], code: Rows, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    kept = code >= 0
    flat = np.bincount(owner[kept] * shape[1] + code[kept], minlength=shape[0] * shape[1])
    counts = flat.reshape(shape).astype(np.float64)
    shares: npt.NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    return shares


def _mean(values: npt.NDArray[np.generic], there: npt.NDArray[np.bool_]) -> PerCase:
    size = there.sum(axis=1)
    total = np.where(there, values, 0).sum(axis=1)
    return np.where(size > 0, total / np.maximum(size, 1), np.nan)
