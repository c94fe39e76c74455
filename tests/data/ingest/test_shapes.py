"""Rows put right before they are checked: lists unfolded, tables joined, rows filtered, cells filled down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.config import DataConfig
from crossaisle.data.ingest.importer import Imported, import_dataset, import_frames
from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.decode import build
from crossaisle.errors import ConfigError, DataError
from tests.data.ingest.shops import import_texts, warned

SESSIONS = [
    {"session": 11, "events": [{"aid": 59625, "ts": 1661724000278, "type": "clicks"},
                               {"aid": 1142000, "ts": 1661724058352, "type": "carts"}]},
    {"session": 12, "events": []},
    {"session": 13, "events": [{"aid": 59625, "ts": 1661724000900, "type": "orders"}]},
]  # fmt: skip
OTTO = {
    "explode": "events",
    "columns": {
        "user_id": "session",
        "item_id": "events.aid",
        "time": "events.ts",
        "kind": "events.type",
    },
}


def pairs(done: Imported) -> list[tuple[str, str]]:
    shop = done.dataset.raw
    events = shop.events
    return [
        (shop.user_ids.all[u], shop.item_ids.all[i]) for u, i in zip(events.user, events.item, strict=True)
    ]


def test_sessions_with_a_list_of_events(tmp_path: Path) -> None:
    text = "\n".join(json.dumps(row) for row in SESSIONS)
    done = import_texts(tmp_path, events=text, events_file="otto.jsonl", events_are=OTTO)
    assert pairs(done) == [("11", "59625"), ("11", "1142000"), ("13", "59625")]
    assert done.dataset.kinds == ("clicks", "carts", "orders")
    assert done.report["tables"]["events"]["set_aside"] == {"empty_list": 1}
    assert done.rejected.select("row", "rule", "value").rows() == [(2, "empty_list", "[]")]


def test_the_same_from_parquet_and_from_a_cell_of_csv(tmp_path: Path) -> None:
    pl.DataFrame(SESSIONS).write_parquet(tmp_path / "otto.parquet")
    config = build(DataConfig, {"events": {"path": "otto.parquet", **OTTO}}, "test", base=tmp_path)
    assert len(pairs(import_dataset(config))) == 3
    cells = pl.DataFrame({"session": ["11", "13"], "events": [str(SESSIONS[0]["events"]), '{"aid": 7}']})
    cells.write_csv(tmp_path / "otto.csv")
    columns = {"user_id": "session", "item_id": "events.aid"}
    settings_ = {"path": "otto.csv", "explode": "events", "columns": columns}
    config = build(DataConfig, {"events": settings_}, "test", base=tmp_path)
    assert pairs(import_dataset(config)) == [("11", "59625"), ("11", "1142000"), ("13", "7")]


GA4 = [
    {"event_name": "purchase", "event_timestamp": "1725214320000000", "user_pseudo_id": "502.17",
     "ecommerce": {"transaction_id": "T1"},
     "items": [{"item_id": "a", "quantity": 2}, {"item_id": "b", "quantity": 1}]},
    {"event_name": "page_view", "event_timestamp": "1725214330000000", "user_pseudo_id": "502.17",
     "items": []},
    {"event_name": "view_item", "event_timestamp": "1725214340000000", "user_pseudo_id": "503.17",
     "ecommerce": {}, "items": [{"item_id": "a"}]},
]  # fmt: skip


def test_analytics_events_with_nested_names(tmp_path: Path) -> None:
    columns = {
        "user_id": "user_pseudo_id",
        "item_id": "items.item_id",
        "time": "event_timestamp",
        "kind": "event_name",
        "basket_id": "ecommerce.transaction_id",
        "quantity": "items.quantity",
    }
    text = "\n".join(json.dumps(row) for row in GA4)
    settings_ = {"columns": columns, "explode": "items"}
    done = import_texts(tmp_path, events=text, events_file="ga4.jsonl", events_are=settings_)
    assert pairs(done) == [("502.17", "a"), ("502.17", "b"), ("503.17", "a")]
    assert done.dataset.raw.events.quantity.tolist() == [2, 1, 1]
    assert done.dataset.raw.events.basket.tolist() == [0, 0, -1]
    assert done.dataset.kinds == ("purchase", "view_item")
    kept = {**settings_, "keep": {"event_name": ["purchase"]}}
    done = import_texts(tmp_path, events=text, events_file="ga4.jsonl", events_are=kept)
    assert done.report["tables"]["events"]["set_aside"] == {"empty_list": 1, "not_kept": 1}


@pytest.mark.parametrize(
    ("column", "rule"),
    [
        (
            "items",
            "a list or an object is not an id: set explode = 'items' and map .* such as 'items.item_id'",
        ),
        ("items.item_id", "no such column: 'items' holds lists, set explode = 'items'"),
        ("ecommerce", "a list or an object is not an id"),
    ],
)
def test_a_list_is_never_an_id(tmp_path: Path, column: str, rule: str) -> None:
    text = "\n".join(json.dumps(row) for row in GA4)
    columns = {"user_id": "user_pseudo_id", "item_id": column}
    with pytest.raises(DataError, match=rule):
        import_texts(tmp_path, events=text, events_file="ga4.jsonl", events_are={"columns": columns})


def test_single_rows_that_hold_no_list_are_set_aside(tmp_path: Path) -> None:
    rows = (
        '{"user_id": 1, "items": null}',
        '{"user_id": 1, "items": [{"i": "a"}]}',
        '{"user_id": 2, "items": "oops"}',
    )
    settings_ = {"explode": "items", "columns": {"item_id": "items.i"}}
    done = import_texts(tmp_path, events="\n".join(rows), events_file="e.jsonl", events_are=settings_)
    assert pairs(done) == [("1", "a")]
    listed = done.rejected.select("row", "rule", "value").sort("row").rows()
    assert listed == [(1, "empty_list", None), (3, "not_a_list", "oops")]


def test_what_is_no_list_cannot_be_unfolded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column 'time': explode: not a JSON list \(found '2024-01-01'\)"):
        import_texts(tmp_path, events_are={"explode": "time"})
    with pytest.raises(DataError, match=r"explode: no such column \(did you mean 'time'\?\)"):
        import_texts(tmp_path, events_are={"explode": "tim"})


# Joins -----------------------------------------------------------------------------------------------

ORDERS = "order_id,customer_id,bought,order_status\no1,c1,2024-01-01,delivered\no2,c2,2024-01-02,canceled\n"
LINES = "order_id,product_id\no1,a\no1,b\no2,a\no9,a\n"
CUSTOMERS = "customer_id,customer_unique_id\nc1,ann\nc2,ann\nc2,bob\n"


@pytest.fixture
def olist(tmp_path: Path) -> Path:
    for name, text in (("orders", ORDERS), ("customers", CUSTOMERS)):
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def test_order_lines_find_their_customer(olist: Path) -> None:
    settings_: dict[str, Any] = {
        "columns": {
            "user_id": "customer_unique_id",
            "item_id": "product_id",
            "time": "bought",
            "basket_id": "order_id",
        },
        "join": [
            {"path": "orders.csv", "on": "order_id"},
            {"path": "customers.csv", "on": "customer_id"},
        ],
    }
    done = import_texts(olist, events=LINES, events_are=settings_)
    assert sorted(pairs(done)) == [("ann", "a"), ("ann", "a"), ("ann", "b")]
    assert done.report["tables"]["events"]["set_aside"] == {"missing_user_id": 1}
    assert warned(done, "1 of 4 rows have no match in")
    settings_["keep"] = {"order_status": ["delivered"]}
    done = import_texts(olist, events=LINES, events_are=settings_)
    assert sorted(pairs(done)) == [("ann", "a"), ("ann", "b")]
    rows = done.rejected.select("row", "rule", "column", "value").sort("row").rows()
    assert rows == [(4, "not_kept", "order_status", "canceled"), (5, "not_kept", "order_status", None)]


@pytest.mark.parametrize(("take", "texts"), [("first", "fun"), ("last", "old"), ("all", "fun, old")])
def test_where_several_rows_match(tmp_path: Path, take: str, texts: str) -> None:
    (tmp_path / "tags.csv").write_text("movieId,tag\na,fun\na,fun\nb,dull\na,old\n")
    items = "movie,title\na,Alien\nb,Babe\nc,Casino\n"
    settings_ = {
        "columns": {"item_id": "movie", "attributes": ["tag"]},
        "join": {"path": "tags.csv", "on": ["movie", "movieId"], "take": take},
    }
    events = "user_id,item_id\n1,a\n"
    done = import_texts(tmp_path, items, events, items_are=settings_)
    assert done.dataset.items["attributes"].to_list() == [f'{{"tag": "{texts}"}}', '{"tag": "dull"}', ""]


def test_a_join_names_what_is_missing(olist: Path) -> None:
    join = {"path": "orders.csv", "on": ["order_id", "order"]}
    with pytest.raises(DataError, match=r"orders\.csv, column 'order': join: no such column .*'order_id'"):
        import_texts(olist, events=LINES, events_are={"join": join})
    with pytest.raises(DataError, match=r"order\.csv: no such file \(did you mean 'orders\.csv'\?\)"):
        import_texts(olist, events=LINES, events_are={"join": {"path": "order.csv", "on": "order_id"}})
    with pytest.raises(ConfigError, match=r"\[test, \[events\.join\]|join needs on"):
        import_texts(olist, events=LINES, events_are={"join": {"path": "orders.csv"}})


# Filters ---------------------------------------------------------------------------------------------

INVOICES = (
    "user_id,item_id,status,invoice\n1,a,paid,5\n1,POST,paid,6\n2,a,void,C7\n2,b,Paid,8\n3,b,,9\n3,a,a*b,C9\n"
)


@pytest.mark.parametrize(
    ("choice", "rows"),
    [
        ({"keep": {"status": ["paid"]}}, [2, 3]),
        ({"keep": {"status": ["paid", ""]}}, [2, 3, 6]),
        ({"keep": {"status": ["paid"]}, "drop": {"item_id": ["POST", "M"]}}, [2]),
        ({"drop": {"invoice": ["C*"]}}, [2, 3, 5, 6]),
        ({"drop": {"status": [""], "invoice": ["C*"]}}, [2, 3, 5]),
    ],
)
def test_rows_are_chosen_by_their_values(tmp_path: Path, choice: dict[str, Any], rows: list[int]) -> None:
    done = import_texts(tmp_path, events=INVOICES, events_are=choice)
    gone = set(done.rejected["row"])
    assert gone == {2, 3, 4, 5, 6, 7} - set(rows)
    assert len(done.dataset.raw.events) == len(rows)


def test_many_filtered_rows_are_counted_and_not_listed() -> None:
    from crossaisle.data.ingest.readers.typed import of_frame
    from crossaisle.data.ingest.reshape.keep import filtered

    frame = pl.DataFrame({"a": [str(n % 2) for n in range(100)]})
    limits = ReadLimits(batch=16, listed=10)
    source = filtered(of_frame(frame, "frame", limits), {"a": ("1",)}, {}, limits)
    kept = sum(batch.num_rows for batch in source.batches(["a"]))
    listed = sum(len(part.rows) for part in source.left_out)
    assert (kept, listed, sum(part.unlisted for part in source.left_out)) == (50, 10, 40)


# Filling down ----------------------------------------------------------------------------------------

PRODUCTS = (
    "Handle,Title,Type,SKU\nmug,Mug,Cups,1-S\nmug,,,1-M\n,,,1-L\n"
    "pan,Pan,,2\npan,,,2-L\nbowl,,Bowls,3\nmug,,,9\n"
)


def test_variants_take_the_title_from_above(tmp_path: Path) -> None:
    settings_ = {
        "columns": {"item_id": "SKU", "title": "Title", "categories": "Type"},
        "fill_down": {"columns": ["Title", "Type"], "by": "Handle"},
    }
    events = "user_id,item_id\n1,2\n"
    done = import_texts(tmp_path, PRODUCTS, events, items_are=settings_)
    assert done.dataset.items["title"].to_list() == ["Mug", "Mug", "Mug", "Pan", "Pan", "", ""]
    kinds = [p[0][0] if p else "" for p in done.dataset.taxonomy.paths]
    assert kinds == ["Cups", "Cups", "Cups", "", "", "Bowls", ""]
    settings_["fill_down"] = {"columns": ["Title", "Type"]}
    done = import_texts(tmp_path, PRODUCTS, events, items_are=settings_)
    assert done.dataset.items["title"].to_list()[-3:] == ["Pan", "Pan", "Pan"]


CELLS = st.sampled_from(["", "x", "y"])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "g", "h"]), CELLS, st.sampled_from("abc")), min_size=1),
    st.integers(1, 5),
)
def test_batches_do_not_matter_to_what_is_filled_down(rows: list[tuple[str, ...]], size: int) -> None:
    from crossaisle.data.ingest.readers.typed import of_frame
    from crossaisle.data.ingest.reshape.fill import filled_down
    from crossaisle.table_config import FillConfig

    frame = pl.DataFrame(rows, schema=["by", "fill", "id"], orient="row")
    source = filled_down(of_frame(frame, "f", ReadLimits(batch=size)), FillConfig(columns=("fill",), by="by"))
    found = [v for batch in source.batches(["fill", "id"]) for v in batch.column("fill").to_pylist()]
    expected, group, above = [], None, None
    for by, value, _ in rows:
        if by and by != group:
            group, above = by, None
        above = value or above
        expected.append(above)
    assert found == expected


# Everything at once ----------------------------------------------------------------------------------

LISTS = st.lists(
    st.tuples(
        st.sampled_from(["u", "v", ""]),
        st.lists(st.sampled_from(["a", "b", "", "[1]", "4.0"]), max_size=4),
        st.sampled_from(["keep", "other"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(LISTS)
def test_no_entry_of_a_list_is_lost(rows: list[Any]) -> None:
    frame = pl.DataFrame(
        rows, schema={"user_id": pl.String, "items": pl.List(pl.String), "k": pl.String}, orient="row"
    )
    from crossaisle.data.ingest.importer import import_sources
    from crossaisle.data.ingest.ledger import Ledger
    from crossaisle.data.ingest.readers.typed import of_frame
    from crossaisle.data.ingest.reshape.steps import reshaped

    table = {"columns": {"item_id": "items"}, "explode": "items", "keep": {"k": ["keep"]}}
    config = build(DataConfig, {"events": table}, "test")
    source = reshaped(
        of_frame(frame, "f", ReadLimits(batch=3)), config.events, lambda _: pytest.fail("no join")
    )
    expected = [(n, u, i) for n, (u, items, k) in enumerate(rows, 1) if k == "keep" for i in items]
    good = [(u, i.removesuffix(".0")) for _, u, i in expected if u and i in ("a", "b", "4.0")]
    try:
        done = import_sources(config, {"events": source})
    except DataError:
        lists = [i for *_, i in expected if i.startswith("[")]
        assert not good or len(lists) > 0
        return
    assert sorted(pairs(done)) == sorted(good)
    total = sum(max(len(items), 1) for _, items, _ in rows)
    assert (
        done.report["tables"]["events"]["rows_read"]
        == total
        == len(good) + done.rejected.filter(action="set aside").height
    )
    assert Ledger().frame().columns == done.rejected.columns


def test_frames_need_no_files() -> None:
    events = pl.DataFrame({"user_id": ["1"], "item_id": ["a"]})
    assert import_frames(None, events).rejected.columns[:4] == ["table", "action", "file", "row"]
