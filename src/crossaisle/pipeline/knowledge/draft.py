"""`draft`: rules read off the trips of a shop, for people to edit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.stats import norm

from crossaisle.data.dataset import Dataset
from crossaisle.data.knowledge.naming import category_as_named
from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ConfigError, DataError

Table = npt.NDArray[np.float64]
STRATA = (0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30)
"""Trips with a category are compared with trips that hold as many others: from each of these to the next."""
MOST_CATEGORIES = 600
"""Those in the most trips are compared with each other: tables of all of them are kept at once."""
SUREST = 0.95


@dataclass(frozen=True)
class Draft:
    """Rules, and how they came about."""

    rules: tuple[Rule, ...]
    trips: int
    pairs: int
    """Directed pairs of categories that were in enough trips to be tested."""
    held: int
    """Those of them that passed; the strongest were written."""

    @property
    def comments(self) -> tuple[str, ...]:
        """What stands above the rules in the file."""
        return (
            f"Drafted from {self.trips:,} trips; {self.held:,} of {self.pairs:,} directed pairs passed.",
            "Edit freely: delete what is chance, add what you know. A strength of 0.5 means "
            "twice as likely, 0.8 five times.",
        )


def draft(
    dataset: Dataset,
    *,
    level: int | None = None,
    most: int = 500,
    min_lift: float = 1.2,
    min_trips: int = 20,
    rate: float = 0.05,
    staple_share: float = 0.1,
) -> Draft:
    """`goes with` between categories, and staples, from what single trips hold.

    The lift from A to B is P(B | A) / P(B | not A), among trips with as many categories beside A. Large trips
    hold everything, so that without this everything would go with everything; with it the lift is 1 where a
    trip's categories are drawn independently, however many they are. Strata are summed up as by Mantel and
    Haenszel, with the variance of Greenland and Robins (Biometrics 1985). A pair passes if it was in
    `min_trips` trips, its lift is at least `min_lift`, the 95 % interval lies above 1, and the false
    discovery rate of all pairs stays below `rate` (Benjamini and Hochberg, 1995). Trips of one household
    count as independent, so intervals are somewhat too narrow.

    `level`: depth of the categories, by default the one that the shop calls category. `most`: directed pairs,
    those with the highest lower bound. Staples are in at least a share `staple_share` of the trips.
    `DataError` for a shop whose events do not say what was bought in one trip.
    """
    paths, trips = _trips(dataset, level)
    names = tuple(category_as_named(path, dataset) for path in paths)
    counts = np.asarray(trips.sum(axis=0)).ravel()
    source, target, table = _tables(trips, counts)
    allowed = (source != target) & _across(dataset, level)[source, target]
    together = table[0].sum(axis=0)
    tested = np.flatnonzero(allowed & (together >= min_trips))
    log_lift, error = mantel_haenszel(table[:, :, tested])
    low, high = np.exp(log_lift - 1.96 * error), np.exp(log_lift + 1.96 * error)
    passed = discoveries(norm.sf(log_lift / error), rate) & (low > 1.0) & (np.exp(log_lift) >= min_lift)
    held = np.flatnonzero(passed)
    best = held[np.argsort(-low[held], kind="stable")[:most]]
    pairs = {
        (names[source[tested[at]]], names[target[tested[at]]]): (
            float(np.exp(log_lift[at])),
            float(low[at]),
            float(high[at]),
            int(together[tested[at]]),
        )
        for at in best.tolist()
    }
    shares = counts / max(trips.shape[0], 1)
    staples = [code for code in np.argsort(-shares, kind="stable").tolist() if shares[code] >= staple_share]
    rules = [*_staples(names, shares, staples), *_rules(pairs)]
    return Draft(tuple(rules), trips.shape[0], len(tested), len(held))


def mantel_haenszel(table: Table) -> tuple[Table, Table]:
    """float64 (n,): the logarithm of the common relative risk of n stratified tables, and its standard error.

    `table` (4, strata, n): exposed cases, exposed others, cases not exposed, others not exposed. NaN becomes
    a logarithm of 0 with an infinite error: nothing is known.
    """
    a, b, c, d = table
    exposed, rest = a + b, c + d
    total = np.maximum(exposed + rest, 1.0)
    above, below = (a * rest / total).sum(axis=0), (c * exposed / total).sum(axis=0)
    spread = ((exposed * rest * (a + c) - a * c * total) / total**2).sum(axis=0)
    known = (above > 0) & (below > 0)
    log = np.log(np.where(known, above, 1.0) / np.where(known, below, 1.0))
    error = np.sqrt(np.where(known, spread, 1.0) / np.where(known, above * below, 1.0))
    return np.where(known, log, 0.0), np.where(known, error, np.inf)


def discoveries(p: Table, rate: float) -> npt.NDArray[np.bool_]:
    """bool (n,): the hypotheses that are rejected at a false discovery rate (Benjamini and Hochberg)."""
    order = np.argsort(p)
    good = np.flatnonzero(p[order] <= rate * np.arange(1, len(p) + 1) / max(len(p), 1))
    out = np.zeros(len(p), bool)
    if len(good):
        out[order[: good[-1] + 1]] = True
    return out


def _trips(dataset: Dataset, level: int | None) -> tuple[tuple[str, ...], sparse.csr_matrix]:
    """Paths of the categories, and csr (trips, categories): 1 where a trip holds one."""
    if not dataset.users_are_baskets and not (dataset.events.basket >= 0).any():
        rule = (
            "no event says which trip it belongs to: give basket_id, or run  crossaisle "
            "knowledge ask  instead"
        )
        raise DataError(rule, file=dataset.name)
    depth = dataset.taxonomy.level if level is None else level
    if level is not None and not -1 <= level < max(dataset.taxonomy.depth, 1):
        raise ConfigError(
            f"level must lie between -1 (leaf) and {dataset.taxonomy.depth - 1}: categories of "
            f"{dataset.name!r} have {dataset.taxonomy.depth} levels (found {level})"
        )
    codes, names = dataset.taxonomy.codes(depth), dataset.taxonomy.names(depth)
    known = np.flatnonzero(codes >= 0)
    one = np.ones(len(known), np.float32)
    members = sparse.csr_matrix((one, (known, codes[known])), shape=(len(codes), len(names)))
    trips = (dataset.basket_matrix() @ members).tocsr()
    trips.data[:] = 1.0
    return names, trips[np.diff(trips.indptr) > 0]


def _tables(trips: sparse.csr_matrix, counts: npt.NDArray[np.floating]) -> tuple[Rows, Rows, Table]:
    """Source and target of all pairs of the frequent categories, and float64 (4, strata, pairs): trips.

    By number of categories beside the source: s - 1 in a trip of s that has it. The target may be one of
    these.
    """
    kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]).astype(np.int32)
    n = len(kept)
    table = np.zeros((4, len(STRATA), n, n))
    for size, some in _by_size(trips):
        some = some[:, kept]
        both = (some.T @ some).toarray().astype(np.float64)
        each = np.asarray(some.sum(axis=0), np.float64).ravel()
        for cell, others, number in (
            (0, size - 1, both),
            (1, size - 1, each[:, None] - both),
            (2, size, each[None, :] - both),
            (3, size, some.shape[0] - each[:, None] - each[None, :] + both),
        ):
            table[cell, int(np.searchsorted(STRATA, others, side="right")) - 1] += number
    return np.repeat(kept, n), np.tile(kept, n), table.reshape(4, len(STRATA), n * n)


def _by_size(trips: sparse.csr_matrix) -> Iterator[tuple[int, sparse.csr_matrix]]:
    sizes = np.diff(trips.indptr)
    for size in np.unique(sizes).tolist():
        yield size, trips[np.flatnonzero(sizes == size)]


def _across(dataset: Dataset, level: int | None) -> npt.NDArray[np.bool_]:
    """bool (n, n): pairs of different categories of the shop's level; `goes_with` shows no others."""
    codes, above = dataset.taxonomy.codes(level), dataset.taxonomy.codes()
    of = np.full(int(codes.max(initial=-1)) + 1, -1, np.int32)
    of[codes[codes >= 0]] = above[codes >= 0]
    return np.asarray(of[:, None] != of[None, :])


def _rules(pairs: dict[tuple[str, str], tuple[float, float, float, int]]) -> Iterator[Rule]:
    """One line where both directions are as strong, else one each; in the order of the pairs."""
    written = set()
    for (source, target), (lift, low, high, trips) in pairs.items():
        if (source, target) in written:
            continue
        strength = _strength(lift)
        back = pairs.get((target, source))
        both = back is not None and abs(_strength(back[0]) - strength) < 0.02
        written |= {(source, target), (target, source)} if both else {(source, target)}
        yield Rule(
            kind="goes with",
            source=source,
            target=target,
            direction="both" if both else "one way",
            strength=strength,
            reason=f"in the same trip {lift:.1f} times as often ({low:.1f} to {high:.1f}; {trips:,} trips)",
        )


def _strength(lift: float) -> float:
    return round(min(1.0 - 1.0 / lift, SUREST), 2)


def _staples(names: tuple[str, ...], shares: npt.NDArray[np.floating], codes: list[int]) -> Iterator[Rule]:
    for code in codes:
        share = float(shares[code])
        yield Rule(
            kind="staple", source=names[code], strength=round(share, 2), reason=f"in {share:.0%} of all trips"
        )
