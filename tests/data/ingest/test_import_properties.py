"""For any table: no row is lost, the form it comes in does not matter, order and ids are sound."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossaisle.config import DataConfig
from crossaisle.data.ingest.importer import Imported, import_dataset, import_frames
from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.decode import build
from crossaisle.errors import DataError

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8)
IDS = st.sampled_from(["a", "b", "c", "d", " a ", "", "\tb", "x\x07", "é", "飯", "NULL", " nan"])
MOMENTS = st.one_of(
    st.datetimes(datetime(1971, 1, 1), datetime(2024, 1, 1)).map(lambda d: d.isoformat(timespec="seconds")),
    st.integers(-(10**9), 2 * 10**9).map(str),
    st.integers(10**12, 1_700_000_000_000).map(str),
    st.sampled_from(["", "None", "never", "2023-1-5 9:05", "2999-01-01", "2023-13-01"]),
)
ITEM_ROWS = st.lists(
    st.tuples(IDS, TEXT, st.sampled_from(["A > B", "A", "", "A > B > A"])), min_size=1, max_size=8
)
EVENT_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["u", "v", "w", "", "NA", "\\N"]),
        IDS,
        MOMENTS,
        st.sampled_from(["1", "-2", "nan", "", "x", "1,5", "1.250", "NULL"]),
    ),
    min_size=1,
    max_size=20,
)


def frames(items: list[Any], events: list[Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    blank = pl.all().replace("", None)  # a text file cannot tell an empty text from none
    item_names, event_names = ["item_id", "title", "categories"], ["user_id", "item_id", "time", "quantity"]
    texts = [pl.String] * 4
    return (
        pl.DataFrame(items, schema=dict(zip(item_names, texts, strict=False)), orient="row").select(blank),
        pl.DataFrame(events, schema=dict(zip(event_names, texts, strict=False)), orient="row").select(blank),
    )


def outcome(done: Imported) -> dict[str, Any]:
    """Everything that must not depend on the form in which a table came."""
    shop = done.dataset
    return {
        "items": shop.items.to_dicts(),
        "users": shop.users.to_dicts(),
        "paths": shop.taxonomy.paths,
        "kinds": shop.kinds,
        "events": {
            k: None if v is None else np.nan_to_num(v, nan=-1).tolist() for k, v in vars(shop.events).items()
        },
        "counts": {
            n: (t["rows_read"], t["set_aside"], t["repaired"]) for n, t in done.report["tables"].items()
        },
        "rules": sorted(done.rejected.select("table", "action", "rule").rows()),
    }


def attempt(run: Any) -> Any:
    try:
        return outcome(run())
    except DataError:
        return "nothing can be kept"


@quick
@given(ITEM_ROWS, EVENT_ROWS, st.integers(0, 2))
def test_no_row_is_lost_and_the_result_is_sound(items: list[Any], events: list[Any], least: int) -> None:
    try:
        done = import_frames(*frames(items, events), min_users_per_item=least)
    except DataError:
        return
    sizes = {"items": len(items), "events": len(events)}
    for name, table in done.report["tables"].items():
        gone = done.rejected.filter(table=name, action="set aside")
        assert table["rows_read"] == sizes[name]
        assert sum(table["set_aside"].values()) == gone.height == gone["row"].n_unique()
        assert table["rows_kept"] == table["rows_read"] - gone.height
        assert gone["row"].is_between(1, sizes[name]).all()
    shop = done.dataset.raw
    assert len(shop.events) == done.report["tables"]["events"]["rows_kept"]
    assert shop.n_items == done.report["tables"]["items"]["rows_kept"] == shop.items.height
    assert shop.items["item_id"].to_list() == list(shop.item_ids.all)
    assert shop.users["user_id"].to_list() == list(shop.user_ids.all)
    for vocabulary in (shop.item_ids, shop.user_ids):
        assert vocabulary.rows(vocabulary.all).tolist() == list(range(len(vocabulary)))
    assert shop.events.time is not None
    keys = list(zip(shop.events.user.tolist(), shop.events.time.tolist(), strict=True))
    assert keys == sorted(keys)
    assert shop.events.item.max() < shop.n_items
    assert set(shop.events.user.tolist()) == set(range(shop.n_users))


@quick
@given(ITEM_ROWS, EVENT_ROWS)
@pytest.mark.slow
def test_the_form_of_a_table_does_not_matter(items: list[Any], events: list[Any]) -> None:
    tables = dict(zip(("items", "events"), frames(items, events), strict=True))
    expected = attempt(lambda: import_frames(tables["items"], tables["events"]))
    assert attempt(lambda: import_frames(*(t.to_pandas() for t in tables.values()))) == expected
    assert attempt(lambda: import_frames(*(t.to_arrow() for t in tables.values()))) == expected
    assert attempt(lambda: import_frames(*(t.lazy() for t in tables.values()))) == expected
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for form in ("csv", "tsv", "jsonl", "parquet", "csv.gz", "jsonl.gz", "parquet.gz"):
            for name, table in tables.items():
                save(table, folder / f"{name}.{form}")
            sections = {name: {"path": f"{name}.{form}"} for name in tables}
            config = build(DataConfig, sections, "test", base=folder)
            found = attempt(lambda config=config: import_dataset(config))
            assert found == expected, form


def save(table: pl.DataFrame, path: Path) -> None:
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    kind = plain.suffix
    if kind == ".parquet":
        table.write_parquet(plain)
    elif kind == ".jsonl":
        table.write_ndjson(plain)
    else:
        table.write_csv(plain, separator="\t" if kind == ".tsv" else ",", quote_style="always")
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_typed_columns(unit: Any) -> None:
    moments = [datetime(2024, 1, 1, 12, tzinfo=UTC), None, datetime(2024, 1, 2, tzinfo=UTC)]
    events = pl.DataFrame(
        {
            "user_id": [7.0, 7.0, 8.0],
            "item_id": [1, 1, 2],
            "time": pl.Series(moments, dtype=pl.Datetime(unit, "UTC")),
            "value": pl.Series(["1.5", "2", "3"]).cast(pl.Decimal(10, 2)),
            "kind": pl.Series(["view", "view", "purchase"], dtype=pl.Categorical),
        }
    )
    done = import_frames(None, events)
    assert done.dataset.user_ids.all == ("7", "8")
    assert done.dataset.events.time is not None
    assert done.dataset.events.time.tolist() == [1_704_110_400, 1_704_153_600]
    assert done.dataset.events.value.tolist() == [1.5, 3.0]
    assert done.dataset.kinds == ("view", "purchase")
    assert done.report["tables"]["events"]["set_aside"] == {"missing_time": 1}
    days = import_frames(None, events.with_columns(pl.col("time").dt.date())).dataset.events.time
    assert days is not None
    assert days.tolist() == [1_704_067_200, 1_704_153_600]


def test_many_batches_give_one_coding() -> None:
    rng = np.random.default_rng(0)
    events = pl.DataFrame(
        {
            "user_id": rng.integers(0, 40, 500).astype(str),
            "item_id": rng.integers(0, 30, 500).astype(str),
            "basket_id": [None if i % 7 == 0 else f"b{i // 5}" for i in range(500)],
            "time": rng.integers(1_600_000_000, 1_700_000_000, 500),
        }
    )
    whole = outcome(import_frames(None, events, min_users_per_item=3))
    small = import_frames(None, events, min_users_per_item=3, limits=ReadLimits(batch=64))
    assert outcome(small) == whole


def test_users_table_comes_first_and_keeps_cold_users() -> None:
    users = pl.DataFrame({"id": ["z", "cold", "z", None], "city": ["Ulm", "Bonn", "Jena", "Kiel"]})
    events = pl.DataFrame({"user_id": ["new", "z"], "item_id": ["a", "b"]})
    done = import_frames(None, events, users, columns={"users": {"user_id": "id"}})
    assert done.dataset.users.rows() == [("z", "Ulm"), ("cold", "Bonn"), ("new", None)]
    assert done.dataset.events.user.tolist() == [0, 2]
    assert done.report["tables"]["users"]["set_aside"] == {"missing_user_id": 1, "duplicate_user_id": 1}


def test_several_paths_and_attributes() -> None:
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c"],
            "categories": ['["A > B", "C"]', '[["A", "B > C"], ["D"]]', None],
            "colour": ["red", None, None],
            "in_stock": ["yes", "sold out", "maybe"],
        }
    )
    events = pl.DataFrame({"user_id": ["u"], "item_id": ["a"]})
    columns = {"items": {"attributes": ["colour"]}}
    done = import_frames(items, events, columns=columns)
    assert done.dataset.taxonomy.paths == ((("A", "B"), ("C",)), (("A", "B > C"), ("D",)), ())
    assert done.dataset.items["attributes"].to_list() == ['{"colour": "red"}', "", ""]
    assert done.dataset.items["in_stock"].to_list() == [True, False, True]
    assert done.dataset.item_texts[0] == "A > B. C. red"
    listed = items.with_columns(pl.Series("categories", [["A > B", "C"], ["A"], None], pl.List(pl.String)))
    assert import_frames(listed, events).dataset.taxonomy.paths == ((("A", "B"), ("C",)), (("A",),), ())
