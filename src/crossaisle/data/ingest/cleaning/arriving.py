"""`clean_bodies`: applies to individually submitted items what an import does to rows of the catalogue."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from crossaisle.data.clean.catalogue import clean_arriving
from crossaisle.data.clean.item_cleaning import ItemCleaning
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.texts.characters import Mojibake
from crossaisle.data.ingest.clean import tidied_ids
from crossaisle.data.ingest.texts.categories import names_of, sound_paths
from crossaisle.data.ingest.texts.reading import ADDRESSES, read_text
from crossaisle.data.taxonomy import SEPARATOR, Paths

TEXTS = ("title", "description", "brand", *ADDRESSES)
GROUP = "group_id"
SHOWN = 200
"""Maximum number of characters of a value in the record of a change."""


@dataclass(frozen=True)
class Cleaned:
    """A value that was not stored as sent."""

    field: str
    steps: tuple[str, ...]
    """The import rules and steps of `[data.clean]` that changed it, in order."""
    before: str
    after: str


@dataclass
class _Account:
    """Records which steps changed which field of which item."""

    steps: dict[tuple[int, str], list[str]] = field(default_factory=dict)

    def add(self, row: int, name: str, step: str) -> None:
        known = self.steps.setdefault((row, name), [])
        if step not in known:
            known.append(step)


def clean_bodies(
    bodies: Sequence[Mapping[str, Any]], how: ItemCleaning, known: Sequence[Paths] = ()
) -> tuple[list[dict[str, Any]], list[list[Cleaned]]]:
    """Items as an import of the same rows would store them, and per item the changes this made.

    Only fields that are present are considered: `title`, `description`, `brand`, `image`, `url`, `group_id`
    (text or None), `categories` (paths, or None) and `attributes`. A text that becomes empty or means "no
    value" becomes None; such an attribute is removed. `known` (n,): categories of items that are sent
    without.
    """
    account = _Account()
    out = [dict(body) for body in bodies]
    for name in TEXTS:
        rows = [row for row, body in enumerate(out) if isinstance(body.get(name), str)]
        for row, text in zip(
            rows, _read(name, [out[row][name] for row in rows], rows, how, account), strict=True
        ):
            out[row][name] = text
    _attributes(out, how, account)
    _groups(out, how, account)
    paths = _paths(out, how, account)
    _steps(out, paths, known, how, account)
    return out, [
        _told(body, after, row, account) for row, (body, after) in enumerate(zip(bodies, out, strict=True))
    ]


def _read(
    name: str, texts: Sequence[str], rows: Sequence[int], how: ItemCleaning, account: _Account
) -> list[str | None]:
    """Reads the texts of some rows as an import reads a column."""
    if not texts:
        return []
    mojibake = Mojibake(setting=how.config.mojibake)
    clean, rules = read_text(name, pl.Series(texts, dtype=pl.String), mojibake, how.nulls)
    for change in mojibake.changes:
        account.add(rows[change.row], name, "mojibake")
    for rule, mask in rules.items():
        for at in np.flatnonzero(mask).tolist():
            account.add(rows[at], name, rule)
    for at in np.flatnonzero(clean.is_null().to_numpy()).tolist():
        account.add(rows[at], name, "no_value")
    return clean.to_list()


def _attributes(out: list[dict[str, Any]], how: ItemCleaning, account: _Account) -> None:
    places = [
        (row, name)
        for row, body in enumerate(out)
        for name, value in (body.get("attributes") or {}).items()
        if isinstance(value, str)
    ]
    values = [out[row]["attributes"][name] for row, name in places]
    read = _read("attributes", values, [row for row, _ in places], how, account)
    for row in {row for row, _ in places}:
        out[row]["attributes"] = dict(out[row]["attributes"])
    for (row, name), value in zip(places, read, strict=True):
        if value is None:
            del out[row]["attributes"][name]
        else:
            out[row]["attributes"][name] = value


def _groups(out: list[dict[str, Any]], how: ItemCleaning, account: _Account) -> None:
    rows = [row for row, body in enumerate(out) if isinstance(body.get(GROUP), str)]
    names = pl.Series([out[row][GROUP] for row in rows], dtype=pl.String)
    tidy, rules, _ = tidied_ids(names, how.nulls, refuse=False)
    for rule, mask in (*rules.items(), ("no_value", tidy.is_null().to_numpy())):
        for at in np.flatnonzero(mask).tolist():
            account.add(rows[at], GROUP, rule)
    for row, name in zip(rows, tidy, strict=True):
        out[row][GROUP] = name


def _paths(out: list[dict[str, Any]], how: ItemCleaning, account: _Account) -> list[Paths | None]:
    """Category paths per item; None for items sent without."""
    given = [body.get("categories") for body in out]
    names = list(dict.fromkeys(name for paths in given for path in paths or () for name in path))
    mojibake = Mojibake(setting=how.config.mojibake)
    read = mojibake.mend("categories", pl.Series(names, dtype=pl.String)).to_list()
    mended = dict(zip(names, read, strict=True))
    paths: list[Paths | None] = []
    for row, item in enumerate(given):
        if item is None:
            paths.append(None)
            continue
        tidy = tuple(names_of([mended[name] for name in path]) for path in item)
        sound, cut = (tuple(p for p in tidy if p), False) if how.levels else sound_paths(tidy, how.roots)
        for step, did in (
            ("mojibake", any(mended[name] != name for path in item for name in path)),
            (
                "markup",
                any(
                    mended[n] != t
                    for p, q in zip(item, tidy, strict=True)
                    for n, t in zip(p, q, strict=False)
                ),
            ),
            ("category_cycle", cut),
            ("category_roots", tidy != sound and not cut),
        ):
            if did:
                account.add(row, "categories", step)
        paths.append(sound)
    return paths


def _steps(
    out: list[dict[str, Any]],
    paths: Sequence[Paths | None],
    known: Sequence[Paths],
    how: ItemCleaning,
    account: _Account,
) -> None:
    """Applies the steps of `[data.clean]`."""
    texts = {name: [body.get(name) or "" for body in out] for name in ("title", "description", "brand")}
    attributes = [body.get("attributes") or {} for body in out]
    texts["attributes"] = [json.dumps(one, ensure_ascii=False) if one else "" for one in attributes]
    frame = pl.DataFrame({name: pl.Series(values, dtype=pl.String) for name, values in texts.items()})
    others = known or [()] * len(out)
    given = tuple(other if own is None else own for own, other in zip(paths, others, strict=True))
    done, changes = clean_arriving(Products(frame, given, how.levels), how)
    for step, change in changes:
        if change.column != "categories" or paths[change.row] is not None:
            account.add(change.row, change.column, step)
    for name in texts:
        for row, value in enumerate(done.texts(name)):
            if name == "attributes" and attributes[row]:
                out[row][name] = json.loads(value)
            elif name != "attributes" and out[row].get(name):
                out[row][name] = value
    for row, (own, item) in enumerate(zip(paths, done.paths, strict=True)):
        if own is not None:
            out[row]["categories"] = [list(path) for path in item]


def _told(body: Mapping[str, Any], after: Mapping[str, Any], row: int, account: _Account) -> list[Cleaned]:
    return [
        Cleaned(
            name,
            tuple(account.steps.get((row, name), ("blanks",))),
            _shown(name, body[name]),
            _shown(name, after[name]),
        )
        for name in (*TEXTS, GROUP, "attributes", "categories")
        if name in body and body[name] != after[name] and not (body[name] in (None, "") and not after[name])
    ]


def _shown(name: str, value: Any) -> str:
    if name == "categories":
        value = " | ".join(SEPARATOR.join(path) for path in value or ())
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
