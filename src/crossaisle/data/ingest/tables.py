"""Items and users: small tables, read whole and checked row by row, with a reason for each problem."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from crossaisle.config import DataConfig
from crossaisle.data.clean.texts.characters import Mojibake
from crossaisle.data.ingest.clean import as_text
from crossaisle.data.ingest.ledger import Ledger
from crossaisle.data.ingest.source import Source
from crossaisle.data.ingest.texts.categories import (
    Reading,
    level_paths,
    lists_are_paths,
    missing_separator,
    read_paths,
)
from crossaisle.data.ingest.texts.reading import ADDRESSES, read_text
from crossaisle.data.ingest.texts.tree import read_tree
from crossaisle.data.ingest.values.moments import Clock
from crossaisle.data.ingest.values.numbers import NumberReader, beside, currency_codes
from crossaisle.data.ingest.values.stock import read_stock
from crossaisle.data.ingest.whole import Whole, one_array
from crossaisle.data.taxonomy import Paths
from crossaisle.data.text.control import CONTROL
from crossaisle.data.windows import END, START, at_moment
from crossaisle.errors import DataError

WINDOWS = (START, END)
LISTED = 10_000
"""Maximum number of texts with markup listed individually; all are counted."""
ITEM_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "item_id": pl.String,
    "title": pl.String,
    "description": pl.String,
    "brand": pl.String,
    "price": pl.Float32,
    "image": pl.String,
    "url": pl.String,
    "in_stock": pl.Boolean,
    "attributes": pl.String,
}


@dataclass
class Items:
    """The items that were kept, in file order, and their category paths."""

    frame: pl.DataFrame
    paths: list[Paths]
    rows: npt.NDArray[np.int64]
    """Row numbers in the file."""
    windows: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    """`available_from` and `expires`: microseconds since 1970, if the items have them."""

    def take(self, index: npt.NDArray[np.integer]) -> Items:
        """The items at some positions."""
        windows = {name: moments[index] for name, moments in self.windows.items()}
        return Items(self.frame[index], [self.paths[i] for i in index], self.rows[index], windows)

    def and_blank(self, ids: Sequence[str]) -> Items:
        """These items followed by some of which only the id is known."""
        more = blank_items(ids)
        known = np.iinfo(np.int64)
        windows = {
            name: np.append(moments, np.full(len(ids), known.min if name == START else known.max))
            for name, moments in self.windows.items()
        }
        frame = pl.concat([self.frame, more.frame], how="diagonal_relaxed")
        return Items(frame, [*self.paths, *more.paths], np.append(self.rows, more.rows), windows)

    def at(self, moment: int, ledger: Ledger) -> Items:
        """The items' state at a time (microseconds since 1970): sold out if not yet or no longer for sale.

        The limits themselves are kept as columns, so that a service can compare them with its clock.
        """
        start, end = self.windows.get(START), self.windows.get(END)
        stock = self.frame["in_stock"].to_numpy()
        for name, rule, out in (
            (START, "not_yet_available", None if start is None else start > moment),
            (END, "expired", None if end is None else end <= moment),
        ):
            if out is not None:
                rows = np.flatnonzero(out & stock)
                days = (
                    pl.Series(self.windows[name][rows]).cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M")
                )
                ledger.repaired("items", rule, name, self.rows[rows], days)
                stock = stock & ~out
        return replace(self, frame=at_moment(self.frame.with_columns(self._limits()), moment / 1e6))

    def _limits(self) -> list[pl.Series]:
        """The sale windows as columns of the table."""
        known = np.iinfo(np.int64)
        out = []
        for name, micros in self.windows.items():
            none = (micros == known.min) | (micros == known.max)
            seconds = pl.Series(name, micros // 1_000_000, dtype=pl.Int64)
            out.append(seconds.set(pl.Series(none), None))
        return out


def blank_items(ids: Sequence[str]) -> Items:
    """Items of which only the id is known."""
    frame = pl.DataFrame({"item_id": pl.Series(ids, dtype=pl.String)}).with_columns(
        *(pl.lit("").alias(name) for name in ("title", "description", "brand", "attributes")),
        pl.lit(None, pl.Float32).alias("price"),
        *(pl.lit(None, pl.String).alias(name) for name in ADDRESSES),
        pl.lit(True).alias("in_stock"),
    )
    return Items(frame.select(*ITEM_SCHEMA), [()] * len(ids), np.zeros(len(ids), np.int64))


def read_items(
    source: Source,
    found: Mapping[str, tuple[str, ...]],
    config: DataConfig,
    ledger: Ledger,
    mojibake: Mojibake,
) -> Items:
    """Reads, checks and cleans the items. `mojibake` sees their texts before control characters are
    removed."""
    whole = Whole("items", "item_id", source, found, config.nulls, ledger)
    columns: dict[str, pl.Series] = {"item_id": whole.ids}
    for name in ("title", "description", "brand", *ADDRESSES):
        if name in found:
            columns[name] = _texts(whole, name, mojibake)
    if "image" in columns and source.folder is not None:
        columns["image"] = _beside(columns["image"], source.folder)
    if "price" in found:
        decimal = config.items.decimal if config.items else None
        others = beside(source, config.nulls)
        reader = NumberReader(source.file, found["price"][0], decimal, config.nulls, others)
        numbers, bad = reader.read(whole.column("price"))
        currency = _currency(whole, reader, said="currency" in found)
        reader.note(ledger)
        ledger.tallies["items"].currencies = dict(reader.currencies)
        whole.repair("unreadable_price", "price", bad)
        whole.repair("negative_price", "price", numbers < 0)
        columns["price"] = pl.Series(np.where(numbers >= 0, numbers, np.nan)).fill_nan(None)
        if currency is not None:
            columns["currency"] = currency
    if "in_stock" in found:
        columns["in_stock"] = _stock(whole)
    if "attributes" in found:
        columns["attributes"] = _attributes(whole, mojibake)
    columns |= {"group": whole.names("group_id")} if "group_id" in found else {}
    paths = _paths(whole, config, mojibake) if "categories" in found else [()] * len(whole.ids)
    keep = np.flatnonzero(whole.keep)
    frame = pl.DataFrame(columns)[keep]
    blank = blank_items(frame["item_id"].to_list()).frame
    frame = blank.with_columns(
        frame[name].cast(kind) if name in ("price", "in_stock", *ADDRESSES) else frame[name].fill_null("")
        for name, kind in ITEM_SCHEMA.items()
        if name in frame.columns
    )
    given = pl.DataFrame(columns)[keep]
    if (
        "currency" in given.columns
        and given["currency"].n_unique() - bool(given["currency"].null_count()) < 2
    ):
        given = given.drop("currency")  # the others were of rows that were not kept
    frame = frame.with_columns(_where_given(given, source, ledger))
    windows = {name: _moments(whole, name, config)[keep] for name in WINDOWS if name in found}
    return Items(frame, [paths[i] for i in keep], source.file_rows(keep), windows)


def _where_given(items: pl.DataFrame, source: Source, ledger: Ledger) -> list[pl.Series]:
    """Optional columns: currencies and groups."""
    out = [items["group"]] if "group" in items.columns else []
    return [*out, _currencies(items["currency"], source, ledger)] if "currency" in items.columns else out


def _currency(whole: Whole, reader: NumberReader, *, said: bool) -> pl.Series | None:
    """String: currency of each price, next to it or in its own column (`said`); None if all prices have the
    same."""
    if said:
        beside, column = reader.currency(whole.column("price")), whole.text("currency")
        codes = currency_codes(column)
        whole.repair("unreadable_currency", "currency", (column.is_not_null() & codes.is_null()).to_numpy())
        whole.repair("two_currencies", "currency", (beside != codes).fill_null(False).to_numpy())
        currency = beside.fill_null(codes)
        reader.currencies = Counter(dict(currency.drop_nulls().value_counts().rows()))
    if len(reader.currencies) < 2:
        return None
    return currency if said else reader.currency(whole.column("price"))


def _currencies(known: pl.Series, source: Source, ledger: Ledger) -> pl.Series:
    """The currency of each price, the most common one if none is given."""
    usual = str(known.drop_nulls().mode().sort().first())
    other = int((known != usual).sum())
    ledger.warn(
        f"{source.file}: min_price and max_price apply to {usual}: {other:,} items priced in "
        "other currencies match no price range"
    )
    return known.fill_null(usual)


def _moments(whole: Whole, name: str, config: DataConfig) -> npt.NDArray[np.int64]:
    """int64 microseconds since 1970; a missing value sets no limit."""
    words = whole.text(name)
    there = words.is_not_null().to_numpy()
    values = whole.column(name)
    micros, read = Clock(config.time_unit).read(values)
    if config.time_unit is not None:  # the setting describes the events' times
        other, also = Clock().read(values)
        micros, read = np.where(read, micros, other), read | also
    whole.repair(f"unreadable_{name}", name, there & ~read)
    limits = np.iinfo(np.int64)
    return np.where(there & read, micros, limits.min if name == START else limits.max)


def _stock(whole: Whole) -> pl.Series:
    words = whole.text("in_stock")
    flag, unread = read_stock(words)
    whole.repair("unreadable_in_stock", "in_stock", unread)
    if unread.any():
        odd = words.filter(pl.Series(unread)).unique(maintain_order=True)
        place = f"column {whole.found['in_stock'][0]!r}"
        if unread.sum() == words.len() - words.null_count() and len(odd) > 1:
            raise DataError(
                f"no value says whether an item is in stock ({_quoted(odd)}): use yes and no, in_stock and "
                "out_of_stock, or a quantity, or map in_stock to another column",
                file=whole.source.file,
                column=whole.found["in_stock"][0],
            )
        whole.ledger.warn(
            f"{whole.source.file}, {place}: unknown words ({_quoted(odd)}) count as in stock; "
            "use yes and no, in_stock and out_of_stock, or a quantity"
        )
    return flag


def _quoted(values: pl.Series) -> str:
    """The first three of some texts, for a message."""
    return ", ".join(f"{v[:40]!r}" for v in values[:3]) + (" …" if len(values) > 3 else "")


def _beside(images: pl.Series, folder: Path) -> pl.Series:
    """Resolves picture paths in or below the folder of the items' file; others are unchanged."""
    found = [str(folder / name) if name and _is_file(folder, name) else name for name in images]
    return pl.Series(found, dtype=pl.String)


def _is_file(folder: Path, name: str) -> bool:
    try:
        return "://" not in name and (folder / name).is_file()
    except (OSError, ValueError):  # too long, or not a path
        return False


def read_users(
    source: Source, found: Mapping[str, tuple[str, ...]], nulls: Sequence[str], ledger: Ledger
) -> tuple[pl.DataFrame, npt.NDArray[np.int64]]:
    """Reads and checks the users: `user_id` and the shop's own attributes, with their types.

    Also returns their row numbers in the file.
    """
    whole = Whole("users", "user_id", source, found, nulls, ledger)
    columns = {"user_id": whole.ids}
    for name in found.get("attributes", ()):
        values = pl.Series(one_array(whole.raw.column(name)))
        texts = values.dtype in (pl.String, pl.Categorical, pl.Enum)
        columns[name] = whole.clean(values.cast(pl.String)) if texts else values
    keep = np.flatnonzero(whole.keep)
    return pl.DataFrame(columns)[keep], source.file_rows(keep)


def _texts(whole: Whole, name: str, mojibake: Mojibake) -> pl.Series:
    if pa.types.is_binary(whole.column(name).type) or pa.types.is_large_binary(whole.column(name).type):
        whole.ledger.warn(
            f"{whole.source.file}: column {whole.found[name][0]!r} holds bytes, not text, and is not used"
        )
        return pl.Series([None] * len(whole.ids), dtype=pl.String)
    clean, rules = read_text(name, whole.text(name, tidied=False), mojibake, whole.nulls)
    for rule, mask in rules.items():
        whole.repair(rule, name, mask, LISTED if rule == "markup" else None)
    return clean


def _attributes(whole: Whole, mojibake: Mojibake) -> pl.Series:
    names = whole.found["attributes"]
    cells = (pl.Series(as_text(one_array(whole.raw.column(n))), dtype=pl.String) for n in names)
    texts = [read_text("attributes", cell, mojibake, whole.nulls)[0] for cell in cells]
    rows = ({n: v for n, v in zip(names, row, strict=True) if v} for row in zip(*texts, strict=True))
    return pl.Series([json.dumps(r, ensure_ascii=False) if r else "" for r in rows], dtype=pl.String)


def _paths(whole: Whole, config: DataConfig, mojibake: Mojibake) -> list[Paths]:
    names = whole.found["categories"]
    cells = (pl.Series(as_text(one_array(whole.raw.column(name))), dtype=pl.String) for name in names)
    raw = [mojibake.mend("categories", cell) for cell in cells]
    for text in raw:
        dirty = text.str.contains(CONTROL).fill_null(False)
        whole.repair("control_characters", "categories", dirty.to_numpy())
    columns = [whole.clean(text).to_list() for text in raw]
    if len(columns) > 1:
        return level_paths(columns)
    how = _how_to_read(whole, columns[0], config)
    known: dict[str | None, tuple[Paths, bool]] = {
        cell: read_paths(cell, how) for cell in dict.fromkeys(columns[0])
    }
    whole.repair("category_cycle", "categories", np.array([known[cell][1] for cell in columns[0]], bool))
    return [known[cell][0] for cell in columns[0]]


def _how_to_read(whole: Whole, cells: Sequence[str | None], config: DataConfig) -> Reading:
    lists = config.category_lists
    guess = (
        None
        if lists or config.category_tree
        else lists_are_paths(dict.fromkeys(cells), config.category_separator)
    )
    if guess is not None:
        example = next(cell for cell in cells if cell and cell.startswith("["))
        read = "one path each, root first" if guess else "several categories each"
        other = "paths" if guess else "path"
        whole.ledger.warn(
            f"{whole.source.file}, column {whole.found['categories'][0]!r}: lists such as {example[:100]} "
            f"were read as {read}; set category_lists to {other!r} if they are not"
        )
    if config.path_separator is None and not config.category_tree:
        sign = missing_separator(dict.fromkeys(cells), config.category_separator)
        if sign is not None:
            whole.ledger.warn(
                f"{whole.source.file}, column {whole.found['categories'][0]!r}: cells seem to hold "
                f"several categories each, separated by {sign!r}, but were read as one path: set "
                "path_separator"
            )
    return Reading(
        separator=config.category_separator,
        path_separator=config.path_separator,
        lists_are_paths=lists == "path" or bool(guess),
        roots=config.category_roots,
        tree=read_tree(config.category_tree, whole.ledger) if config.category_tree else None,
    )


def note_contradictions(paths: Iterable[Paths], ledger: Ledger) -> None:
    """Warns if one category is below another in one path and above it in a different one."""
    above: set[tuple[str, str]] = set()
    for path in {p for item in paths for p in item}:
        above.update(itertools.pairwise(path))
    both = sorted({(min(a, b), max(a, b)) for a, b in above if a != b and (b, a) in above})
    if both:
        shown = ", ".join(f"{a!r} and {b!r}" for a, b in both[:3])
        ledger.warn(
            f"categories contradict each other: {shown}{(' …' if len(both) > 3 else '')} each "
            "stand above the other; both paths are kept"
        )
