"""`EvalCases`: queries with known answers, which a split provides for validation and test."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.vocabulary import Rows


@dataclass(frozen=True)
class EvalCases:
    """`n` queries, each with the items that came next.

    `target_indptr` int64 (n + 1,), `target` int32: rows of the right answers, unique within a query.
    """

    histories: Histories
    target_indptr: npt.NDArray[np.int64]
    target: Rows
    mask_seen: bool = True
    """Whether items of the history are excluded as candidates in the open list (False if users buy again)."""
    other_categories_only: bool = False
    """Candidates exclude the query's categories (basket completion across departments)."""
    of: Rows | None = None
    """int32 (n,): the user of each query, if one user may have several; None if they are independent."""

    def __len__(self) -> int:
        return len(self.histories)

    def targets_of(self, row: int) -> Rows:
        return self.target[self.target_indptr[row] : self.target_indptr[row + 1]]

    def take(self, rows: npt.NDArray[np.integer]) -> EvalCases:
        """A subset of the cases."""
        picked = [self.targets_of(int(r)) for r in rows]
        indptr = np.concatenate([[0], np.cumsum([len(p) for p in picked])]).astype(np.int64)
        flat = np.concatenate(picked) if picked else np.empty(0, np.int32)
        return EvalCases(
            self.histories.take(rows),
            indptr,
            flat.astype(np.int32),
            self.mask_seen,
            self.other_categories_only,
            None if self.of is None else self.of[rows],
        )


@dataclass(frozen=True)
class Split:
    """One protocol applied to one data set.

    Tune on `validation` with models fitted on `train`; then refit on `past` (train and validation
    together) and evaluate on `test` once.
    """

    protocol: str
    train: Dataset
    validation: EvalCases
    past: Dataset
    test: EvalCases
    chooses: bool = True
    """False if validation contains no cases with which to tune weights."""
    repeated: float = 0.0
    """Share of validation targets that are already in the history."""
    notes: tuple[str, ...] = ()
    """Sentences for a report: decisions made, and what was left out, with counts."""

    def masking(self, mask_seen: bool, note: str) -> Split:
        """The same cases, with items of the history excluded from, or kept in, the open list."""
        return replace(
            self,
            validation=replace(self.validation, mask_seen=mask_seen),
            test=replace(self.test, mask_seen=mask_seen),
            notes=(*self.notes, note),
        )
