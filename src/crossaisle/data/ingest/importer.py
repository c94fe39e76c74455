"""Imports three tables as one `Dataset`, with a report of everything set aside or repaired."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from crossaisle.config import (
    DataConfig,
    EventsConfig,
    ItemColumns,
    ItemsConfig,
    UsersConfig,
)
from crossaisle.data.clean.item_cleaning import ItemCleaning
from crossaisle.data.clean.report import StepReport, write_review
from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.assemble import assemble
from crossaisle.data.ingest.chosen import Known, choose_items, excluded_items, without
from crossaisle.data.ingest.cleaning.booked import Cleaning
from crossaisle.data.ingest.codes import Raw, no_events
from crossaisle.data.ingest.events import EventReader
from crossaisle.data.ingest.feeds import feed_columns
from crossaisle.data.ingest.ledger import Ledger, write_import
from crossaisle.data.ingest.limits import READ_LIMITS, ReadLimits
from crossaisle.data.ingest.notes import summary, warn_about, warn_about_kinds
from crossaisle.data.ingest.schema import match_columns
from crossaisle.data.ingest.source import Source
from crossaisle.data.ingest.sources import of_frame, open_file
from crossaisle.data.ingest.tables import (
    Items,
    blank_items,
    note_contradictions,
    read_items,
    read_users,
)
from crossaisle.data.ingest.whole import Mask
from crossaisle.decode import build
from crossaisle.errors import ConfigError, DataError, nearest
from crossaisle.fetch import hub_folder, url_file
from crossaisle.table_config import TableConfig


@dataclass(frozen=True)
class Imported:
    """The result of an import: the data set, the report, and the rows that were set aside or repaired."""

    dataset: Dataset
    report: dict[str, Any]
    rejected: pl.DataFrame
    """See `Ledger` for the columns."""
    cleaning: tuple[StepReport, ...] = ()
    """Changes and proposals of the steps of `[data.clean]`."""

    def write(self, out: Path) -> None:
        """Writes `report.json` and `rejected.parquet` to `out/import`, and `review.csv` if there are
        proposals."""
        write_import(out / "import", self.report, self.rejected)
        if any(report.proposals for report in self.cleaning):
            write_review(out / "import" / "review.csv", self.cleaning)

    def write_beside(self, model: Path) -> Path:
        """Writes `report.json` and `rejected.parquet` to the folder `MODEL.import` next to a model; returns
        the path of `rejected.parquet`."""
        folder = model.with_name(f"{model.name}.import")
        write_import(folder, self.report, self.rejected)
        return folder / "rejected.parquet"


def import_dataset(
    config: DataConfig,
    *,
    out: Path | None = None,
    progress: bool = False,
    whole: bool = True,
    known: Sequence[str] = (),
    limits: ReadLimits = READ_LIMITS,
) -> Imported:
    """Imports the files named in a configuration; with `out`, writes report and rejected rows there.

    `whole` False: the events are only a shop's new ones. Then properties of the shop as a whole, such as most
    users having a single event, give no warnings. `known`: ids of items that events may refer to although no
    file lists them; without a file of items, they may refer to no others.
    """
    # A new shop has items but no location for events.
    events = None if config.items is not None and config.events == EventsConfig() else config.events
    tables = {"items": config.items, "events": events, "users": config.users}
    sources = {
        name: _twice(partial(open_file, locate(table, name), table, limits))
        for name, table in tables.items()
        if table is not None
    }
    imported = import_sources(config, sources, progress=progress, whole=whole, known=known, limits=limits)
    if out is not None:
        imported.write(out)
    return imported


def _twice(opened: Callable[[], Source]) -> Source:
    """A source that can be opened again."""
    source = opened()
    source.again = opened
    return source


def locate(table: TableConfig, name: str) -> Path | tuple[Path, ...]:
    """The local files of a table, fetched if necessary."""
    if table.path is not None:
        return table.path
    if table.url is not None and table.sha256 is not None:
        return url_file(table.url, table.sha256)
    if table.hub is not None and table.file is not None:
        return hub_folder(table.hub, kind="dataset", patterns=[table.file]) / table.file
    raise ConfigError(f"[data.{name}]: give path, url or hub to say where the table is")


def import_frames(
    items: Any,
    events: Any,
    users: Any = None,
    *,
    columns: Mapping[str, Mapping[str, Any]] | None = None,
    limits: ReadLimits = READ_LIMITS,
    **settings: Any,
) -> Imported:
    """Imports pandas, polars or pyarrow tables; `users` and one of `items` and `events` may be None.

    `columns` maps column names by table: `{"items": {"item_id": "sku"}, "events": {...}}`. `settings` are
    those of `DataConfig`: `name`, `category_level`, `min_users_per_item`, `exclude_categories`, ...
    """
    given = dict(zip(_TABLES, (items, events, users), strict=True))
    tables = {name: {"columns": dict((columns or {}).get(name, {}))} for name in _TABLES}
    for name in columns or {}:
        if name not in _TABLES:
            raise ConfigError(f"columns: unknown table {name!r}{nearest(name, _TABLES)}")
    chosen = {name: tables[name] for name, frame in given.items() if frame is not None}
    config = build(DataConfig, {**settings, **chosen}, "from_frames")
    sources = {
        name: _twice(partial(of_frame, frame, name, limits))
        for name, frame in given.items()
        if frame is not None
    }
    return import_sources(config, sources, limits=limits)


_TABLES = ("items", "events", "users")


def from_frames(
    items: Any,
    events: Any,
    users: Any = None,
    *,
    columns: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Any,
) -> Dataset:
    """The data set from `import_frames`; rows set aside are counted in a Python warning."""
    imported = import_frames(items, events, users, columns=columns, **settings)
    for name, table in imported.report["tables"].items():
        if table["set_aside"]:
            counts = ", ".join(f"{rule} {n:,}" for rule, n in table["set_aside"].items())
            warnings.warn(
                f"{name}: {table['rows_read'] - table['rows_kept']:,} of {table['rows_read']:,} rows set "
                f"aside ({counts}); import_frames(...).rejected holds them",
                stacklevel=2,
            )
    return imported.dataset


def import_sources(
    config: DataConfig,
    sources: Mapping[str, Source],
    *,
    progress: bool = False,
    whole: bool = True,
    known: Sequence[str] = (),
    limits: ReadLimits = READ_LIMITS,
) -> Imported:
    """The import itself: items, then users, then events checked against both, then the data set.

    `whole`, `known`: see `import_dataset`. The step `ids` needs an extra pass over the events, so it is
    skipped if `Source.again` is None.
    """
    if not sources.keys() & {"items", "events"}:
        raise DataError("a data set needs items, events or both")
    ledger = Ledger()
    cleaning = Cleaning(config.clean, ledger)
    items: Items | None = None
    level_names: tuple[str, ...] = ()
    if "items" in sources:
        source = sources["items"]
        found = _item_columns(config, source, ledger)
        level_names = found.get("categories", ())
        items = read_items(source, found, config, ledger, cleaning.mojibake)
        if not len(items.frame):
            raise DataError(f"no item can be kept: {ledger.explain('items')}", file=source.file)
        items = cleaning.items(items, source, levels=len(level_names) > 1)
        note_contradictions(items.paths, ledger)
    level = _level(config, level_names)
    excluded = None if items is None else excluded_items(items, level, config, ledger)
    items, excluded, unlisted = _with_known(items, excluded, known)
    users = _users(config, sources, cleaning)
    raw, users_are_baskets = no_events(), False
    if "events" in sources:
        source = sources["events"]
        found = match_columns(config.events.columns, source.names, source.file, source.nested)
        users_are_baskets = "user_id" not in found
        ids = None
        if items is not None:
            ids = items.frame["item_id"].to_list()
            source = cleaning.ids(source, found["item_id"][0], items.frame["item_id"])
        raw = EventReader(source, found, config, ledger, ids, excluded, limits).read(progress)
        cleaning.events_read()
    if items is None:
        items = blank_items(raw.items)
        excluded = np.zeros(len(raw.items), bool)
    assert excluded is not None
    if not users_are_baskets:
        raw = _without_robots(raw, len(items.frame), cleaning)
    if items.windows:
        # A new shop has no times yet.
        timed = raw.micros is not None and len(raw.micros) > 0
        latest = int(raw.micros.max()) if timed and raw.micros is not None else int(time.time() * 1e6)
        items = items.at(latest, ledger)
    raw, items = choose_items(raw, items, excluded, config, ledger, Known(known, unlisted))
    kept = ItemCleaning.of(
        config.clean,
        cleaning.reports,
        nulls=config.nulls,
        roots=config.category_roots,
        levels=len(level_names) > 1,
    )
    dataset = assemble(
        raw,
        items,
        users,
        level,
        config,
        users_are_baskets=users_are_baskets,
        cleaning=kept,
        limits=limits,
    )
    dataset = replace(dataset, currency=config.currency or _only_currency(ledger))
    _warn(dataset, sources, ledger, whole)
    report = {**summary(dataset), **ledger.report(), "cleaning": [r.to_json() for r in cleaning.reports]}
    return Imported(dataset, report, ledger.frame(), tuple(cleaning.reports))


def _with_known(
    items: Items | None, excluded: Mask | None, known: Sequence[str]
) -> tuple[Items | None, Mask | None, int]:
    """The items of the files followed by known items not among them; and the number of the latter."""
    if not known:
        return items, excluded, 0
    listed = set() if items is None else set(items.frame["item_id"].to_list())
    more = [name for name in known if name not in listed]
    items = blank_items(more) if items is None else items.and_blank(more)
    none = np.zeros(len(more), bool)
    return items, none if excluded is None else np.append(excluded, none), len(more)


def _warn(dataset: Dataset, sources: Mapping[str, Source], ledger: Ledger, whole: bool) -> None:
    """Warns of anomalies in the shop, its event kinds and its files."""
    if whole:
        warn_about(dataset, ledger)
    if "events" in sources:
        warn_about_kinds(dataset, ledger, sources["events"].file, whole=whole)
    ledger.warnings[:0] = [note for source in sources.values() for note in source.notes]


def _only_currency(ledger: Ledger) -> str:
    """The currency given with the prices; "" if there is none, or more than one."""
    tally = ledger.tallies.get("items")
    found = tally.currencies if tally is not None else {}
    return next(iter(found)) if len(found) == 1 else ""


def _item_columns(config: DataConfig, source: Source, ledger: Ledger) -> dict[str, tuple[str, ...]]:
    """The columns given in the settings or found under their usual names, or those of a product feed."""
    columns = (config.items or ItemsConfig()).columns
    if columns == ItemColumns() and "item_id" not in source.names and (found := feed_columns(source.names)):
        told = ", ".join(f"{name} = {'+'.join(names)}" for name, names in found.items())
        ledger.warn(f"{source.file}: read as a product feed: {told}; if it is not one, set columns")
        return found
    return match_columns(columns, source.names, source.file, source.nested)


def _level(config: DataConfig, names: tuple[str, ...]) -> int:
    level = config.category_level
    if isinstance(level, int):
        return level
    if level not in names:
        raise ConfigError(
            f"[data]: category_level must be a depth or one of the category columns: "
            f"no such column {level!r}{nearest(level, names)}"
        )
    return names.index(level)


def _users(config: DataConfig, sources: Mapping[str, Source], cleaning: Cleaning) -> pl.DataFrame | None:
    if "users" not in sources:
        return None
    source = sources["users"]
    found = match_columns((config.users or UsersConfig()).columns, source.names, source.file, source.nested)
    return cleaning.users(*read_users(source, found, config.nulls, cleaning.ledger))


def _without_robots(raw: Raw, n_items: int, cleaning: Cleaning) -> Raw:
    """Drops events of users that are not people, each recorded under `robot`."""
    gone = cleaning.robots(raw, n_items)
    if gone is None:
        return raw
    assert raw.rows is not None
    names = pl.Series(raw.users, dtype=pl.String).gather(raw.user[gone])
    cleaning.ledger.set_aside("events", "robot", "user_id", raw.rows[gone], names)
    if gone.all():
        raise DataError("all users look like robots", file=cleaning.ledger.tallies["events"].file)
    return without(raw, gone)
