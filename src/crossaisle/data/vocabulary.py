"""`Vocabulary`: external ids on one side, row numbers on the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from crossaisle.errors import DataError, UnknownIdError, nearest

Rows = npt.NDArray[np.int32]


class Vocabulary:
    """A frozen, ordered set of external ids; the position of an id is its row.

    Ids are text. Integers given to a lookup are turned into text first.
    """

    def __init__(self, ids: Iterable[object], *, what: str = "id") -> None:
        self._ids: tuple[str, ...] = tuple(str(i) for i in ids)
        self.what = what
        if len(self._row) != len(self._ids):
            raise DataError(f"duplicate {what}s in a vocabulary")

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self._ids)}

    def and_more(self, ids: Sequence[str]) -> Vocabulary:
        """The same with some new ids after its own, for less than a vocabulary made anew takes."""
        out = Vocabulary((), what=self.what)
        out._ids = (*self._ids, *ids)
        row = self._row.copy()
        row.update(zip(ids, range(len(self), len(out)), strict=True))
        if len(row) != len(out):
            raise DataError(f"duplicate {self.what}s in a vocabulary")
        out.__dict__["_row"] = row
        return out

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, name: object) -> bool:
        return str(name) in self._row

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Vocabulary) and self._ids == other._ids)

    def __hash__(self) -> int:
        return hash(self._ids)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} {self.what}s)"

    @property
    def all(self) -> tuple[str, ...]:
        """All ids in row order."""
        return self._ids

    def id(self, row: int) -> str:
        """The id of one row."""
        return self._ids[row]

    def ids(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> list[str]:
        """The ids of many rows."""
        return [self._ids[row] for row in rows]

    def get(self, name: object, default: int = -1) -> int:
        """The row of an id, or `default`."""
        return self._row.get(str(name), default)

    def row(self, name: object) -> int:
        """The row of an id; `UnknownIdError` names the nearest known one."""
        found = self._row.get(str(name))
        if found is None:
            hint = nearest(str(name), self._ids) if len(self) <= 5000 else ""
            raise UnknownIdError(f"unknown {self.what} {str(name)!r}{hint}")
        return found

    def rows(self, names: Iterable[object]) -> Rows:
        """Rows of many ids, int32, -1 where unknown."""
        return np.array([self._row.get(str(n), -1) for n in names], dtype=np.int32)
