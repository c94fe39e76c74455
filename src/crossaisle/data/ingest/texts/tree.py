"""A category table with parents -> the full path of every category."""

from __future__ import annotations

import polars as pl

from crossaisle.data.ingest.ledger import Ledger
from crossaisle.data.ingest.reshape.columns import need, texts_of
from crossaisle.data.ingest.sources import open_files
from crossaisle.data.ingest.texts.categories import Tree
from crossaisle.data.text.ids import tidy_ids
from crossaisle.errors import DataError
from crossaisle.table_config import TreeConfig


def read_tree(config: TreeConfig, ledger: Ledger) -> Tree:
    """Category id -> names from the root down to it.

    A category is a root if its parent is empty, itself, or not in the table. Cycles are broken, with a
    warning.
    """
    assert config.path is not None
    source = open_files(config.path, config)
    columns = list(dict.fromkeys([config.id, config.parent, *([config.name] if config.name else [])]))
    for column in columns:
        need(source, column, "category_tree")
    parts = [texts_of(batch, columns) for batch in source.batches(columns)]
    if not parts:
        raise DataError("there is a header but no readable row", file=source.file)
    table = pl.concat(parts).with_columns(tidy_ids(pl.col(config.id, config.parent)))
    rows = table.filter(pl.col(config.id).is_not_null()).unique(config.id, keep="first", maintain_order=True)
    above = dict(zip(rows[config.id], rows[config.parent], strict=True))
    names = rows[config.name] if config.name else rows[config.id]
    called = {key: name or key for key, name in zip(above, names, strict=True)}
    circles = []
    tree: dict[str, tuple[str, ...]] = {}
    for key in above:
        chain, at = [key], above[key]
        while at is not None and at in above and at not in chain:
            chain.append(at)
            at = above[at]
        if at in chain and at != chain[-1]:
            circles.append(key)
        tree[key] = tuple(called[c] for c in reversed(chain))
    if circles:
        ledger.warn(
            f"{source.file}: {len(circles):,} categories are their own ancestors, such as {circles[0]!r}"
        )
    return tree
