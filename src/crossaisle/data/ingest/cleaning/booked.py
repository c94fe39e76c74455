"""`[data.clean]` during an import: runs the steps and records their changes row by row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle.clean_config import CleanConfig
from crossaisle.data.clean.catalogue import clean_products, review_of
from crossaisle.data.clean.ids import matched
from crossaisle.data.clean.people import cleaned
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.report import Change, Review, StepReport
from crossaisle.data.clean.robots import robots, tempo_of
from crossaisle.data.clean.texts.characters import Mojibake
from crossaisle.data.ingest.cleaning.item_names import counted, renamed
from crossaisle.data.ingest.codes import Raw
from crossaisle.data.ingest.ledger import Ledger
from crossaisle.data.ingest.source import Source
from crossaisle.data.ingest.tables import LISTED, Items

SHOWN = 3
"""Maximum number of robots named in a warning."""


@dataclass
class Cleaning:
    """The cleaning steps of one import, and their reports so far."""

    config: CleanConfig
    ledger: Ledger
    reports: list[StepReport] = field(default_factory=list)
    review: Review = field(init=False)
    mojibake: Mojibake = field(init=False)

    def __post_init__(self) -> None:
        self.review = review_of(self.config)
        self.mojibake = Mojibake(setting=self.config.mojibake)

    def items(self, items: Items, source: Source, *, levels: bool) -> Items:
        """Runs every step for texts, categories and groups.

        `source`: where the items were read from. `levels`: whether categories have one column per level.
        """
        if self.config.mojibake != "off":
            report = self.mojibake.report(self.ledger.tallies["items"].read)
            for note in report.notes:
                self.ledger.warn(note)
            at = np.array(sorted({change.row for change in report.changes}), np.int64)
            rows = np.zeros(int(at[-1]) + 1 if len(at) else 0, np.int64)
            rows[at] = source.file_rows(at)
            self._book("items", report, rows)
        given = Products(items.frame, tuple(items.paths), levels)
        done = clean_products(given, self.config, self.review)
        for report in done.reports:
            # repairs made while reading are already recorded
            if report.name != "mojibake" or report.changes:
                self._book("items", report, items.rows)
        return replace(items, frame=done.products.frame, paths=list(done.products.paths))

    def users(self, users: pl.DataFrame, rows: npt.NDArray[np.int64]) -> pl.DataFrame:
        """Users with cleaned attributes."""
        if self.config.users == "off":
            return users
        done, report = cleaned(users, self.config.users)
        self._book("users", report, rows)
        return done

    def ids(self, source: Source, column: str, known: pl.Series) -> Source:
        """Renames items in the events to the catalogue's spelling; reads the ids of the events once
        beforehand."""
        if self.config.ids == "off" or source.again is None:
            return source
        counts = counted(source.again(), column)
        here = set(known.to_list())
        unknown = {name: n for name, n in counts.items() if name not in here}
        proposals = matched(unknown, known.to_list(), set(counts) & here)
        chosen, settled = self.review.settle(
            "ids", proposals, apply=self.config.ids == "on", confidence=self.config.confidence
        )
        chosen = {before: after for before, after in chosen.items() if after in here}
        changes = [Change("item_id", at, b, a) for at, (b, a) in enumerate(chosen.items())]
        total = sum(counts.values())
        report = StepReport(
            name="ids",
            setting=self.config.ids,
            rows_in=total,
            rows_out=total,
            changes=changes,
            proposals=settled,
            facts={
                "items_of_events": len(counts),
                "known": len(counts) - len(unknown),
                "unknown": len(unknown),
                "matched": len(chosen),
                "events_matched": sum(counts.get(name, 0) for name in chosen),
            },
        )
        self.reports.append(report)
        return renamed(source, column, chosen) if chosen else source

    def events_read(self) -> None:
        """Records the events whose item was renamed, once their table has been read."""
        for report in self.reports:
            if report.name == "ids" and report.changes:
                self.ledger.tallies["events"].repaired["clean_ids"] += report.facts["events_matched"]

    def robots(self, raw: Raw, n_items: int) -> npt.NDArray[np.bool_] | None:
        """bool (n events,): events of users that are not people; None if nothing is to be set aside."""
        if self.config.robots == "off" or raw.micros is None or not len(raw):
            return None
        tempo = tempo_of(raw.user, raw.item, raw.micros, len(raw.users), n_items)
        found = robots(tempo)
        gone = np.zeros(len(raw.users), bool)
        gone[list(found)] = self.config.robots == "on"
        out = gone[raw.user]
        named = {raw.users[row]: why for row, why in found.items()}
        self.reports.append(
            StepReport(
                name="robots",
                setting=self.config.robots,
                rows_in=len(raw),
                rows_out=len(raw) - int(out.sum()),
                facts={
                    "users": len(raw.users),
                    "robots": len(named),
                    "reasons": dict(list(named.items())[:1000]),
                },
            )
        )
        if named:
            shown = ", ".join(f"{name!r} ({why})" for name, why in list(named.items())[:SHOWN])
            todo = (
                "their events are set aside"
                if out.any()
                else "set robots = 'on' in [data.clean] to set them aside"
            )
            self.ledger.warn(f"{len(named):,} users look like robots: {shown}; {todo}")
        return out if out.any() else None

    def _book(self, table: str, report: StepReport, rows: npt.NDArray[np.int64]) -> None:
        """Keeps a report, and lists each changed value under the rule `clean_STEP`. `rows`: row numbers in
        the file."""
        self.reports.append(report)
        if report.name == "groups":
            return  # a group is an addition, not a repair
        by_column: dict[str, list[Change]] = {}
        for change in report.changes:
            by_column.setdefault(change.column, []).append(change)
        for column, changes in by_column.items():
            if report.setting == "report":
                continue
            listed = changes[:LISTED]
            where = rows[np.array([change.row for change in listed], np.int64)]
            rule = f"clean_{report.name}"
            self.ledger.repaired(table, rule, column, where, [change.before for change in listed])
            self.ledger.tallies[table].repaired[rule] += len(changes) - len(listed)
