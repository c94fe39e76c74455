"""`Summary`: a few kilobytes of statistics about events, saved with a model for later comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.artifact import read_arrays, read_object, reading, write_arrays, write_json
from crossaisle.data.dataset import Dataset
from crossaisle.data.kinds import ROLES
from crossaisle.drift.measures import Counts, Design, Values, design_of
from crossaisle.encoders.tfidf import terms
from crossaisle.errors import DataError

WORDS = 300
"""Number of most frequent words that are counted individually; the others are counted together."""
OTHER_WORDS = "(other words)"
UNKNOWN = "(no category)"
DRAWN = 512
"""Number of users sampled; one event of each gives an item for the comparison of vectors."""
DECILES = np.linspace(0, 1, 11)[1:-1]
PLACES = 10
FILE = "summary.json"


@dataclass(frozen=True, eq=False)
class Observed:
    """Events and the properties of their items, in arbitrary codes."""

    user: npt.NDArray[np.integer]
    """(n,): arbitrary user codes."""
    item: npt.NDArray[np.integer]
    """(n,): item of each event, as an index into the lists below."""
    categories: Sequence[str]
    prices: Values
    """float64 per item: NaN where unknown."""
    titles: Sequence[str]

    @classmethod
    def of(cls, dataset: Dataset) -> Observed:
        """The events of the strongest kind, which lists are meant to predict."""
        some = np.flatnonzero(dataset.wanted)
        codes, names = dataset.taxonomy.codes(), dataset.taxonomy.names()
        return cls(
            dataset.events.user[some],
            dataset.events.item[some],
            [names[code] if code >= 0 else UNKNOWN for code in codes.tolist()],
            dataset.items["price"].cast(float).fill_null(np.nan).to_numpy(),
            dataset.items["title"].to_list(),
        )


@dataclass(frozen=True, eq=False)
class Shares:
    """Names and their counts."""

    counts: Mapping[str, int]
    design: Design = field(default_factory=Design)
    """Design effect over users."""

    @property
    def effective(self) -> float:
        return max(sum(self.counts.values()) / self.design.effect, 1.0)


@dataclass(frozen=True, eq=False)
class Summary:
    """Counts of categories, prices and words, a sample of items, and the quality of lists."""

    events: int
    users: int
    categories: Shares
    words: Shares
    price: Values
    """float64 (k,): distinct known prices, ascending."""
    price_counts: Counts
    """int64 (k,): events at each price."""
    price_design: Design
    """Design effect over price deciles."""
    drawn: npt.NDArray[np.int64]
    """int64 (s,): items of one event each of up to `DRAWN` users."""
    role: str = "purchase"
    """The role of the events."""
    until: float | None = None
    """Time of the last event, in seconds since 1970."""
    hits: npt.NDArray[np.int64] | None = None
    """int64 (`PLACES` + 1,): number of users by the rank of their next item in the list made beforehand; the
    last entry counts those whose list did not contain it. None if not measured."""

    @classmethod
    def of_model(cls, dataset: Dataset, hits: npt.NDArray[np.int64] | None = None) -> Summary | None:
        """The summary of all events of a shop; None if there are none."""
        if not len(dataset.events):
            return None
        role = dataset.role if dataset.roles is None else int(dataset.roles[dataset.wanted][0])
        time = dataset.events.time
        until = None if time is None else float(time.max())
        found = cls.of(Observed.of(dataset), hits=hits)
        return replace(found, role=ROLES[max(role, 0)], until=until)

    @classmethod
    def of(
        cls,
        observed: Observed,
        *,
        words: Sequence[str] | None = None,
        hits: npt.NDArray[np.int64] | None = None,
        seed: int = 0,
    ) -> Summary:
        """`words`: those to count individually, taken from the summary to compare with."""
        if not len(observed.user):
            raise DataError("there is no event to summarise")
        user = np.unique(observed.user, return_inverse=True)[1]
        shape = (int(user.max()) + 1, len(observed.categories))
        one = np.ones(len(user), np.float64)
        table = sparse.csr_matrix((one, (user, observed.item)), shape=shape)
        table.sum_duplicates()
        price = np.asarray(observed.prices, np.float64)
        known = np.flatnonzero(np.isfinite(price))
        values, code = np.unique(price[known], return_inverse=True)
        each = np.asarray(table.sum(axis=0)).ravel()[known]
        counts = np.bincount(code, each, len(values)).astype(np.int64)
        sold = counts > 0
        return cls(
            events=len(user),
            users=shape[0],
            categories=_shares(table, [[name] for name in observed.categories]),
            words=_words(table, observed.titles, words),
            price=values[sold],
            price_counts=counts[sold],
            price_design=_price_design(table[:, known], price[known], values[sold], counts[sold]),
            drawn=_drawn(user, observed.item, seed),
            hits=hits,
        )

    @property
    def price_effective(self) -> float:
        """Effective sample size of the known prices."""
        return max(float(self.price_counts.sum()) / self.price_design.effect, 1.0)

    # On disk

    def save(self, folder: Path) -> None:
        """Writes `summary.json` and arrays; the enclosing saved folder provides the checksums."""
        folder.mkdir(parents=True, exist_ok=True)
        facts: dict[str, Any] = {
            "events": self.events,
            "users": self.users,
            "role": self.role,
            "until": self.until,
            "price_design": self.price_design,
            "categories": {"counts": dict(self.categories.counts), "design": self.categories.design},
            "words": {"counts": dict(self.words.counts), "design": self.words.design},
        }
        write_json(folder / FILE, facts)
        arrays = {"price": self.price, "price_counts": self.price_counts, "drawn": self.drawn}
        write_arrays(folder, arrays if self.hits is None else arrays | {"hits": self.hits})

    @classmethod
    def load(cls, folder: Path) -> Summary:
        """The inverse of `save`; `ArtifactError` if files are damaged."""
        with reading(folder):
            facts, arrays = read_object(folder / FILE), read_arrays(folder)
            read: dict[str, Any] = {**facts, **arrays}
            for name in ("categories", "words"):
                read[name] = Shares(read[name]["counts"], Design(*read[name]["design"]))
            read["price_design"] = Design(*read["price_design"])
            return cls(**read)


def _shares(table: sparse.csr_matrix, names: Sequence[Sequence[str]]) -> Shares:
    """Counts and design effect of names; an item may have several. `table` csr (users, items)."""
    place: dict[str, int] = {}
    lengths = np.array([len(of) for of in names], np.int64)
    rows = np.repeat(np.arange(len(names)), lengths)
    each = (place.setdefault(name, len(place)) for of in names for name in of)
    columns = np.fromiter(each, np.int64, int(lengths.sum()))
    of_items = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(place)))
    by_user = table @ of_items
    counts = np.asarray(by_user.sum(axis=0)).ravel().astype(np.int64)
    return Shares({n: int(c) for n, c in zip(place, counts, strict=True) if c}, design_of(by_user))


def _words(table: sparse.csr_matrix, titles: Sequence[str], chosen: Sequence[str] | None) -> Shares:
    each = np.asarray(table.sum(axis=0)).ravel().tolist()
    found = [list(dict.fromkeys(w for w in terms(t, bigrams=False) if not w.isdigit())) for t in titles]
    if chosen is None:
        total: Counter[str] = Counter()
        for of, events in zip(found, each, strict=True):
            if events:
                total.update(dict.fromkeys(of, int(events)))
        chosen = [word for word, _ in sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:WORDS]]
    known = set(chosen)
    return _shares(table, [[word if word in known else OTHER_WORDS for word in of] for of in found])


def _price_design(table: sparse.csr_matrix, price: Values, values: Values, counts: Counts) -> Design:
    """Design effect over price deciles."""
    if not len(values):
        return Design()
    code = np.searchsorted(decile_edges(values, counts), price, side="left")
    bins = sparse.csr_matrix((np.ones(len(code)), (np.arange(len(code)), code)), shape=(len(code), 10))
    return design_of(table @ bins)


def decile_edges(values: Values, counts: Counts) -> Values:
    """At most 9 edges, ascending: a price belongs to the first bin whose edge is not below it."""
    up_to = np.cumsum(counts)
    at = np.searchsorted(up_to, DECILES * up_to[-1])
    return np.unique(values[np.minimum(at, len(values) - 1)])


def _drawn(user: npt.NDArray[np.int64], item: npt.NDArray[np.integer], seed: int) -> npt.NDArray[np.int64]:
    """One item each of a sample of users: independent of each other, as a permutation test requires."""
    order = np.random.default_rng(seed).permutation(len(user))
    first = np.unique(user[order], return_index=True)[1]
    chosen = np.random.default_rng(seed + 1).permutation(first)[:DRAWN]
    return np.asarray(item[order[chosen]], np.int64)
