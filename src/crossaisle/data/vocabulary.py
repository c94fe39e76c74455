"""`Vocabulary`: maps external ids to row numbers and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import repeat

import numpy as np
import numpy.typing as npt

from crossaisle.errors import SEARCHED, DataError, UnknownIdError, shorten

Rows = npt.NDArray[np.int32]


class Vocabulary:
    """A frozen, ordered set of external ids; the position of an id is its row number.

    Ids are text. Lookups convert integers to text first.
    """

    def __init__(self, ids: Iterable[object], *, what: str = "id") -> None:
        self._ids: tuple[str, ...] = _as_text(ids)
        self.what = what
        if len(self._row) != len(self._ids):
            raise DataError(f"duplicate {what}s in a vocabulary")

    @cached_property
    def _row(self) -> dict[str, int]:
        return dict(zip(self._ids, range(len(self._ids)), strict=True))

    def and_more(self, ids: Sequence[str]) -> Vocabulary:
        """The same with new ids appended; the old ones are not copied."""
        return _Longer(self, ids)

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
        """The id of a row."""
        return self._ids[row]

    def ids(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> list[str]:
        """The ids of several rows."""
        return [self._ids[row] for row in rows]

    def get(self, name: object, default: int = -1) -> int:
        """The row of an id, or `default` if it is unknown."""
        return self._row.get(str(name), default)

    def row(self, name: object) -> int:
        """The row of an id; raises `UnknownIdError`, whose hint is the nearest known id."""
        text = str(name)
        found = self._row.get(text)
        if found is None:
            rule = f"unknown {self.what} {shorten(text)}"
            raise UnknownIdError(rule, name=text, known=self._ids if len(self) <= SEARCHED else ())
        return found

    def rows(self, names: Iterable[object]) -> Rows:
        """The rows of several ids, int32, -1 where unknown."""
        asked = _as_text(names)
        if asked == self._ids:
            return np.arange(len(asked), dtype=np.int32)
        return np.fromiter(map(self._row.get, asked, repeat(-1)), np.int32, len(asked))


def _as_text(ids: Iterable[object]) -> tuple[str, ...]:
    every = tuple(ids)
    if {str}.issuperset(map(type, every)):  # avoids converting a million strings one by one
        return every  # type: ignore[return-value]
    return tuple(map(str, every))


class _Longer(Vocabulary):
    """Two concatenated vocabularies, so that a shop of a million items can cheaply get one more."""

    def __init__(self, old: Vocabulary, ids: Sequence[str]) -> None:
        self.what, self._old, self._new = old.what, old, Vocabulary(ids, what=old.what)
        if any(name in old for name in ids):
            raise DataError(f"duplicate {self.what}s in a vocabulary")

    @cached_property
    def _ids(self) -> tuple[str, ...]:  # type: ignore[override]
        return (*self._old.all, *self._new.all)

    def __len__(self) -> int:
        return len(self._old) + len(self._new)

    def __contains__(self, name: object) -> bool:
        return name in self._old or name in self._new

    def id(self, row: int) -> str:
        return self._old.id(row) if row < len(self._old) else self._new.id(row - len(self._old))

    def ids(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> list[str]:
        return [self.id(row) for row in rows]

    def get(self, name: object, default: int = -1) -> int:
        found = self._old.get(name)
        if found < 0:
            found = self._new.get(name)
            found = default if found < 0 else found + len(self._old)
        return found

    def row(self, name: object) -> int:
        found = self.get(name)
        return self._old.row(name) if found < 0 else found

    def rows(self, names: Iterable[object]) -> Rows:
        return np.array([self.get(name) for name in names], dtype=np.int32)
