"""Full ranking: the exact rank of every target among all candidates, no sampling.

Ties get the middle rank, beside which stands how many candidates share it: `metrics.Relevant` averages over
their orders. A NaN score ranks below every number; several NaNs tie. A target that is no candidate has rank
infinity: it is missed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Rows
from crossaisle.evaluate.candidates import Candidates, count, packed
from crossaisle.evaluate.families import Families
from crossaisle.evaluate.probabilities.logloss import Sample, TargetLoss
from crossaisle.evaluate.scoring import Score, scored
from crossaisle.evaluate.slices import Slice
from crossaisle.execution.executor import Executor, LocalExecutor
from crossaisle.models.topk import top_k
from crossaisle.progress import bar

Floats64 = npt.NDArray[np.float64]
BATCH_BYTES = 48 << 20
"""Size of one batch of scores: big enough for BLAS, small enough that a dozen of them fit in memory."""
SHARD = 4
"""Batches of a shard: within one, scores are worked out while those before them are ranked."""
RANKERS = 2
"""Threads that rank what has been scored."""


@dataclass(frozen=True)
class Places:
    """Where one model put the targets of all cases."""

    rank: dict[str, Floats64]
    """Per limit, float64 (nnz,): rank of each entry of `EvalCases.target`, 1 = best; inf = no candidate."""
    ties: dict[str, npt.NDArray[np.int64]]
    """Per limit, int64 (nnz,): candidates with the score of that target, itself included."""

    @classmethod
    def unknown(cls, cases: EvalCases, limits: Iterable[str]) -> Places:
        """All targets missed, to be filled in."""
        return cls(
            {limit: np.full(len(cases.target), np.inf) for limit in limits},
            {limit: np.ones(len(cases.target), np.int64) for limit in limits},
        )


@dataclass(frozen=True)
class Ranks(Places):
    """What one model did on all cases."""

    candidates: dict[str, npt.NDArray[np.int64]]
    """Per limit, int64 (n,): how many items competed."""
    lists: Rows
    """int32 (n, k): the best items of the open list, best first; -1 where no item was left to score."""
    log_loss: Floats64
    """float64 (n,): see `logloss`; NaN for the cases its temperature was chosen on."""

    @classmethod
    def missed(cls, cases: EvalCases, limits: Iterable[str], k: int) -> Ranks:
        """All targets missed and all lists empty, to be filled in."""
        n, limits = len(cases), tuple(limits)
        places = Places.unknown(cases, limits)
        none = {limit: np.zeros(n, np.int64) for limit in limits}
        return cls(places.rank, places.ties, none, np.full((n, k), -1, np.int32), np.full(n, np.nan))

    def of(self, rows: slice, cases: EvalCases) -> Ranks:
        """Those of some cases."""
        at = _targets_of(rows, cases)
        return Ranks(
            {limit: rank[at] for limit, rank in self.rank.items()},
            {limit: ties[at] for limit, ties in self.ties.items()},
            {limit: n[rows] for limit, n in self.candidates.items()},
            self.lists[rows],
            self.log_loss[rows],
        )

    def put(self, rows: slice, cases: EvalCases, found: Ranks) -> None:
        """Takes over what was found of some cases."""
        at = _targets_of(rows, cases)
        for limit in self.rank:
            self.rank[limit][at] = found.rank[limit]
            self.ties[limit][at] = found.ties[limit]
            self.candidates[limit][rows] = found.candidates[limit]
        self.lists[rows] = found.lists
        self.log_loss[rows] = found.log_loss


def _targets_of(rows: slice, cases: EvalCases) -> slice:
    """Where the targets of some cases stand in `EvalCases.target`."""
    return slice(int(cases.target_indptr[rows.start]), int(cases.target_indptr[rows.stop]))


def rank_cases(
    scorers: Mapping[str, Score],
    cases: EvalCases,
    taxonomy: Taxonomy,
    slices: Iterable[Slice],
    *,
    k: int = 20,
    executor: Executor | None = None,
    progress: bool = False,
    batch_bytes: int = BATCH_BYTES,
    families: Families | None = None,
) -> dict[str, Ranks]:
    """Ranks of all targets under every scorer, in one pass over the cases.

    The candidate sets are worked out once per batch and serve all scorers. `k`: length of the kept
    lists. `executor`: where batches are scored; the scorers travel there. `progress` draws a bar.
    `batch_bytes`: size of one batch of scores. `families`: items that are one product and compete as one,
    with the best score of those that are candidates; cases are then those of `Families.once`.
    """
    candidates = Candidates(cases, taxonomy, sorted({s.limit for s in slices}))
    sample = Sample(cases, candidates)
    with ThreadPoolExecutor(RANKERS) as pool:
        losses = {
            name: pool.submit(TargetLoss, cases, sample, sample.scores(score))
            for name, score in scorers.items()
        }
    k = min(k, candidates.n_items)
    made = {name: Ranks.missed(cases, candidates.limits, k) for name in scorers}
    temperatures = {name: loss.result() for name, loss in losses.items()}
    ranking = Ranking(scorers, temperatures, cases, candidates, k, batch_bytes, families)
    size = _batch_size(candidates, batch_bytes)
    shards = [
        slice(start, min(start + size * SHARD, len(cases))) for start in range(0, len(cases), size * SHARD)
    ]
    with bar("measuring", len(cases), show=progress) as advance:
        for shard, found in zip(shards, (executor or LocalExecutor()).map(ranking, shards), strict=True):
            for name, ranks in found.items():
                made[name].put(shard, cases, ranks)
            advance(shard.stop - shard.start)
    return made


def first_places(
    scorers: Mapping[str, Score],
    cases: EvalCases,
    taxonomy: Taxonomy,
    slices: Iterable[Slice],
    *,
    k: int,
    batch_bytes: int = BATCH_BYTES,
) -> dict[str, Places]:
    """`rank_cases` for metrics at `k`, in a fraction of the time: targets that cannot be among the first `k`
    have rank infinity."""
    candidates = Candidates(cases, taxonomy, sorted({s.limit for s in slices}))
    passes = {
        name: _FirstPlaces(score, cases, candidates, min(k, candidates.n_items))
        for name, score in scorers.items()
    }
    _run(passes.values(), cases, candidates, batch_bytes, slice(0, len(cases)))
    return {name: one.result for name, one in passes.items()}


@dataclass(frozen=True)
class Ranking:
    """Ranks some of the cases, in the process where it is opened."""

    scorers: Mapping[str, Score]
    losses: Mapping[str, TargetLoss]
    cases: EvalCases
    candidates: Candidates
    k: int
    batch_bytes: int
    families: Families | None = None

    def __call__(self) -> Callable[[slice], dict[str, Ranks]]:
        passes = {
            name: _Pass(score, self.cases, self.candidates, self.k, self.losses[name], self.families)
            for name, score in self.scorers.items()
        }

        def ranked(rows: slice) -> dict[str, Ranks]:
            _run(passes.values(), self.cases, self.candidates, self.batch_bytes, rows)
            return {name: one.result.of(rows, self.cases) for name, one in passes.items()}

        return ranked


class _Batch:
    """What competes for some cases, the same for all scorers."""

    def __init__(self, start: int, histories: Histories, candidates: Candidates) -> None:
        self.start = start
        self.allowed = candidates.allowed(histories)

    @cached_property
    def bits(self) -> dict[str, npt.NDArray[np.uint64]]:
        return {limit: packed(mask) for limit, mask in self.allowed.items()}


def _run(
    passes: Iterable[_Pass | _FirstPlaces],
    cases: EvalCases,
    candidates: Candidates,
    batch_bytes: int,
    rows: slice,
) -> None:
    passes = list(passes)
    size = _batch_size(candidates, batch_bytes)
    # Scores are worked out one after the other, and ranked in the meantime: numpy releases the lock.
    with ThreadPoolExecutor(RANKERS) as pool:
        for start in range(rows.start, rows.stop, size):
            stop = min(start + size, rows.stop)
            histories = cases.histories.take(slice(start, stop))
            batch = _Batch(start, histories, candidates)
            waiting: deque[Future[None]] = deque()
            for one in passes:
                if len(waiting) > RANKERS:  # no more arrays of scores in memory than that
                    waiting.popleft().result()
                scores = scored(one.score, histories, candidates.n_items)
                waiting.append(pool.submit(one.batch, batch, scores))
            for ranked in waiting:
                ranked.result()


def _batch_size(candidates: Candidates, batch_bytes: int) -> int:
    """Cases that are scored together."""
    return max(1, batch_bytes // (4 * max(candidates.n_items, 1)))


class _Pass:
    """The running result of one scorer."""

    def __init__(
        self,
        score: Score,
        cases: EvalCases,
        candidates: Candidates,
        k: int,
        loss: TargetLoss,
        families: Families | None = None,
    ) -> None:
        self.score, self.cases, self.k, self.loss, self.families = score, cases, k, loss, families
        self.result = Ranks.missed(cases, candidates.limits, k)

    def batch(self, batch: _Batch, scores: Floats) -> None:
        start, stop = batch.start, batch.start + len(scores)
        allowed = batch.allowed["open"]
        open_scores = np.where(allowed, scores, -np.inf)
        self.result.log_loss[start:stop] = self.loss(start, open_scores, allowed)
        if self.families is not None:
            self._by_family(self.families, batch, scores)
            return
        self.result.lists[start:stop] = top_k(open_scores, self.k)
        bits = batch.bits
        indptr = self.cases.target_indptr[start : stop + 1]
        for limit, mask in bits.items():
            self.result.candidates[limit][start:stop] = count(mask)
        # As many targets at a time as there are cases in a batch, whatever the number per case.
        for low in range(int(indptr[0]), int(indptr[-1]), len(scores)):
            high = min(low + len(scores), int(indptr[-1]))
            self._targets(scores, indptr, low, high, bits)

    def _by_family(self, families: Families, batch: _Batch, scores: Floats) -> None:
        """The same with families in place of items."""
        start, stop = batch.start, batch.start + len(scores)
        indptr = self.cases.target_indptr
        for limit, allowed in batch.allowed.items():
            masked = np.where(allowed, scores, -np.inf)
            if limit == "open":
                self.result.lists[start:stop] = families.lists(masked, self.k)
            best, there = families.best(masked), families.there(allowed)
            self.result.candidates[limit][start:stop] = there.sum(axis=1)
            for row in range(len(scores)):
                low, high = int(indptr[start + row]), int(indptr[start + row + 1])
                target = families.code[self.cases.target[low:high]]
                rivals, own = np.sort(best[row, there[row]]), best[row, target]
                above = len(rivals) - np.searchsorted(rivals, own, side="right")
                ties = len(rivals) - above - np.searchsorted(rivals, own, side="left")
                found = there[row, target]
                self.result.rank[limit][low:high] = np.where(found, above + (ties + 1) / 2, np.inf)
                self.result.ties[limit][low:high] = np.where(found, ties, 1)

    def _targets(
        self,
        scores: Floats,
        indptr: npt.NDArray[np.int64],
        low: int,
        high: int,
        bits: Mapping[str, npt.NDArray[np.uint64]],
    ) -> None:
        target = self.cases.target[low:high]
        row = np.searchsorted(indptr, np.arange(low, high), side="right") - 1
        own = scores[row, target][:, None]
        higher = np.empty((high - low, scores.shape[1]), bool)
        equal = np.empty_like(higher)
        first, last = int(row[0]), int(row[-1])
        for case in range(first, last + 1):  # one call per case: no copy of its scores per target
            a, b = max(int(indptr[case]), low) - low, min(int(indptr[case + 1]), high) - low
            np.greater(scores[case], own[a:b], out=higher[a:b])
            np.equal(scores[case], own[a:b], out=equal[a:b])
        above, level = packed(higher), packed(equal)
        word, bit = target // 64, (target % 64).astype(np.uint64)
        for limit, mask in bits.items():
            mine = mask[row]
            ties = count(level & mine)
            rank = count(above & mine) + (ties + 1) / 2
            is_candidate = (mine[np.arange(len(row)), word] >> bit) & np.uint64(1) == 1
            self.result.rank[limit][low:high] = np.where(is_candidate, rank, np.inf)
            self.result.ties[limit][low:high] = np.where(is_candidate, ties, 1)


class _FirstPlaces:
    """The running result of one scorer, as far as the first `k` places are concerned."""

    def __init__(self, score: Score, cases: EvalCases, candidates: Candidates, k: int) -> None:
        self.score, self.cases, self.k = score, cases, k
        self.result = Places.unknown(cases, candidates.limits)

    def batch(self, batch: _Batch, scores: Floats) -> None:
        indptr = self.cases.target_indptr[batch.start : batch.start + len(scores) + 1]
        low, high = int(indptr[0]), int(indptr[-1])
        row = np.repeat(np.arange(len(scores)), np.diff(indptr))
        target = self.cases.target[low:high]
        own = scores[row, target]
        for limit, allowed in batch.allowed.items():
            masked = np.where(allowed, scores, -np.inf)
            best = top_k(masked, self.k)
            listed = np.where(best >= 0, np.take_along_axis(masked, np.maximum(best, 0), axis=1), -np.inf)
            last = listed[:, -1]
            # What is better than the last of the list stands in it; what is as good may stand outside.
            inside = allowed[row, target] & (own >= last[row])
            at = np.flatnonzero(inside)
            above = (listed[row[at]] > own[at, None]).sum(axis=1)
            level = (listed[row[at]] == own[at, None]).sum(axis=1)
            tied = own[at] == last[row[at]]
            ends = np.unique(row[at[tied]])
            as_good = np.zeros(len(scores), np.int64)
            as_good[ends] = (allowed[ends] & (scores[ends] == last[ends, None])).sum(axis=1)
            ties = np.where(tied, as_good[row[at]], level)
            self.result.rank[limit][low + at] = above + (ties + 1) / 2
            self.result.ties[limit][low + at] = ties
