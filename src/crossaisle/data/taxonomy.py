"""`Taxonomy`: the items' category paths, as integer codes at every depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crossaisle.data.vocabulary import Rows
from crossaisle.errors import UnknownIdError, shorten

SEPARATOR = " > "
Paths = tuple[tuple[str, ...], ...]
"""The category paths of an item, each a tuple of names, root first."""


@dataclass(frozen=True)
class Taxonomy:
    """Category paths per item; the first is the primary one.

    A category is identified by its path from the root, joined with ' > ', so that 'Hair > Oil' and 'Kitchen >
    Oil' are distinct.
    """

    paths: tuple[Paths, ...]
    """Per item: its paths, each a tuple of names, root first. May be empty."""
    level: int = 0
    """The depth that the shop calls "category" (0 = top); `discover` and the X and N slices use it."""

    def changed(self, rows: Mapping[int, Paths], more: Sequence[Paths] = ()) -> Taxonomy:
        """The same with the paths of some item rows replaced, and further items appended."""
        paths = [*self.paths, *more]
        for row, value in rows.items():
            paths[row] = value
        out = Taxonomy(tuple(paths), self.level)
        # reuse the codes: recomputing them for a million items is slow
        kinds, distinct = self._kinds
        code = {value: number for number, value in enumerate(distinct)}
        kinds = np.concatenate([kinds, [code.setdefault(value, len(code)) for value in more]]).astype(
            np.int32
        )
        for row, value in rows.items():
            kinds[row] = code.setdefault(value, len(code))
        out.__dict__["_kinds"] = kinds, tuple(code)
        return out

    @cached_property
    def depth(self) -> int:
        """Depth of the deepest primary path."""
        return max((len(p[0]) for _, p in self._in_use if p), default=0)

    @cached_property
    def _kinds(self) -> tuple[Rows, tuple[Paths, ...]]:
        """int32 (n_items,), a code per item, and the distinct values of `paths` by code."""
        number = np.fromiter(map(id, self.paths), np.int64, len(self.paths))
        first, of_item = np.unique(number, return_index=True, return_inverse=True)[1:]
        code: dict[Paths, int] = {}
        by_object = np.empty(len(first), np.int32)
        for place in np.argsort(first).tolist():
            by_object[place] = code.setdefault(self.paths[first[place]], len(code))
        return by_object[of_item], tuple(code)

    @cached_property
    def _in_use(self) -> list[tuple[int, Paths]]:
        """The distinct values of `paths` that items have, and their codes."""
        kinds, distinct = self._kinds
        counts = np.bincount(kinds, minlength=len(distinct))
        return [(code, paths) for code, paths in enumerate(distinct) if counts[code]]

    @cached_property
    def _levels(self) -> tuple[tuple[Rows, tuple[str, ...]], ...]:
        out = []
        for depth in range(max(self.depth, 1)):
            names: dict[str, int] = {}
            codes = np.full(len(self._kinds[1]) + 1, -1, dtype=np.int32)
            for kind, paths in self._in_use:
                if paths and paths[0]:
                    name = SEPARATOR.join(paths[0][: depth + 1])
                    codes[kind] = names.setdefault(name, len(names))
            out.append((codes[self._kinds[0]], tuple(names)))
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
    def _members(self) -> dict[str, list[int]]:
        """Category at any depth -> codes of the distinct `paths` that lie in it."""
        found: dict[str, list[int]] = {}
        for kind, paths in self._in_use:
            for name in dict.fromkeys(SEPARATOR.join(p[: d + 1]) for p in paths for d in range(len(p))):
                found.setdefault(name, []).append(kind)
        return found

    def _rows(self, names: Iterable[str]) -> Rows:
        inside = np.zeros(len(self._kinds[1]), bool)
        for name in names:
            inside[self._members[name]] = True
        return np.flatnonzero(inside[self._kinds[0]]).astype(np.int32)

    @cached_property
    def _by_lower_name(self) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Lower-case full path -> category, and lower-case last name -> categories."""
        paths: dict[str, str] = {}
        last: dict[str, list[str]] = {}
        for name in self._members:
            paths.setdefault(name.lower(), name)
            last.setdefault(name.lower().rsplit(SEPARATOR, 1)[-1], []).append(name)
        return paths, last

    @property
    def categories(self) -> tuple[str, ...]:
        """The full paths of all categories with items, at any depth."""
        return tuple(self._members)

    def called(self, name: str) -> tuple[str, ...]:
        """Full paths of the categories with this full path, or else with this last name; case is ignored."""
        wanted = name.strip().lower()
        paths, last_names = self._by_lower_name
        return (paths[wanted],) if wanted in paths else tuple(last_names.get(wanted, ()))

    def find(self, name: str) -> Rows:
        """Rows of all items in a category at any depth, by full path or by an unambiguous last name.

        Case is ignored. Raises `UnknownIdError`, whose hint is the nearest category.
        """
        found = self.called(name)
        if found:
            return self._rows(found)
        rule = f"unknown category {shorten(name)}"
        lasts = [] if SEPARATOR.strip() in name else [path.rsplit(SEPARATOR, 1)[-1] for path in self._members]
        raise UnknownIdError(rule, name=name, known=[*dict.fromkeys(lasts), *self._members])


def before_repetition(path: Sequence[str]) -> tuple[str, ...]:
    """A path up to the point where a name repeats."""
    seen: dict[str, None] = {}
    for name in path:
        if name in seen:
            break
        seen[name] = None
    return tuple(seen)


def longest(paths: Paths) -> Paths:
    """The distinct paths, without those that are prefixes of others."""
    begun = {p[:n] for p in paths for n in range(1, len(p))}
    return tuple(dict.fromkeys(p for p in paths if p not in begun))


def renamed(before: Paths, after: Sequence[tuple[str, ...]], *, levels: bool = False) -> Paths:
    """Cleans up an item's paths after renaming, path by path; paths that were valid before stay valid.

    `levels`: names may repeat within a path, because each level is its own column.
    """
    cut = tuple(
        new if levels or before_repetition(old) != old else before_repetition(new)
        for old, new in zip(before, after, strict=True)
    )
    return longest(cut) if longest(before) == before else tuple(dict.fromkeys(cut))


def parse_paths(value: str | Sequence[str] | None, separator: str = ">") -> tuple[tuple[str, ...], ...]:
    """Parses 'A > B' or ['A > B', 'C'] into paths; empty names are dropped."""
    if not value:
        return ()
    texts = [value] if isinstance(value, str) else list(value)
    paths = (tuple(p.strip() for p in (t or "").split(separator) if p.strip()) for t in texts)
    return tuple(dict.fromkeys(p for p in paths if p))
