"""`Table`: named float32 columns; each group of features is one, and so is their concatenation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.errors import DataError, nearest


@dataclass(frozen=True, eq=False)
class Table:
    """`k` named columns with `m` rows."""

    names: tuple[str, ...]
    """Unique names: `item.price`, `user.share:Dairy`, ..."""
    values: Floats
    """float32 (m, k); NaN where unknown."""

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names):
            raise DataError(f"{len(self.names)} names for values of shape {self.values.shape}")
        if len(set(self.names)) != len(self.names):
            raise DataError("two features have one name")

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of(cls, columns: Mapping[str, npt.NDArray[np.generic]], rows: int) -> Table:
        """From a mapping of name -> values (rows,)."""
        out = np.empty((rows, len(columns)), np.float32)
        for number, column in enumerate(columns.values()):
            out[:, number] = column
        return cls(tuple(columns), out)

    @classmethod
    def joined(cls, tables: Iterable[Table]) -> Table:
        """The columns of several tables, side by side."""
        parts = list(tables)
        return cls(tuple(n for part in parts for n in part.names), np.hstack([part.values for part in parts]))

    def take(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Table:
        """The same columns for some rows, which may repeat."""
        return Table(self.names, self.values[rows])

    def only(self, names: Sequence[str]) -> Table:
        """Some columns, in the order requested; `DataError` if one does not exist."""
        place = {name: number for number, name in enumerate(self.names)}
        for name in names:
            if name not in place:
                raise DataError(f"no feature {name!r}{nearest(name, self.names)}")
        return Table(tuple(names), self.values[:, [place[name] for name in names]])

    def column(self, name: str) -> Floats:
        """One column, float32 (m,)."""
        return self.only([name]).values[:, 0]


def mean_of(
    values: npt.NDArray[np.floating], owner: npt.NDArray[np.integer], n: int
) -> npt.NDArray[np.float64]:
    """float64 (n,): mean of the known `values` per owner, 0 to n - 1; NaN if an owner has none."""
    known = ~np.isnan(values)
    count = np.bincount(owner[known], minlength=n)
    total = np.bincount(owner[known], values[known], n)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
