"""Three tables -> one `Dataset`, with a report of everything that was set aside or repaired."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from crossaisle.config import (
    DataConfig,
    EventsConfig,
    ItemsConfig,
    UsersConfig,
)
from crossaisle.data.clean.report import StepReport, write_review
from crossaisle.data.clean.texts.words import WordForms
from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.ingest.cleaning import Cleaning, Open
from crossaisle.data.ingest.codes import Raw, compact, no_events
from crossaisle.data.ingest.events import EventReader
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
from crossaisle.data.kinds import Kinds, low_rating
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.decode import build
from crossaisle.errors import ConfigError, DataError, UnknownIdError, nearest
from crossaisle.fetch import hub_folder, url_file
from crossaisle.table_config import TableConfig

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Imported:
    """What an import gives: the data set, the report and the rows that did not make it as they were."""

    dataset: Dataset
    report: dict[str, Any]
    rejected: pl.DataFrame
    """See `Ledger` for the columns."""
    cleaning: tuple[StepReport, ...] = ()
    """What the steps of `[data.clean]` did and propose."""

    def write(self, out: Path) -> None:
        """`out/import/report.json` and `rejected.parquet`, and `review.csv` where steps propose something."""
        write_import(out / "import", self.report, self.rejected)
        if any(report.proposals for report in self.cleaning):
            write_review(out / "import" / "review.csv", self.cleaning)


def import_dataset(
    config: DataConfig,
    *,
    out: Path | None = None,
    progress: bool = False,
    limits: ReadLimits = READ_LIMITS,
) -> Imported:
    """Imports the files that a configuration names; with `out`, writes report and rejected rows there."""
    # A shop on its first day has items, and no place where events would be.
    events = None if config.items is not None and config.events == EventsConfig() else config.events
    tables = {"items": config.items, "events": events, "users": config.users}
    sources = {
        name: open_file(locate(table, name), table, limits)
        for name, table in tables.items()
        if table is not None
    }
    reopen = None if events is None else (lambda: open_file(locate(events, "events"), events, limits))
    imported = import_sources(config, sources, progress=progress, reopen=reopen)
    if out is not None:
        imported.write(out)
    return imported


def locate(table: TableConfig, name: str) -> Path | tuple[Path, ...]:
    """The local files of a table, fetched if it lives elsewhere."""
    if table.path is not None:
        return table.path
    if table.url is not None and table.sha256 is not None:
        return url_file(table.url, table.sha256)
    if table.hub is not None and table.file is not None:
        return hub_folder(table.hub, kind="dataset", patterns=[table.file]) / table.file
    raise ConfigError(f"[data.{name}]: give path, url or hub: where the table is")


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

    `columns` maps names by table: `{"items": {"item_id": "sku"}, "events": {...}}`. `settings` are those
    of `DataConfig`: `name`, `category_level`, `min_users_per_item`, `exclude_categories`, ...
    """
    given = dict(zip(_TABLES, (items, events, users), strict=True))
    tables = {name: {"columns": dict((columns or {}).get(name, {}))} for name in _TABLES}
    for name in columns or {}:
        if name not in _TABLES:
            raise ConfigError(f"columns: unknown table {name!r}{nearest(name, _TABLES)}")
    chosen = {name: tables[name] for name, frame in given.items() if frame is not None}
    config = build(DataConfig, {**settings, **chosen}, "from_frames")
    sources = {name: of_frame(frame, name, limits) for name, frame in given.items() if frame is not None}
    reopen = None if events is None else (lambda: of_frame(events, "events", limits))
    return import_sources(config, sources, reopen=reopen)


_TABLES = ("items", "events", "users")


def from_frames(
    items: Any,
    events: Any,
    users: Any = None,
    *,
    columns: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Any,
) -> Dataset:
    """The data set of `import_frames`; rows that were set aside are counted in a Python warning."""
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
    reopen: Open | None = None,
) -> Imported:
    """The import itself: items, then users, then events against them, then the data set.

    `reopen` gives the events a second time, for the step `ids`, which has to see them before.
    """
    if not sources.keys() & {"items", "events"}:
        raise DataError("a data set needs items, events or both")
    ledger = Ledger()
    cleaning = Cleaning(config.clean, ledger)
    items: Items | None = None
    level_names: tuple[str, ...] = ()
    if "items" in sources:
        source = sources["items"]
        found = match_columns(
            (config.items or ItemsConfig()).columns, source.names, source.file, source.nested
        )
        level_names = found.get("categories", ())
        items = read_items(source, found, config, ledger, cleaning.mojibake)
        if not len(items.frame):
            raise DataError(f"no item can be kept: {ledger.explain('items')}", file=source.file)
        items = cleaning.items(items, source)
        note_contradictions(items.paths, ledger)
    level = _level(config, level_names)
    excluded = None if items is None else _excluded(items, level, config, ledger)
    users = _users(config, sources, cleaning)
    raw, users_are_baskets = no_events(), False
    if "events" in sources:
        source = sources["events"]
        found = match_columns(config.events.columns, source.names, source.file, source.nested)
        users_are_baskets = "user_id" not in found
        known = None
        if items is not None:
            known = items.frame["item_id"].to_list()
            source = cleaning.ids(source, found["item_id"][0], reopen, items.frame["item_id"])
        raw = EventReader(source, found, config, ledger, known, excluded).read(progress)
        cleaning.events_read()
    if items is None:
        items = blank_items(raw.items)
        excluded = np.zeros(len(raw.items), bool)
    assert excluded is not None
    if not users_are_baskets:
        raw = _without_robots(raw, len(items.frame), cleaning)
    if items.windows:
        known = raw.micros is not None and len(raw.micros) > 0  # a shop on its first day has no moment yet
        latest = int(raw.micros.max()) if known and raw.micros is not None else int(time.time() * 1e6)
        items = items.at(latest, ledger)
    raw, items = _choose_items(raw, items, excluded, config, ledger)
    dataset = _assemble(raw, items, users, level, config, users_are_baskets=users_are_baskets)
    warn_about(dataset, ledger)
    if "events" in sources:
        warn_about_kinds(dataset, ledger, sources["events"].file)
    ledger.warnings[:0] = [note for source in sources.values() for note in source.notes]
    report = {**summary(dataset), **ledger.report(), "cleaning": [r.to_json() for r in cleaning.reports]}
    return Imported(dataset, report, ledger.frame(), tuple(cleaning.reports))


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
    """Leaves out events of users that are no people, each listed under `robot`."""
    gone = cleaning.robots(raw, n_items)
    if gone is None:
        return raw
    assert raw.rows is not None
    names = pl.Series(raw.users, dtype=pl.String).gather(raw.user[gone])
    cleaning.ledger.set_aside("events", "robot", "user_id", raw.rows[gone], names)
    if gone.all():
        raise DataError("all users are hardly people", file=cleaning.ledger.tallies["events"].file)
    return _without(raw, gone)


def _excluded(items: Items, level: int, config: DataConfig, ledger: Ledger) -> Mask:
    """Marks and books the items of unwanted categories, and those without one where one is required."""
    out = np.zeros(len(items.frame), bool)
    taxonomy = Taxonomy(tuple(items.paths))
    if config.require_category:
        needed = level + 1 if level >= 0 else 1
        out = np.array([not p or len(p[0]) < needed for p in items.paths], bool)
        ledger.set_aside("items", "no_category", "categories", items.rows[out])
    for name in config.exclude_categories:
        try:
            rows = taxonomy.find(name)
        except UnknownIdError as error:
            raise ConfigError(f"[data]: exclude_categories: {error}") from None
        rows = rows[~out[rows]]
        out[rows] = True
        ledger.set_aside("items", "excluded_category", "categories", items.rows[rows], [name] * len(rows))
    return out


def _choose_items(
    raw: Raw, items: Items, excluded: Mask, config: DataConfig, ledger: Ledger
) -> tuple[Raw, Items]:
    """Leaves out excluded and too rare items, with the events of the latter."""
    gone = excluded.copy()
    ids = items.frame["item_id"]
    if config.min_users_per_item > 0 and len(raw):
        pairs = np.unique(raw.item.astype(np.int64) * len(raw.users) + raw.user)
        n_users = np.bincount(pairs // len(raw.users), minlength=len(gone))
        rare = (n_users < config.min_users_per_item) & ~gone
        gone |= rare
        rule = f"fewer_than_{config.min_users_per_item}_users"
        if "items" in ledger.tallies:
            rows = np.flatnonzero(rare)
            ledger.set_aside("items", rule, "item_id", items.rows[rows], ids.gather(rows))
        drop = rare[raw.item]
        if drop.any():
            assert raw.rows is not None
            values = ids.gather(raw.item[drop])
            ledger.set_aside("events", rule, "item_id", raw.rows[drop], values)
            raw = _without(raw, drop)
        if not len(raw):
            raise DataError(
                f"no item has {config.min_users_per_item} users: lower min_users_per_item",
                file=ledger.tallies["events"].file,
            )
    if not gone.any():
        return raw, items
    keep = np.flatnonzero(~gone)
    new = np.full(len(gone), -1, np.int32)
    new[keep] = np.arange(len(keep), dtype=np.int32)
    raw = replace(raw, item=new[raw.item])
    return raw, items.take(keep)


def _without(raw: Raw, drop: Mask) -> Raw:
    keep = ~drop
    user, used = compact(raw.user[keep], len(raw.users))
    return Raw(
        user,
        [name for name, still in zip(raw.users, used, strict=True) if still],
        raw.item[keep],
        raw.items,
        None if raw.micros is None else raw.micros[keep],
        None if raw.position is None else raw.position[keep],
        raw.kind[keep],
        raw.kinds,
        raw.value[keep],
        raw.quantity[keep],
        compact(raw.basket[keep], int(raw.basket.max()) + 1)[0],
        None if raw.rows is None else raw.rows[keep],
    )


def _assemble(
    raw: Raw,
    items: Items,
    users: pl.DataFrame | None,
    level: int,
    config: DataConfig,
    *,
    users_are_baskets: bool,
) -> Dataset:
    """Joins users and items to the events and sorts these by user, moment, position and input order."""
    table = pl.DataFrame({"user_id": pl.Series(raw.users, dtype=pl.String)})
    user = raw.user
    if users is not None:
        # the shop's own users first, cold ones included, then those that only the events know
        table = pl.concat(
            [users, table.join(users, on="user_id", how="anti", maintain_order="left")], how="diagonal"
        )
        place = Vocabulary(table["user_id"].to_list(), what="user")
        user = place.rows(raw.users)[raw.user]
    order = _order(user, raw, len(table))
    raw.user = user

    def sorted_(name: str) -> Any:
        values = getattr(raw, name)
        setattr(raw, name, None)  # each unsorted column goes as its sorted copy comes
        return values if values is None else values.take(order)

    micros = sorted_("micros")
    events = Events(
        sorted_("user"),
        sorted_("item"),
        None if micros is None else np.floor_divide(micros, 1_000_000, out=micros),
        sorted_("kind"),
        sorted_("value"),
        sorted_("quantity"),
        sorted_("basket"),
    )
    return Dataset(
        items=items.frame,
        users=table,
        events=events,
        item_ids=Vocabulary(items.frame["item_id"].to_list(), what="item"),
        user_ids=Vocabulary(table["user_id"].to_list(), what="user"),
        taxonomy=Taxonomy(tuple(items.paths), level),
        kinds=raw.kinds,
        name=config.name,
        users_are_baskets=users_are_baskets,
        meanings=_meanings(config, raw.kinds, events),
        words=WordForms.of(config.clean, items.frame["title"].to_list()),
    ).settled()


def _meanings(config: DataConfig, names: tuple[str, ...], events: Events) -> Kinds:
    """What the kinds mean, and which ratings are low ones on the scale of this data."""
    kinds = Kinds.of(config)
    rated = np.array([kinds.meaning(name).role == "rating" for name in names], bool)[events.kind]
    if config.low_rating is None and rated.any():
        kinds = replace(kinds, low_rating=low_rating(events.value[rated]))
    return kinds


def _order(user: Rows, raw: Raw, n_users: int) -> Positions:
    """intp positions of the events by user, then moment, then position, then as they came.

    Grouping by user is a counting sort (a transposed sparse matrix), and logs mostly come in order of
    time already: far cheaper than sorting millions of rows by several keys.
    """
    keys = [k for k in (raw.position, raw.micros) if k is not None]
    first = None
    if any((k[1:] < k[:-1]).any() for k in keys):
        first = np.lexsort(keys)
        user = user[first]
    rows = np.arange(len(user) + 1, dtype=np.int32)
    grid = sparse.csr_matrix((np.ones(len(user), bool), user, rows), shape=(len(user), n_users))
    order: Positions = grid.tocsc().indices.astype(np.intp)
    return order if first is None else first[order]
