"""Interest points: a history summarised as a few clusters of its items, each with a label in words.

After PinnerSage (Pal et al., KDD 2020): Ward clustering of a user's item vectors, each cluster represented by
medoids and weighted by how often and how recently its items were chosen. A single mean vector would lie
between all interests and close to none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.data.vocabulary import Rows
from crossaisle.encoders.tfidf import terms
from crossaisle.features.space import ItemSpace

MOST = 8
"""Maximum number of interest points per history."""
PER_POINT = 3
"""Distinct items required per point, so that a history of two items has one."""
RECENT = 300
"""Number of newest distinct items of a history that are clustered."""
LEAST_SHARE = 0.05
WORDS = 2
DECAY = Decay(half_life_days=60.0, events=None)


@dataclass(frozen=True, eq=False)
class InterestPoint:
    """One cluster of a history."""

    label: str
    """The deepest category with half of the cluster's weight, and distinguishing words: "Soup: chicken,
    broth"."""
    share: float
    """Share of the history, 0 to 1; newer events count more."""
    items: Rows
    """int32: its items; those with much weight and close to the centre come first."""
    centre: Floats
    """float32 (d,): weighted mean of the items' vectors, of unit length."""


def interest_points(
    histories: Histories, space: ItemSpace, dataset: Dataset, *, most: int = MOST, named: bool = True
) -> list[tuple[InterestPoint, ...]]:
    """The points of each history, largest first; empty if no item has a vector.

    Points below `LEAST_SHARE` are dropped, so shares add up to at most 1. `named` False leaves labels empty,
    which is faster.
    """
    weights = DECAY.weights(histories)
    levels = [(dataset.taxonomy.codes(d), dataset.taxonomy.names(d)) for d in range(dataset.taxonomy.depth)]
    out: list[tuple[InterestPoint, ...]] = []
    for row in range(len(histories)):
        part = slice(histories.indptr[row], histories.indptr[row + 1])
        items, mass = _distinct(histories.item[part], weights[part], space)
        if not len(items):
            out.append(())
            continue
        code = _clusters(space.vectors[items], most)
        points: list[tuple[str, InterestPoint]] = []
        for number in np.unique(code):
            mine = code == number
            share = float(mass[mine].sum() / mass.sum())
            if share < LEAST_SHARE:
                continue
            mean = mass[mine] @ space.vectors[items[mine]]
            centre = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
            near = mass[mine] * (space.vectors[items[mine]] @ centre)
            order = items[mine][np.argsort(-near, kind="stable")]
            category, is_leaf = _category(items[mine], mass[mine], levels) if named else ("", False)
            label = _label(category, items, mass, mine, space) if named else ""
            point = InterestPoint(label, share, order, centre)
            points.append((category if is_leaf else "", point))
        out.append(_merged(sorted(points, key=lambda p: -p[1].share)))
    return out


def _distinct(items: Rows, weights: Floats, space: ItemSpace) -> tuple[Rows, npt.NDArray[np.float64]]:
    """The newest distinct items with a vector, and the total weight of each item's events."""
    rows, first, inverse = np.unique(items[::-1], return_index=True, return_inverse=True)
    mass = np.bincount(inverse, weights[::-1].astype(np.float64), len(rows)).astype(np.float64)
    kept = np.argsort(first, kind="stable")[:RECENT]
    kept = kept[space.vectors[rows[kept]].any(axis=1) & (mass[kept] > 0)]
    return rows[kept], mass[kept]


def _clusters(vectors: Floats, most: int) -> npt.NDArray[np.int32]:
    """int32 (n,): cluster of each item."""
    wanted = min(most, max(len(vectors) // PER_POINT, 1))
    if wanted < 2:
        return np.zeros(len(vectors), np.int32)
    from scipy.cluster.hierarchy import fcluster, linkage

    return np.asarray(fcluster(linkage(vectors, "ward"), wanted, "maxclust"), np.int32)


def _category(
    items: Rows, mass: npt.NDArray[np.float64], levels: Sequence[tuple[Rows, Sequence[str]]]
) -> tuple[str, bool]:
    """The last name of the deepest category with half of the weight, or "", and whether it is a leaf."""
    for depth in range(len(levels) - 1, -1, -1):
        codes, names = levels[depth]
        counts = np.bincount(codes[items] + 1, mass)
        top = int(np.argmax(counts))
        if top and counts[top] >= mass.sum() / 2:
            return names[top - 1].rsplit(SEPARATOR, 1)[-1], depth == len(levels) - 1
    return "", False


def _label(
    last: str, items: Rows, mass: npt.NDArray[np.float64], mine: npt.NDArray[np.bool_], space: ItemSpace
) -> str:
    """Category and words; only words from titles if no category has half of the weight."""
    inside = (mass[mine] / mass[mine].sum()) @ space.words[items[mine]]
    rest = ~mine
    outside = (mass[rest] / mass[rest].sum()) @ space.words[items[rest]] if rest.any() else 0.0
    apart = np.where(space.telling, inside - outside, 0.0)
    said = set(terms(last, bigrams=False))
    words: list[str] = []
    for column in np.argsort(-apart, kind="stable")[: WORDS + 8].tolist():
        word = space.terms[column]
        if apart[column] > 0 and not _says(said, word) and len(words) < WORDS:
            words.append(word)
    return f"{last}: {', '.join(words)}" if last and words else last or ", ".join(words) or "mixed"


def _says(said: set[str], word: str) -> bool:
    """Whether a category name already contains a word, in the singular or the plural."""
    return any(word.startswith(one[:4]) and one.startswith(word[:4]) for one in said)


def _merged(points: list[tuple[str, InterestPoint]]) -> tuple[InterestPoint, ...]:
    """Merges points of one leaf category; `points` come with the name of theirs, or "" for none."""
    found: dict[str, InterestPoint] = {}
    for number, (name, point) in enumerate(points):
        before = found.get(name)
        if before is None or not name:
            found[name or f"\n{number}"] = point
            continue
        share = before.share + point.share
        mean = before.share * before.centre + point.share * point.centre
        centre = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
        items = np.concatenate([before.items, point.items])
        found[name] = InterestPoint(before.label, share, items, centre)
    return tuple(sorted(found.values(), key=lambda p: -p.share))
