"""`Products`: the table that cleaning steps take and return; `Step`: the protocol of a step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import polars as pl

from crossaisle.data.clean.report import Change, StepReport
from crossaisle.data.taxonomy import Paths, renamed
from crossaisle.data.text.control import tidied
from crossaisle.data.text.markup import without_markup

Rewrite = Callable[[Sequence[str]], list[str]]
"""Distinct texts -> the rewritten texts, in the same order."""


@dataclass(frozen=True)
class Products:
    """The products of a catalogue. Steps keep their number and order."""

    frame: pl.DataFrame
    """`item_id`, `title`, `description`, `brand`, `image` and `attributes`; texts are "" if missing."""
    paths: tuple[Paths, ...]
    """Category paths per product."""
    levels: bool = False
    """Whether categories came as one column per level, so that a name may occur at two levels of a path."""

    def __len__(self) -> int:
        return len(self.frame)

    def texts(self, column: str) -> list[str]:
        """The texts of a column, length n."""
        return self.frame[column].fill_null("").to_list()

    def rewritten(
        self, columns: Sequence[str], rewrite: Rewrite, suspect: str = ""
    ) -> tuple[Products, list[Change]]:
        """Rewrites some columns; "categories" stands for the names in the paths.

        A text that would become empty is kept. `suspect`: a regular expression that matches every text which
        may change; the others are skipped.
        """
        frame, paths, changes = self.frame, self.paths, []
        for column in columns:
            if column == "categories":
                paths, found = _rewritten_paths(paths, rewrite, self.levels)
                changes += found
                continue
            rows = np.flatnonzero(frame[column].str.contains(suspect).fill_null(False).to_numpy())
            before = frame[column].gather(rows).to_list()
            of = _safely(rewrite, before, attributes=column == "attributes")
            found = [
                Change(column, at, text, of[text])
                for at, text in zip(rows.tolist(), before, strict=True)
                if of[text] != text
            ]
            if found:
                changes += found
                after = pl.Series([change.after for change in found], dtype=pl.String)
                frame = frame.with_columns(frame[column].clone().scatter([c.row for c in found], after))
        return replace(self, frame=frame, paths=paths), changes

    def with_titles(self, titles: Sequence[str]) -> tuple[Products, list[Change]]:
        """Replaces the titles; if a new one is empty, the old one is kept."""
        before = self.texts("title")
        after = [tidied(a) or b for b, a in zip(before, titles, strict=True)]
        changes = [
            Change("title", at, b, a) for at, (b, a) in enumerate(zip(before, after, strict=True)) if a != b
        ]
        frame = self.frame.with_columns(pl.Series("title", after, dtype=pl.String)) if changes else self.frame
        return replace(self, frame=frame), changes

    def renamed_paths(self, of: Mapping[tuple[str, ...], tuple[str, ...]]) -> tuple[Products, list[Change]]:
        """Renames category paths; a path that is not itself in `of` is renamed by its longest prefix that
        is."""
        if not of:
            return self, []
        known: dict[tuple[str, ...], tuple[str, ...]] = {}

        def moved(path: tuple[str, ...]) -> tuple[str, ...]:
            if path not in known:
                known[path] = _moved(path, of)
            return known[path]

        return self._with_paths(
            [renamed(paths, [moved(p) for p in paths], levels=self.levels) for paths in self.paths]
        )

    def _with_paths(self, paths: Sequence[Paths]) -> tuple[Products, list[Change]]:
        changes = [
            Change("categories", at, _shown(before), _shown(after))
            for at, (before, after) in enumerate(zip(self.paths, paths, strict=True))
            if before != after
        ]
        return replace(self, paths=tuple(paths)), changes


class Step(Protocol):
    """One cleaning step."""

    @property
    def name(self) -> str:
        """Its name in settings, report and review file."""
        ...

    def __call__(self, products: Products) -> tuple[Products, StepReport]:
        """Returns the products after the step, and a report of what it did."""


def _moved(path: tuple[str, ...], of: Mapping[tuple[str, ...], tuple[str, ...]]) -> tuple[str, ...]:
    """Follows the renamings of a path to the end; their number is limited, so that cycles end as well."""
    for _ in range(len(of) + 1):
        for depth in range(len(path), 0, -1):
            if path[:depth] in of:
                path = (*of[path[:depth]], *path[depth:])
                break
        else:
            break
    return path


def _safely(rewrite: Rewrite, texts: Sequence[str], *, attributes: bool = False) -> dict[str, str]:
    """Distinct text -> rewritten text, without markup that the rewriting created, and tidied; texts that
    would become empty are kept."""
    distinct = list(dict.fromkeys(texts))
    if attributes:
        return {text: _rewritten_json(text, rewrite) for text in distinct}
    return {b: (_tidy(a) or b) if a != b else b for b, a in zip(distinct, rewrite(distinct), strict=True)}


def _tidy(text: str) -> str:
    return tidied(without_markup(text))


def _rewritten_json(text: str, rewrite: Rewrite) -> str:
    if not text:
        return text
    values = json.loads(text)
    names = [name for name, value in values.items() if isinstance(value, str)]
    after = rewrite([values[name] for name in names])
    rewritten = dict(zip(names, after, strict=True))
    changed = {n: _tidy(a) or values[n] for n, a in rewritten.items() if a != values[n]}
    return json.dumps(values | changed, ensure_ascii=False) if changed else text


def _rewritten_paths(
    paths: Sequence[Paths], rewrite: Rewrite, levels: bool
) -> tuple[tuple[Paths, ...], list[Change]]:
    names = list(dict.fromkeys(name for item in dict.fromkeys(paths) for path in item for name in path))
    of = _safely(rewrite, names)
    if all(before == after for before, after in of.items()):
        return tuple(paths), []
    known = {
        item: renamed(item, [tuple(of[name] for name in path) for path in item], levels=levels)
        for item in dict.fromkeys(paths)
    }
    changes = [
        Change("categories", at, _shown(item), _shown(known[item]))
        for at, item in enumerate(paths)
        if known[item] != item
    ]
    return tuple(known[item] for item in paths), changes


def _shown(paths: Paths) -> str:
    return " | ".join(" > ".join(path) for path in paths)


def rows_of(values: Sequence[str]) -> dict[str, np.ndarray]:
    """Distinct value -> int64 rows with this value."""
    table = pl.DataFrame({"value": pl.Series(values, dtype=pl.String)}).with_row_index("row")
    grouped = table.group_by("value", maintain_order=True).agg(pl.col("row"))
    return {value: np.asarray(rows, np.int64) for value, rows in grouped.iter_rows()}
