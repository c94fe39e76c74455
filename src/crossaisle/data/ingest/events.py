"""Reads events batch by batch, checks them, and encodes them as integers at once, so that millions fit in
memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from crossaisle.config import DataConfig
from crossaisle.data.ingest.clean import (
    Ids,
    alike,
    as_text,
    encode_ids,
    shown,
    texts,
    to_arrow,
    to_numpy,
    with_guests,
)
from crossaisle.data.ingest.codes import DEFAULT_KIND, Codes, KnownIds, Raw, no_events
from crossaisle.data.ingest.ledger import Ledger, Tally
from crossaisle.data.ingest.limits import READ_LIMITS, ReadLimits
from crossaisle.data.ingest.source import Source
from crossaisle.data.ingest.spill.columns import Column, filled, replaced
from crossaisle.data.ingest.values.moments import DAY, MICROS, Clock, how_to_read, looks_like_excel
from crossaisle.data.ingest.values.numbers import NumberReader, beside
from crossaisle.data.ingest.whole import Mask, no_ids, note_misread, raw_json
from crossaisle.data.kinds import look_like_ratings
from crossaisle.data.text.ids import REFUSED
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import DataError
from crossaisle.progress import bar

TELLING = 100_000
"""Number of rows after which a column without valid ids is rejected."""
LOW_TIME = 100_000_000 * 1_000_000
"""Microseconds: times before March 1973 are implausible for a shop."""


class EventReader:
    """Reads one source of events, checked against known items (or none)."""

    def __init__(
        self,
        source: Source,
        found: Mapping[str, tuple[str, ...]],
        config: DataConfig,
        ledger: Ledger,
        item_ids: Sequence[str] | None,
        excluded: Mask | None,
        limits: ReadLimits = READ_LIMITS,
    ) -> None:
        self.source, self.config, self.ledger = source, config, ledger
        self.columns = {name: columns[0] for name, columns in found.items()}
        self.item_ids = None if item_ids is None else KnownIds(texts(item_ids))
        self.excluded = excluded
        self.in_memory = limits.events_in_memory
        self.clock = Clock(config.time_unit)
        decimal, others = config.events.decimal, beside(source, config.nulls)
        self.numbers = {
            name: NumberReader(source.file, self.columns[name], decimal, config.nulls, others)
            for name in ("position", "value", "quantity")
            if name in self.columns
        }
        self.latest = int(time.time()) * 1_000_000 + DAY
        self.user_column = "user_id" if "user_id" in found else "basket_id"
        self.ids: dict[str, Codes] = {
            name: Codes(self.in_memory) for name in ("user_id", "basket_id", "kind") if name in found
        }
        if item_ids is None:
            self.ids["item_id"] = Codes(self.in_memory)
        self.parts: dict[str, Column] = {}
        self.earliest, self.last = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        self.tally = ledger.tallies["events"] = Tally(source.file, source.encoding, files=source.files)
        self.keep_rows = config.min_users_per_item > 0 or config.clean.robots == "on"

    def read(self, progress: bool = False) -> Raw:
        """Reads all events; `DataError` if none can be kept."""
        wanted = list(dict.fromkeys(self.columns.values()))
        stream = self.source.batches(wanted)
        done = 0
        with ThreadPoolExecutor(3) as pool, bar("reading events", None, show=progress) as advance:
            ahead = pool.submit(next, stream, None)
            while (batch := ahead.result()) is not None:
                ahead = pool.submit(next, stream, None)  # decoded while the current one is checked
                self._take(batch, done, pool)
                done += batch.num_rows
                advance(batch.num_rows)
                if done >= TELLING:
                    self._refuse_ids(done)
        self.tally.read += done
        note_misread("events", self.source, self.ledger)
        if not self.tally.read:
            if self.item_ids is None:
                raise DataError("there is a header but no readable row", file=self.source.file)
            return no_events()
        self._refuse_ids()
        self._refuse_times()
        hint = self._note_unknown_items()
        if not self.tally.kept:
            raise DataError(
                f"none of {self.tally.read:,} events can be kept: {self.ledger.explain('events')}"
                + (f"; {hint}" if hint else ""),
                file=self.source.file,
            )
        self._note_times()
        for reader in self.numbers.values():
            reader.note(self.ledger)
        pa.default_memory_pool().release_unused()
        return self._finish()

    def _take(self, batch: pa.RecordBatch, start: int, pool: Executor) -> None:
        if not batch.num_rows:
            return
        names: list[str] = [n for n in ("item_id", "user_id", "basket_id", "kind") if n in self.columns]
        columns = [(n, batch.column(self.columns[n])) for n in names]
        coded: dict[str, Ids] = dict(zip(names, pool.map(self._encode, columns), strict=True))
        ids = {name: column.codes for name, column in coded.items()}
        if self.config.events.guests == "baskets" and {"user_id", "basket_id"} <= set(ids):
            ids["user_id"] = with_guests(ids["user_id"], ids["basket_id"])
        known: dict[str, np.ndarray] = {}
        checks = self._ids(batch, coded)
        checks += [("missing_item_id", "item_id", _absent(ids["item_id"]))]
        checks.append((f"missing_{self.user_column}", self.user_column, _absent(ids[self.user_column])))
        if self.item_ids is not None and self.excluded is not None:
            item = self._item_rows(ids["item_id"])
            checks.append(("unknown_item", "item_id", item == -1))
            checks.append(("excluded_item", "item_id", np.append(self.excluded, False)[item]))
            known["item"] = item
        checks += self._moments(batch, known)
        unreadable = self._numbers(batch, known, checks)
        keep = self._sort_out(batch, checks, start)
        for name, bad in unreadable.items():
            index = np.flatnonzero(bad & keep)
            rows = self.source.file_rows(index + start)
            self.ledger.repaired("events", f"unreadable_{name}", name, rows, self._values(batch, name, index))
        where = slice(None) if keep.all() else keep
        if self.keep_rows:
            known["rows"] = self.source.file_rows(np.arange(batch.num_rows) + start)
        for name, values in known.items():
            self.parts.setdefault(name, Column(self.in_memory)).add(values[where])
        if "micros" in known and keep.any():
            self.earliest = min(self.earliest, int(known["micros"][where].min()))
            self.last = max(self.last, int(known["micros"][where].max()))
        mask = to_arrow(keep)
        for name, codes in self.ids.items():
            codes.add(ids[name], mask)

    def _ids(self, batch: pa.RecordBatch, coded: Mapping[str, Ids]) -> list[tuple[str, str, Mask]]:
        """Counts repaired ids; returns where values cannot be ids."""
        checks = []
        for name, column in coded.items():
            self.tally.repaired.update(column.repaired)
            for rule, mask in column.refused.items():
                checks.append((rule, name, mask))
        return checks

    def _encode(self, column: tuple[str, pa.Array]) -> Ids:
        name, values = column
        return encode_ids(values, self.config.nulls, refuse=name != "kind")

    def _item_rows(self, ids: pa.DictionaryArray) -> Rows:
        assert self.item_ids is not None
        rows: Rows = np.append(self.item_ids.rows(ids.dictionary), np.int32(-1))
        codes: Rows = to_numpy(ids.indices, -1)
        return rows[codes]

    def _moments(self, batch: pa.RecordBatch, known: dict[str, np.ndarray]) -> list[tuple[str, str, Mask]]:
        if "time" not in self.columns:
            return []
        column = batch.column(self.columns["time"])
        micros, read = self.clock.read(column)
        known["micros"] = micros
        absent = to_numpy(column.is_null(nan_is_null=True), False)
        unread = np.flatnonzero(~read & ~absent)
        words = pl.Series(as_text(column.take(to_arrow(unread))), dtype=pl.String)
        absent[unread] = words.str.strip_chars().is_in(["", *self.config.nulls]).fill_null(True).to_numpy()
        return [
            ("missing_time", "time", absent),
            ("unreadable_time", "time", ~read),
            ("negative_time", "time", micros < 0),
            ("future_time", "time", micros > self.latest),
        ]

    def _numbers(
        self, batch: pa.RecordBatch, known: dict[str, np.ndarray], checks: list[tuple[str, str, Mask]]
    ) -> dict[str, Mask]:
        """Reads numeric columns; returns, per column, where a value is dropped but the event is kept."""
        unreadable: dict[str, Mask] = {}
        for name, reader in self.numbers.items():
            numbers, bad = reader.read(batch.column(self.columns[name]))
            if name == "position":
                checks.append(("missing_position", name, np.isnan(numbers) & ~bad))
                checks.append(("unreadable_position", name, bad))
                known[name] = numbers
                continue
            if bad.any():
                unreadable[name] = bad
            if name == "quantity":
                numbers = np.where(np.isnan(numbers), 1.0, numbers)
            known[name] = numbers.astype(np.float32)
        return unreadable

    def _values(self, batch: pa.RecordBatch, column: str, index: npt.NDArray[np.integer]) -> pl.Series:
        return shown(batch.column(self.columns[column]).take(to_arrow(index)))

    def _sort_out(self, batch: pa.RecordBatch, checks: list[tuple[str, str, Mask]], start: int) -> Mask:
        """Sets aside rows that break a rule, under the first rule they break; returns those that stay."""
        keep = np.ones(batch.num_rows, bool)
        for rule, column, mask in checks:
            index = np.flatnonzero(mask & keep)
            if not len(index):
                continue
            keep[index] = False
            # the event itself is valid, only its item is excluded: no copy needed
            raw = None if rule == "excluded_item" else raw_json(batch, index)
            rows = self.source.file_rows(index + start)
            self.ledger.set_aside("events", rule, column, rows, self._values(batch, column, index), raw)
        return keep

    def _refuse_ids(self, read: int = 0) -> None:
        """`DataError` if most values cannot be ids, among the rows so far or among all."""
        for rule in REFUSED:
            if 2 * self.tally.set_aside[rule] > (read or self.tally.read):
                found = self.ledger.frame().filter(table="events", rule=rule, action="set aside")
                name, value = found.row(0, named=True)["column"], found["value"][0]
                raise no_ids(rule, value, name, self.columns[name], self.source)

    def _refuse_times(self) -> None:
        """`DataError` with an example and the setting to read it, if times are the problem."""
        lost, read = self.tally.set_aside, self.tally.read
        rules = {
            "unreadable_time": "cannot be read",
            "future_time": "lie in the future",
            "negative_time": "lie before 1970",
        }
        for rule, what in rules.items():
            if 2 * lost[rule] > read:
                values = self.ledger.values("events", rule)
                raise DataError(
                    f"{lost[rule]:,} of {read:,} times {what}, such as {values[0]!r}: {how_to_read(values)}",
                    file=self.source.file,
                    column=self.columns["time"],
                )

    def _note_unknown_items(self) -> str | None:
        """A sentence if unknown item ids would match when written differently, else None."""
        if not self.tally.set_aside["unknown_item"] or self.item_ids is None:
            return None
        hint = alike(self.ledger.values("events", "unknown_item"), pl.Series(self.item_ids.ids))
        if hint is not None:
            self.ledger.warn(f"{self.source.file}, column {self.columns['item_id']!r}: {hint}")
        return hint

    def _note_times(self) -> None:
        if n := self.tally.set_aside["unreadable_time"]:
            values = self.ledger.values("events", "unreadable_time")
            self.ledger.warn(
                f"{self.source.file}, column {self.columns['time']!r}: {n:,} of {self.tally.read:,} times "
                f"cannot be read, such as {values[0]!r}: {how_to_read(values)}"
            )
        seen = {what: n for what, n in self.clock.seen.items() if n > 0}
        if len(seen) > 1:
            mixture = ", ".join(f"{n:,} {what}" for what, n in seen.items())
            self.ledger.warn(
                f"{self.source.file}: column {self.columns['time']!r} mixes {mixture}; each value is "
                "read in its own format"
            )
        high = self.last
        if self.earliest <= high < LOW_TIME and self.config.time_unit is None:
            if looks_like_excel(self.earliest, high):
                raise DataError(
                    f"all times are numbers from 20,000 to 80,000, such as {high / MICROS:g}, like a "
                    "spreadsheet's day numbers: set time_unit to 'excel', or to 's' for seconds since "
                    "1970; if they only give an order, map the column to position",
                    file=self.source.file,
                    column=self.columns["time"],
                )
            self.ledger.warn(
                f"{self.source.file}: all times lie before March 1973, the last at {high / MICROS:g} seconds "
                "since 1970; if they only give an order, map the column to position instead of time; if they "
                "are dates, set time_unit"
            )

    def _finish(self) -> Raw:
        n, room = self.tally.kept, self.in_memory
        joined = {name: self.parts.pop(name).finish() for name in list(self.parts)}
        coded = {name: codes.finish() for name, codes in self.ids.items()}
        user, users = coded[self.user_column]
        item, items = (joined["item"], []) if self.item_ids is not None else coded["item_id"]
        if "kind" in coded:
            kind, kinds = self._kinds(*coded["kind"])
        else:
            kind, kinds = filled(n, 0, np.int8, room), (self._kind_of_all(joined),)
        basket = coded["basket_id"][0] if "basket_id" in coded else filled(n, -1, np.int32, room)
        return Raw(
            user,
            users,
            item,
            items,
            joined.get("micros"),
            joined.get("position"),
            kind,
            kinds,
            joined["value"] if "value" in joined else filled(n, np.nan, np.float32, room),
            joined["quantity"] if "quantity" in joined else filled(n, 1, np.float32, room),
            basket,
            joined.get("rows"),
        )

    def _kind_of_all(self, joined: Mapping[str, np.ndarray]) -> str:
        """The kind of all events if no column gives it."""
        if self.config.default_kind is not None:
            return self.config.default_kind
        if "value" in joined and "quantity" not in joined and look_like_ratings(joined["value"]):
            self.ledger.warn(
                f"{self.source.file}, column {self.columns['value']!r}: looks like ratings, so low "
                "values count as dislikes; if these are prices or quantities, set default_kind = "
                "'purchase' in [data]"
            )
            return "rating"
        return DEFAULT_KIND

    def _kinds(self, codes: Rows, names: list[str]) -> tuple[npt.NDArray[np.int8], tuple[str, ...]]:
        lowered = [name.lower() for name in names]
        order = list(dict.fromkeys(lowered))
        default = self.config.default_kind or DEFAULT_KIND
        if (codes < 0).any() and default not in order:
            order.append(default)
        if len(order) > 127:
            raise DataError(
                f"{len(order)} kinds of events, at most 127 are possible: is this the right column?",
                file=self.source.file,
                column=self.columns["kind"],
            )
        table = np.array(
            [order.index(name) for name in [*lowered, *([default] if (codes < 0).any() else [])]]
        )
        return replaced(codes, table.astype(np.int8), self.in_memory), tuple(order)


def _absent(ids: pa.DictionaryArray) -> Mask:
    """True where there is no id: the index is null, or refers to an id that is empty after tidying."""
    return to_numpy(ids.indices.is_null())
