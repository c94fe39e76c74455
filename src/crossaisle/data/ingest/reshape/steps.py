"""Runs the steps in a table's settings, in order: fill down, explode, join, filter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from crossaisle.data.ingest.limits import READ_LIMITS
from crossaisle.data.ingest.reshape.explode import exploded
from crossaisle.data.ingest.reshape.fill import filled_down
from crossaisle.data.ingest.reshape.join import joined
from crossaisle.data.ingest.reshape.keep import filtered
from crossaisle.data.ingest.source import Source
from crossaisle.table_config import FileConfig, TableConfig

Open = Callable[[FileConfig], Source]
"""Opens the files of a joined table."""


def reshaped(source: Source, config: TableConfig, opened: Open) -> Source:
    """The source after all steps; unchanged if the settings request none."""
    if config.fill_down is not None:
        source = filled_down(source, config.fill_down)
    if config.explode is not None:
        source = exploded(source, config.explode, columns_of(config))
    for join in config.joins:
        right = opened(join)
        if join.keep:
            right = filtered(right, join.keep, {}, replace(READ_LIMITS, listed=0))
        source = joined(source, join, right)
    if config.keep or config.drop:
        source = filtered(source, config.keep or {}, config.drop or {})
    return source


def columns_of(config: TableConfig) -> tuple[str, ...]:
    """All columns of the file named in the settings, including those in filters and joins."""
    columns = getattr(config, "columns", None)
    named: list[str] = []
    for value in vars(columns).values() if columns is not None else ():
        named.extend((value,) if isinstance(value, str) else value or ())
    named.extend([*(config.keep or {}), *(config.drop or {}), *(join.keys[0] for join in config.joins)])
    return tuple(dict.fromkeys(named))
