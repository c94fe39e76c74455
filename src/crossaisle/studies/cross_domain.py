"""`benchmark cross-domain`: users' first purchases in a shop that is new to them, predicted from another
one."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.evaluate.results import Row, result_row
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.category_link import CategoryLink
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.shortlists import DISCOUNT
from crossaisle.models.topk import top_k
from crossaisle.pipeline.fit import peak_mb
from crossaisle.progress import Say, silent
from crossaisle.studies.context import StudyContext
from crossaisle.studies.recent_sales import RecentSales

CATALOGUE = "amazon14"
K, LEAST_HISTORY, DAYS = 10, 3, 30
MODEL = "crossaisle"
RECENT = {
    "sales_now": RecentSales(half_life_days=4.0),
    "sales_60": RecentSales(half_life_days=60.0),
    "sales_to_source": RecentSales(half_life_days=10.0, depth=0),
    "sales_to_leaf": RecentSales(half_life_days=10.0, depth=-1),
}
"""Recent sales in the target domain before a case: to everybody, to customers of the source domain, and to
those who had bought from the history's leaf categories. Half-lives of 4 to 365 days were tried on
validation."""
DEPTH = 100
"""Number of top items per component on which weights are tuned."""
SHOTS = (0, 100, 1_000, 10_000)
"""Numbers of known events of the target domain, in addition to using all."""
_FACTORS = (0.0, 0.5, 0.7, 1.4, 2.0)
_ADDED = (0.05, 0.2, 0.5, 1.0)
Mask = npt.NDArray[np.bool_]
Pair = tuple[int, int]
"""Codes of the source and the target domain."""
Gains = dict[Pair, tuple[EvalCases, Mask, dict[str, Floats]]]
"""Cases, the items of the target domain, and component scores (n, items inside)."""


def run(context: StudyContext) -> list[Row]:
    """Writes `out/results.json` and returns its rows.

    Slices are `A -> B` per ordered pair of domains, and `A -> B, n events` if only so many events of B are
    known. Metrics are `ndcg` and, for `crossaisle`, `difference_to_NAME`, paired by user.
    """
    rows = CrossDomain(context.load(CATALOGUE), say=context.say).run()
    context.write(rows)
    return rows


@dataclass
class CrossDomain:
    """Users with three events in A before their first in B; targets are their items in B within 30 days of
    it.

    Half of these users, by a hash of their ids, are used for validation and half for test; none of their
    events in B is in training. Everything in B is ranked. All pairs share one weighted sum of components,
    tuned on validation; a pair for which a single component is better on its own validation uses that
    component.
    """

    dataset: Dataset
    say: Say = silent
    weights: dict[str, float] = field(default_factory=dict)

    def run(self, shots: Sequence[int] = SHOTS) -> list[Row]:
        """All models on all pairs: with all events of the target domain, then with each number in `shots`."""
        data = self.dataset
        domain = data.taxonomy.codes(0)
        pairs = list(itertools.permutations(range(len(data.taxonomy.names(0))), 2))
        asked = {pair: self._cases(domain, *pair) for pair in pairs}
        hidden = np.zeros(len(data.events), bool)
        for (_, b), cases in asked.items():
            who = np.isin(data.events.user, cases.histories.user)
            hidden |= who & (domain[data.events.item] == b)
        known = data.with_events(~hidden)
        gains = self._scored(known, domain, asked)
        rows = self._measured(gains)
        for few in shots:
            found: Gains = {}
            for b in range(len(data.taxonomy.names(0))):
                some = {pair: cases for pair, cases in asked.items() if pair[1] == b}
                found |= self._scored(with_few(known, domain == b, few), domain, some)
            rows += self._measured(found, f", {few} events")
        return rows

    def _scored(
        self, known: Dataset, domain: npt.NDArray[np.int32], asked: Mapping[Pair, EvalCases]
    ) -> Gains:
        """Scores from models fitted on `known` for every item of each pair's target domain."""
        self.say(f"fitting on {len(known.events):,} events")
        parts = self._parts(known)
        recent = {name: replace(part).fit(known) for name, part in RECENT.items()}
        gains: Gains = {}
        for pair, cases in asked.items():
            inside = domain == pair[1]
            scores = {n: p.scores(cases.histories, inside) for n, p in recent.items()}
            for name, part in parts.items():
                scores[name] = np.nan_to_num(part.score_rows(cases.histories)[:, inside])
            gains[pair] = cases, inside, scores
        return gains

    def _measured(self, gains: Gains, told: str = "") -> list[Row]:
        """Tunes the weights on validation and evaluates on test; `told` is a suffix of the slice names."""
        data, names = self.dataset, self.dataset.taxonomy.names(0)
        role = np.array([zlib.crc32(user.encode()) % 2 for user in data.user_ids.all], np.int8)
        self._choose(gains, role)
        self.say(", ".join(f"{name} {weight:.3g}" for name, weight in self.weights.items()))
        rows: list[Row] = []
        for pair, (cases, inside, scores) in gains.items():
            test = role[cases.histories.user] == 1
            label = f"{names[pair[0]]} -> {names[pair[1]]}{told}"
            served = self._guarded(scores, cases, inside, ~test, label)
            found = {n: _ndcg(v, cases, inside)[test] for n, v in {**scores, MODEL: served}.items()}
            bootstrap = Bootstrap(n=int(test.sum()))
            row = partial(
                result_row, data.name, "cross_domain", "test", n=bootstrap.n, slice_=label, peak_mb=peak_mb()
            )
            for name, values in found.items():
                rows.append(row(name, "ndcg", K, bootstrap.interval(values[:, None]).of(0)))
            for name in scores:
                gap, _ = bootstrap.difference(found[MODEL][:, None], found[name][:, None])
                rows.append(row(MODEL, f"difference_to_{name}", K, gap.of(0)))
        return rows

    def _guarded(
        self, scores: Mapping[str, Floats], cases: EvalCases, inside: Mask, validation: Mask, label: str
    ) -> Floats:
        """The weighted sum, or the single component that is better on the pair's own validation."""
        tried = {MODEL: self._sum(scores, self.weights), **scores}
        quality = {name: float(_ndcg(s, cases, inside)[validation].mean()) for name, s in tried.items()}
        single = max(scores, key=lambda name: quality[name])
        self.say(f"{label}: the sum {quality[MODEL]:.4f} on validation, {single} {quality[single]:.4f}")
        return tried[single if quality[single] > quality[MODEL] else MODEL]

    def _cases(self, domain: npt.NDArray[np.int32], a: int, b: int) -> EvalCases:
        events = self.dataset.events
        assert events.time is not None
        day = events.time // int(SECONDS_PER_DAY)
        of = domain[events.item]
        first = np.full(self.dataset.n_users, np.iinfo(np.int64).max)
        np.minimum.at(first, events.user[of == b], day[of == b])
        before = (of == a) & (day < first[events.user])
        wanted = (of == b) & (day < first[events.user] + DAYS)
        counts = np.bincount(events.user[before], minlength=self.dataset.n_users)
        users = np.flatnonzero((counts >= LEAST_HISTORY) & (first < np.iinfo(np.int64).max))
        past = self.dataset.with_events(before).histories(users.astype(np.int32))
        now = first[users].astype(np.float64)
        histories = Histories(past.indptr, past.item, past.day, past.user, now)
        own = self.dataset.with_events(wanted)
        targets = [np.unique(own.events.item[own.user_indptr[u] : own.user_indptr[u + 1]]) for u in users]
        indptr = np.concatenate([[0], np.cumsum([len(t) for t in targets])]).astype(np.int64)
        flat = np.concatenate([np.empty(0, np.int32), *targets]).astype(np.int32)
        return EvalCases(histories, indptr, flat)

    def _parts(self, known: Dataset) -> dict[str, Scorer]:
        latest = Decay(events=5.0)
        parts: dict[str, Scorer] = {
            "popularity": Popularity(half_life_days=180.0),
            "item_knn": ItemKNN(decay=latest),
            "tfidf": TfidfSimilarity(decay=latest),
            "category_link": CategoryLink(depth=-1),
        }
        for name, part in parts.items():
            self.say(f"fitting {name}")
            part.fit(known)
        return parts

    def _choose(
        self,
        gains: Gains,
        role: npt.NDArray[np.int8],
    ) -> None:
        """Coordinate ascent on validation NDCG, averaged over the pairs."""
        names = list(next(iter(gains.values()))[2])
        asked = []
        for cases, inside, scores in gains.values():
            rows = np.flatnonzero(role[cases.histories.user] == 0)
            some = {n: s[rows] for n, s in scores.items()}
            asked.append(Shortlists.of(some, cases.take(rows), inside))
        spread = {n: float(np.mean([one.scores[n].std() for one in asked])) or 1.0 for n in names}

        def quality(weights: Mapping[str, float]) -> float:
            return float(np.mean([one.ndcg(self._sum(one.scores, weights)).mean() for one in asked]))

        single = {n: quality({n: 1.0}) for n in names}
        top = max(single, key=lambda n: single[n])
        weights, best, improved = {top: 1.0 / spread[top]}, single[top], True
        while improved:
            improved = False
            for name in names:
                now = weights.get(name, 0.0) * spread[name]
                high = max(w * spread[n] for n, w in weights.items())
                trials = [now * f for f in _FACTORS] if now else [high * a for a in _ADDED]
                for trial in trials:
                    tried = {**weights, name: trial / spread[name]}
                    if not any(tried.values()):
                        continue
                    found = quality(tried)
                    if found > best + 2e-4:
                        weights, best, improved = tried, found, True
        self.weights = {n: w for n, w in weights.items() if w}

    @staticmethod
    def _sum(scores: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
        return np.asarray(sum(np.float32(w) * scores[n] for n, w in weights.items()), np.float32)


def with_few(known: Dataset, inside: Mask, events: int) -> Dataset:
    """A seeded sample of the events with items in `inside`; smaller samples are subsets of larger ones."""
    mine = np.flatnonzero(inside[known.events.item])
    kept = ~inside[known.events.item]
    kept[np.random.default_rng(0).permutation(mine)[:events]] = True
    return known.with_events(kept)


@dataclass(frozen=True)
class Shortlists:
    """For each case, the items that some component ranks among its first `DEPTH`; targets outside count as
    missed."""

    scores: dict[str, Floats]
    """Component -> scores, float32 (n, m)."""
    again: Mask
    """bool (n, m): duplicates of an item further left."""
    right: Mask
    """bool (n, m): whether the item is a target."""
    wanted: npt.NDArray[np.int64]
    """int64 (n,): number of targets, in the list or not."""

    @classmethod
    def of(cls, scores: Mapping[str, Floats], cases: EvalCases, inside: Mask) -> Shortlists:
        """`scores`: component -> (n, items inside)."""
        first = [top_k(s, min(DEPTH, s.shape[1])) for s in scores.values()]
        at = np.sort(np.concatenate(first, axis=1), axis=1)
        place = np.cumsum(inside) - 1
        targets = [place[cases.targets_of(row)] for row in range(len(cases))]
        return cls(
            {name: np.take_along_axis(s, at, axis=1) for name, s in scores.items()},
            np.diff(at, axis=1, prepend=-1) == 0,
            np.array([np.isin(row, own) for row, own in zip(at, targets, strict=True)]),
            np.array([len(own) for own in targets], np.int64),
        )

    def ndcg(self, scores: Floats) -> Floats:
        """float32 (n,): NDCG at 10 of each case by scores (n, m)."""
        shown = top_k(np.where(self.again, -np.inf, scores), K)
        hits = np.take_along_axis(self.right, np.maximum(shown, 0), axis=1) & (shown >= 0)
        ideal = np.cumsum(DISCOUNT)[np.minimum(self.wanted, K) - 1]
        gains: Floats = (hits @ DISCOUNT / ideal).astype(np.float32)
        return gains


def _ndcg(scores: Floats, cases: EvalCases, inside: Mask) -> Floats:
    """float32 (n,): NDCG at 10 of each case; `scores` (n, items inside)."""
    place = np.cumsum(inside) - 1
    out = np.zeros(len(cases), np.float32)
    for row, shown in enumerate(top_k(scores, K)):
        wanted = place[cases.targets_of(row)]
        out[row] = np.isin(shown, wanted) @ DISCOUNT / DISCOUNT[: min(K, len(wanted))].sum()
    return out
