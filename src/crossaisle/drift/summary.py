"""`Summary`: what events were about, in a few kilobytes: what a model saves to be compared with later."""

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
"""Words that are counted one by one, those of most events; the others together."""
OTHER_WORDS = "(other words)"
UNKNOWN = "(no category)"
DRAWN = 512
"""Users of whom one event each is kept for its item's vector."""
DECILES = np.linspace(0, 1, 11)[1:-1]
PLACES = 10
FILE = "summary.json"


@dataclass(frozen=True, eq=False)
class Observed:
    """Events and what their items are, by codes of items of one's own."""

    user: npt.NDArray[np.integer]
    """(n,): any codes."""
    item: npt.NDArray[np.integer]
    """(n,): rows of the lists below."""
    categories: Sequence[str]
    prices: Values
    """float64: NaN where unknown."""
    titles: Sequence[str]

    @classmethod
    def of(cls, dataset: Dataset) -> Observed:
        """The events of the strongest kind: what lists are to foretell."""
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
    """Counts by name."""

    counts: Mapping[str, int]
    design: Design = field(default_factory=Design)
    """Over users."""

    @property
    def effective(self) -> float:
        return max(sum(self.counts.values()) / self.design.effect, 1.0)


@dataclass(frozen=True, eq=False)
class Summary:
    """Counts of categories, prices and words, a sample of items, and how good lists were."""

    events: int
    users: int
    categories: Shares
    words: Shares
    price: Values
    """float64 (k,), ascending: distinct known prices."""
    price_counts: Counts
    """int64 (k,): events of each."""
    price_design: Design
    """Over deciles."""
    drawn: npt.NDArray[np.int64]
    """int64 (s,): items of one event each of `DRAWN` users at most."""
    role: str = "purchase"
    """What the events are."""
    until: float | None = None
    """Time of the last event, in seconds since 1970."""
    hits: npt.NDArray[np.int64] | None = None
    """int64 (`PLACES` + 1,): users by the place of their next product in the list made before, those whose
    list did not have it last; None where that was not measured."""

    @classmethod
    def of_model(cls, dataset: Dataset, hits: npt.NDArray[np.int64] | None = None) -> Summary | None:
        """Of all events of a shop; None where there are none."""
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
        """`words`: those to count one by one, of the summary that this one is to be compared with."""
        if not len(observed.user):
            raise DataError("there are no events to summarise")
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
        """Independent events that the known prices are worth."""
        return max(float(self.price_counts.sum()) / self.price_design.effect, 1.0)

    # On disk

    def save(self, folder: Path) -> None:
        """`summary.json` and arrays; checksums are the business of the saved folder around them."""
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
        """The opposite of `save`; `ArtifactError` for what is damaged."""
        with reading(folder):
            facts, arrays = read_object(folder / FILE), read_arrays(folder)
            read: dict[str, Any] = {**facts, **arrays}
            for name in ("categories", "words"):
                read[name] = Shares(read[name]["counts"], Design(*read[name]["design"]))
            read["price_design"] = Design(*read["price_design"])
            return cls(**read)


def _shares(table: sparse.csr_matrix, names: Sequence[Sequence[str]]) -> Shares:
    """Counts and design of names, some for each item; `table` csr (users, items)."""
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
    """Over deciles."""
    if not len(values):
        return Design()
    code = np.searchsorted(decile_edges(values, counts), price, side="left")
    bins = sparse.csr_matrix((np.ones(len(code)), (np.arange(len(code)), code)), shape=(len(code), 10))
    return design_of(table @ bins)


def decile_edges(values: Values, counts: Counts) -> Values:
    """Ascending, 9 at most: a price belongs to the first bin whose edge is not below it."""
    up_to = np.cumsum(counts)
    at = np.searchsorted(up_to, DECILES * up_to[-1])
    return np.unique(values[np.minimum(at, len(values) - 1)])


def _drawn(user: npt.NDArray[np.int64], item: npt.NDArray[np.integer], seed: int) -> npt.NDArray[np.int64]:
    """One item each of some users: independent of each other, as a permutation test needs them."""
    order = np.random.default_rng(seed).permutation(len(user))
    first = np.unique(user[order], return_index=True)[1]
    chosen = np.random.default_rng(seed + 1).permutation(first)[:DRAWN]
    return np.asarray(item[order[chosen]], np.int64)
