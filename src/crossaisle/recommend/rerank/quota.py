"""Caps on groups of a list, and the best list that keeps to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossaisle.data.vocabulary import Rows

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cap:
    """At most `limits[c]` candidates whose code is `c`; code -1 is free of this cap."""

    codes: Rows
    """int32 (n,): group of each candidate."""
    limits: npt.NDArray[np.int64]
    """int64 (n_groups,)"""

    def at(self, candidates: Index) -> Cap:
        """The same for some of the candidates."""
        return Cap(self.codes[candidates], self.limits)

    def counts(self, chosen: Index) -> npt.NDArray[np.int64]:
        """int64 (n_groups,): how many of some candidates are in each group."""
        codes = self.codes[chosen]
        return np.bincount(codes[codes >= 0], minlength=len(self.limits))

    def after(self, chosen: Index) -> Cap:
        """What is left of it once some candidates are taken."""
        return Cap(self.codes, self.limits - self.counts(chosen))


def category_caps(
    codes: Rows, quota: int | None, named: Sequence[tuple[npt.NDArray[np.bool_], int]]
) -> list[Cap]:
    """Caps of `Query.quota` and `Query.quotas`.

    `codes` int32 (n,): category per candidate; `named`: a mask over the candidates and its limit each.
    A candidate in a named category answers to that limit and not to the general one; one of unknown
    category answers to none.
    """
    caps = [Cap(np.where(mask, 0, -1).astype(np.int32), np.array([limit])) for mask, limit in named]
    if quota is not None:
        free = np.zeros(len(codes), bool)
        for mask, _ in named:
            free |= mask
        groups = np.where(free, -1, codes).astype(np.int32)
        caps.append(Cap(groups, np.full(int(codes.max(initial=-1)) + 1, quota)))
    return caps


class Room:
    """What is left of some caps while a list grows."""

    def __init__(self, caps: Sequence[Cap]) -> None:
        self.caps = caps
        self.left = [cap.limits.copy() for cap in caps]

    def take(self, candidate: int) -> list[npt.NDArray[np.bool_]]:
        """Counts a candidate. For each cap that this fills, bool (n,): whom it excludes from now on."""
        full = []
        for cap, left in zip(self.caps, self.left, strict=True):
            code = cap.codes[candidate]
            if code >= 0:
                left[code] -= 1
                if left[code] == 0:
                    full.append(cap.codes == code)
        return full

    def admits(self, candidate: int) -> bool:
        """Whether a candidate fits; if so, it is counted."""
        codes = [cap.codes[candidate] for cap in self.caps]
        if any(code >= 0 and left[code] < 1 for code, left in zip(codes, self.left, strict=True)):
            return False
        self.take(candidate)
        return True

    def open(self) -> npt.NDArray[np.bool_]:
        """bool (n,): all candidates that still fit; needs at least one cap."""
        fits = [
            np.append(left, 1)[cap.codes] > 0  # code -1 reads the 1 at the end: always free
            for cap, left in zip(self.caps, self.left, strict=True)
        ]
        out: npt.NDArray[np.bool_] = np.all(fits, axis=0)
        return out


def select(n: int, k: int, hard: Sequence[Cap], soft: Sequence[Cap] = ()) -> Index:
    """Places of at most `k` of `n` candidates, which are sorted best first. Returned best first.

    `hard` caps always hold. `soft` ones give way when the list would otherwise stay short. As long as
    the groups nest (categories in a tree do), best-first is the list with the largest sum of scores:
    they form a laminar matroid (Edmonds, Matroids and the greedy algorithm, 1971).
    """
    return select_exactly(n, k, hard, soft)[0]


def select_exactly(n: int, k: int, hard: Sequence[Cap], soft: Sequence[Cap] = ()) -> tuple[Index, bool]:
    """As `select`; and whether more candidates behind these could not change it: `k` keep to all caps."""
    if not hard and not soft:
        return np.arange(min(n, k), dtype=np.int64), n >= k
    chosen = fill([], n, k, [*hard, *soft])
    full = len(chosen) == k
    if soft and not full:
        chosen = fill(chosen, n, k, hard)
    return np.array(sorted(chosen), dtype=np.int64), full


def fill(chosen: list[int], n: int, k: int, caps: Sequence[Cap]) -> list[int]:
    """Adds the best of `n` candidates that fit to those chosen, up to `k`."""
    room = Room(caps)
    for at in chosen:
        room.take(at)
    out = list(chosen)
    fits = room.open() if caps else np.ones(n, bool)
    fits[out] = False
    at = 0
    while len(out) < k and at < n:
        at += int(fits[at:].argmax())  # the next one that fits: those skipped never will
        if not fits[at]:
            break
        out.append(at)
        fits[at] = False
        for full in room.take(at):
            fits &= ~full
    return out
