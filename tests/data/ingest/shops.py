"""Small shops as files, for tests of the import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossaisle.config import DataConfig
from crossaisle.data.ingest.importer import Imported, import_dataset
from crossaisle.decode import build

EVENTS = "user_id,item_id,time\n1,a,2024-01-01\n1,b,2024-01-02\n2,a,2024-01-01\n2,c,2024-01-05\n"


def import_texts(
    folder: Path,
    items: str | None = None,
    events: str = EVENTS,
    *,
    items_file: str = "items.csv",
    events_file: str = "events.csv",
    items_are: dict[str, Any] | None = None,
    events_are: dict[str, Any] | None = None,
    **settings: Any,
) -> Imported:
    """Imports tables given as text; `items_are` and `events_are` are settings of the tables."""
    tables: dict[str, Any] = {}
    given = (("items", items, items_file, items_are), ("events", events, events_file, events_are))
    for name, text, file, settings_of_table in given:
        if text is not None:
            (folder / file).write_bytes(text.encode())
            tables[name] = {"path": file, **(settings_of_table or {})}
    return import_dataset(build(DataConfig, {**tables, **settings}, "test", base=folder))


def warned(done: Imported, text: str) -> bool:
    """Whether a warning of the report holds the text."""
    return any(text in warning for warning in done.report["warnings"])
