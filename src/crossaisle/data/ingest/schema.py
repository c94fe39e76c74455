"""The three canonical tables: their columns, and the contents of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Literal

from crossaisle.config import EventColumns, ItemColumns, UserColumns
from crossaisle.errors import DataError, nearest

Table = Literal["items", "events", "users"]
TEXT_LIMITS = {"title": 2_000, "description": 20_000, "brand": 200, "image": 2_000, "url": 2_000}
"""Maximum characters kept of a text; longer texts are truncated and counted."""

_NUMBER_OR_DATE = re.compile(r"[-+]?\d[\d.,:/ T+-]*Z?")

_DAY = re.compile(r"\d{4}-\d\d-\d\d\b")


def looks_like_data(cells: Sequence[str]) -> bool:
    """Whether a file's first line is more likely a row of data than a header."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    return len(filled) > 1 and 2 * sum(bool(_NUMBER_OR_DATE.fullmatch(c)) for c in filled) >= len(filled)


def match_columns(
    columns: ItemColumns | EventColumns | UserColumns,
    available: Iterable[str],
    file: str,
    lists: Iterable[str] = (),
) -> dict[str, tuple[str, ...]]:
    """Canonical name -> columns of the file, for those present.

    A column named in the settings but missing raises `DataError` with the nearest name; for one not named,
    the file's column of the canonical name is used, if any. `lists`: columns that contain lists.
    """
    names = list(available)
    found: dict[str, tuple[str, ...]] = {}
    for spec in fields(columns):
        wanted = getattr(columns, spec.name)
        chosen = (wanted,) if isinstance(wanted, str) else tuple(wanted or ())
        for name in chosen:
            if names.count(name) > 1:
                raise DataError(f"two columns have this name{_header(names)}", file=file, column=name)
            if name not in names:
                top = next((n for n in lists if name.startswith(f"{n}.")), None)
                hint = f": {top!r} holds lists, set explode = {top!r}" if top else _header(names)
                rule = f"no such column{hint or nearest(name, names)}"
                raise DataError(rule, file=file, column=name)
        if not chosen and names.count(spec.name) == 1:
            chosen = (spec.name,)
        if chosen:
            found[spec.name] = chosen
    if isinstance(columns, UserColumns) and "attributes" not in found:
        taken = found.get("user_id", ())
        found["attributes"] = tuple(n for n in dict.fromkeys(names) if n not in taken)
    _require(found, columns, names, file)
    return found


def _require(
    found: dict[str, tuple[str, ...]],
    columns: ItemColumns | EventColumns | UserColumns,
    names: list[str],
    file: str,
) -> None:
    needed = "user_id" if isinstance(columns, UserColumns) else "item_id"
    if needed not in found:
        hint = _header(names) or nearest(needed, names)
        raise DataError(f"no such column{hint}; name the right one in columns", file=file, column=needed)
    if isinstance(columns, EventColumns) and not {"user_id", "basket_id"} & set(found):
        hint = _header(names) or nearest("user_id", names)
        raise DataError(
            f"events need a user or a basket: no such column{hint}; name the right one in columns",
            file=file,
            column="user_id",
        )


def _header(names: Sequence[str]) -> str:
    """A hint if the names look like values of a row."""
    if not looks_like_data(names) and not any(_DAY.match(name) for name in names):
        return ""
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f" (the first line looks like data: {shown}; set header = false and names)"
