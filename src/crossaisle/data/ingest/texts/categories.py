"""Parses category cells into paths: delimited texts, lists in JSON, Python or parquet, one column per
level."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossaisle.data.ingest.readers.jsonlines import python_literal
from crossaisle.data.taxonomy import Paths, before_repetition, longest, parse_paths
from crossaisle.data.text.control import tidied
from crossaisle.data.text.ids import tidy_id
from crossaisle.data.text.markup import without_markup

ROOTED = 0.95
"""Minimum share of a root's occurrences at the start of a list for lists to be read as paths."""
SEVERAL = 0.1
"""Share of cells that seem to contain several paths from which on a remark is made."""
Tree = Mapping[str, tuple[str, ...]]
"""Category id -> path of names, root first."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the cells of a column are parsed."""

    separator: str = ">"
    path_separator: str | None = None
    lists_are_paths: bool = False
    """Whether a list of plain names is one path, root first."""
    roots: tuple[str, ...] = ()
    tree: Tree | None = None


def read_paths(value: str | None, how: Reading) -> tuple[Paths, bool]:
    """Parses the paths in one cell; also returns whether one of them was circular.

    A cell is a path ('A > B'), several of them if there is a path separator, or a list: each inner list is a
    path; a list of names is either one path, or one path per name. A circular path (A > B > A) is cut before
    the repetition; one that is a prefix of another is dropped.
    """
    if value is None:
        return (), False
    listed = as_list(value)
    if how.tree is not None:
        ids = listed if listed is not None else _split(_tidy(value), how.path_separator)
        paths = tuple(how.tree.get(tidy_id(str(i)), (tidy_id(str(i)),)) for i in ids if _tidy(i))
    elif listed is None:
        paths = parse_paths(_split(_tidy(value), how.path_separator), how.separator)
    elif any(isinstance(v, list) for v in listed):
        paths = tuple(names_of(v) if isinstance(v, list) else names_of([v]) for v in listed)
    elif how.lists_are_paths and not _separated(listed, how.separator):
        paths = (names_of(listed),)
    else:
        paths = parse_paths([_tidy(v) for v in listed], how.separator)
    return sound_paths(paths, how.roots)


def sound_paths(paths: Paths, roots: Sequence[str]) -> tuple[Paths, bool]:
    """Normalizes paths of tidy names: drops roots without information, repetitions and prefixes of other
    paths.

    Also returns whether a path was circular.
    """
    paths = tuple(dict.fromkeys(p for p in (_below_roots(p, roots) for p in paths) if p))
    cut = tuple(before_repetition(p) for p in paths)
    return longest(cut), cut != paths


def as_list(value: str) -> list[Any] | None:
    """The list in a cell, in JSON or Python syntax; None if it is not a list."""
    if not value.startswith("["):
        return None
    try:
        listed = json.loads(value)
    except ValueError:
        listed = python_literal(value)
    return listed if isinstance(listed, list) else None


def lists_are_paths(cells: Iterable[str | None], separator: str) -> bool | None:
    """Whether lists of plain names look like paths, root first; None if there are no such lists.

    They do if the first names of lists hardly ever occur at later positions.
    """
    lists = []
    for cell in cells:
        listed = as_list(cell) if cell is not None else None
        if listed and not any(isinstance(v, list) for v in listed) and not _separated(listed, separator):
            lists.append([_tidy(v) for v in listed])
    if not any(len(names) > 1 for names in lists):
        return None
    first = Counter(names[0] for names in lists)
    later = Counter(name for names in lists for name in names[1:])
    behind = sum(later[name] for name in first)
    return first.total() >= ROOTED * (first.total() + behind)


def missing_separator(cells: Iterable[str | None], separator: str) -> str | None:
    """The likely separator of paths within a cell, if none was set.

    It is a sign after which, in many cells, the root name of the paths is repeated: `A/B,A/C`.
    """
    texts = [_tidy(cell) for cell in cells if cell and as_list(cell) is None]
    for sign in (",", "|", ";"):
        if sign == separator:
            continue
        starts = [[part.split(separator)[0].strip() for part in text.split(sign)] for text in texts]
        roots = {first[0] for first, text in zip(starts, texts, strict=True) if separator in text}
        several = sum(not roots.isdisjoint(first[1:]) for first in starts)
        if several > SEVERAL * len(texts):
            return sign
    return None


def level_paths(levels: Sequence[Sequence[str | None]]) -> list[Paths]:
    """Paths from one column per level, cut at the first empty level.

    Each column is its own level, so that a name may occur at two of them.
    """
    out: list[Paths] = []
    known: dict[tuple[str | None, ...], Paths] = {}
    for row in zip(*levels, strict=True):
        if row not in known:
            names = [_tidy(n) for n in row]
            depth = next((d for d, n in enumerate(names) if not n), len(names))
            known[row] = (tuple(names[:depth]),) if depth else ()
        out.append(known[row])
    return out


def _split(text: str, separator: str | None) -> list[str]:
    return text.split(separator) if separator is not None else [text]


def _separated(listed: Sequence[Any], separator: str) -> bool:
    return any(isinstance(v, str) and separator in without_markup(v) for v in listed)


def names_of(listed: Sequence[Any]) -> tuple[str, ...]:
    """The names of one path, tidy and without markup; empty ones are dropped."""
    return tuple(name for name in map(_tidy, listed) if name)


def _tidy(value: Any) -> str:
    if isinstance(value, dict):  # shop systems write {"id": 9, "name": "Mugs"}
        value = next((value[key] for key in ("name", "title", "label", "id") if value.get(key)), "")
    return tidied(without_markup(str(value))) if value or value == 0 else ""


def _below_roots(path: tuple[str, ...], roots: Sequence[str]) -> tuple[str, ...]:
    while path and path[0] in roots:
        path = path[1:]
    return path
