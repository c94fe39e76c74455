"""Identifies the data behind a measurement: hashes of a data set's content and of a set of cases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np
import polars as pl

from crossaisle.data.dataset import Dataset
from crossaisle.data.splits.cases import EvalCases

LENGTH = 16
"""Hexadecimal digits of a fingerprint (64 bits)."""


def fingerprint(dataset: Dataset) -> str:
    """Equal for data sets with the same items, users, categories and events, whatever files they came
    from."""
    digest = hashlib.sha256()
    for frame in (dataset.items, dataset.users):
        _add_frame(digest, frame)
    taxonomy, meanings = dataset.taxonomy, dataset.meanings.to_dict()
    facts = [taxonomy.paths, taxonomy.level, dataset.kinds, meanings]
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for number, e in enumerate((dataset.events, dataset.log, dataset.against)):
        if e is not None:
            digest.update(bytes([number]))
            _add_arrays(digest, (e.user, e.item, e.time, e.kind, e.value, e.quantity, e.basket, e.weight))
    return digest.hexdigest()[:LENGTH]


def fingerprint_of_cases(cases: EvalCases, dataset: Dataset) -> str:
    """Equal for the same queries, right answers and candidates under the same item ids."""
    digest = hashlib.sha256()
    _add_frame(digest, dataset.items.select("item_id"))
    histories = cases.histories
    arrays = (histories.indptr, histories.item, histories.in_view, cases.target_indptr, cases.target)
    _add_arrays(digest, arrays)
    digest.update(bytes([cases.mask_seen, cases.other_categories_only]))
    return digest.hexdigest()[:LENGTH]


def _add_frame(digest: hashlib._Hash, frame: pl.DataFrame) -> None:
    digest.update(json.dumps([frame.height, [(n, str(t)) for n, t in frame.schema.items()]]).encode())
    digest.update(frame.write_ndjson().encode())


def _add_arrays(digest: hashlib._Hash, arrays: Iterable[np.ndarray | None]) -> None:
    for array in arrays:
        # Type and length keep arrays apart; little-endian gives the same digest on every machine.
        digest.update(b"-" if array is None else f"{array.dtype.kind}{array.size}".encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes())
