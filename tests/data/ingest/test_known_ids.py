"""Known ids are found batch by batch, whatever else is asked for."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from crossaisle.data.ingest.codes import KnownIds


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_rows_are_those_of_the_ids_and_others_are_not_known(n: int) -> None:
    ids = [f"item {row}" for row in range(n)]
    known = KnownIds(pa.array(ids, pa.string()))
    asked = [*ids[::-1], "", "item", None, f"item {n}", "ITEM 0", *ids[:1]]
    expected = [ids.index(one) if one in ids else -1 for one in asked]
    assert known.rows(pa.array(asked, pa.string())).tolist() == expected
    assert known.rows(pa.array(asked, pa.large_string())).dtype == np.int32
    assert known.rows(pa.array([], pa.string())).tolist() == []


def test_ids_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl.Series, "hash", lambda ids: pl.Series(ids.str.len_bytes(), dtype=pl.UInt64))
    known = KnownIds(pa.array(["a", "b", "cc"]))
    assert known.rows(pa.array(["cc", "b", "d", "a"])).tolist() == [2, 1, -1, 0]
    known = KnownIds(pa.array(["a", "bb"]))
    assert known.rows(pa.array(["a", "c", "bb", "dd"])).tolist() == [0, -1, 1, -1]
