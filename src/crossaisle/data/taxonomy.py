"""`Taxonomy`: category paths of the items, as integer codes at every depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.errors import UnknownIdError, nearest

SEPARATOR = " > "


@dataclass(frozen=True)
class Taxonomy:
    """Category paths per item. The first path of an item is its primary one.

    A category is named by its path from the root, joined with ' > ', so that
    'Hair > Oil' and 'Kitchen > Oil' stay different.
    """

    paths: tuple[tuple[tuple[str, ...], ...], ...]
    """Per item: its paths, each a tuple of level names, root first. May be empty."""
    level: int = 0
    """The depth that the shop calls "category" (0 = top); `discover` and the X and N slices use it."""

    @cached_property
    def depth(self) -> int:
        """Number of levels of the deepest primary path."""
        return max((len(p[0]) for p in self.paths if p), default=0)

    @cached_property
    def _levels(self) -> tuple[tuple[Rows, tuple[str, ...]], ...]:
        out = []
        for depth in range(max(self.depth, 1)):
            names: dict[str, int] = {}
            codes = np.full(len(self.paths), -1, dtype=np.int32)
            for row, paths in enumerate(self.paths):
                if paths and paths[0]:
                    name = SEPARATOR.join(paths[0][: depth + 1])
                    codes[row] = names.setdefault(name, len(names))
            out.append((codes, tuple(names)))
        return tuple(out)

    def codes(self, depth: int | None = None) -> Rows:
        """int32 (n_items,): category code at `depth` (the shop's level by default; -1 = leaf); -1 unknown.

        An item whose path is shorter than `depth` keeps its deepest category.
        """
        return self._levels[self._index(depth)][0]

    def names(self, depth: int | None = None) -> tuple[str, ...]:
        """Category names at `depth`, by code."""
        return self._levels[self._index(depth)][1]

    def _index(self, depth: int | None) -> int:
        depth = self.level if depth is None else depth
        return len(self._levels) - 1 if depth < 0 else min(depth, len(self._levels) - 1)

    @cached_property
    def _members(self) -> dict[str, Rows]:
        rows: dict[str, list[int]] = {}
        for row, paths in enumerate(self.paths):
            prefixes = {SEPARATOR.join(p[: d + 1]) for p in paths for d in range(len(p))}
            for name in prefixes:
                rows.setdefault(name, []).append(row)
        return {name: np.array(r, dtype=np.int32) for name, r in rows.items()}

    @cached_property
    def _by_lower_name(self) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Lower-case full path -> category, lower-case last name -> categories."""
        paths: dict[str, str] = {}
        last: dict[str, list[str]] = {}
        for name in self._members:
            paths.setdefault(name.lower(), name)
            last.setdefault(name.lower().rsplit(SEPARATOR, 1)[-1], []).append(name)
        return paths, last

    def find(self, name: str) -> Rows:
        """Rows of all items in a category of any depth, by full path or by an unambiguous last name.

        Case does not matter. `UnknownIdError` names the nearest category.
        """
        wanted = name.strip().lower()
        paths, last_names = self._by_lower_name
        if wanted in paths:
            return self._members[paths[wanted]]
        last = last_names.get(wanted)
        if last:
            return np.unique(np.concatenate([self._members[n] for n in last]))
        raise UnknownIdError(f"unknown category {name!r}{nearest(name, self._members)}")

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every category of every depth, as full paths."""
        return tuple(self._members)


def parse_paths(value: str | Sequence[str] | None, separator: str = ">") -> tuple[tuple[str, ...], ...]:
    """Turns 'A > B' or ['A > B', 'C'] into paths; empty names are dropped."""
    if not value:
        return ()
    texts = [value] if isinstance(value, str) else list(value)
    paths = (tuple(p.strip() for p in (t or "").split(separator) if p.strip()) for t in texts)
    return tuple(dict.fromkeys(p for p in paths if p))


def vocabulary_of(taxonomy: Taxonomy, depth: int | None = None) -> Vocabulary:
    """The categories of one depth as a `Vocabulary`."""
    return Vocabulary(taxonomy.names(depth), what="category")
