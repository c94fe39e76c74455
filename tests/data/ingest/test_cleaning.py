"""`[data.clean]` within an import: ids survive, every change is listed, a second run changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.config import DataConfig, load_config
from crossaisle.data.clean.report import read_review
from crossaisle.data.ingest.importer import Imported, import_dataset, import_frames
from crossaisle.data.storage import load_dataset, save_dataset
from crossaisle.decode import build
from crossaisle.errors import ConfigError, DataError
from crossaisle.recommend.rerank.groups import Groups

ALL: dict[str, Any] = {
    "mojibake": "on",
    "chinese": "simplified",
    "language": "on",
    "brands": "on",
    "abbreviations": "on",
    "sizes": True,
    "spelling": "on",
    "categories": "on",
    "structure": "on",
    "groups": "on",
    "robots": "on",
    "users": "on",
    "ids": "on",
}


def imported(items: pl.DataFrame, clean: dict[str, Any], events: pl.DataFrame | None = None) -> Imported:
    if events is None:
        events = pl.DataFrame({"user_id": ["u"] * len(items), "item_id": items["item_id"]})
    return import_frames(items, events, clean=clean)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=24) | st.sampled_from(
    [
        *("Ｍilk １L", "LâOrÃ©al", "👟", "شاي", "x", "7", "Sft Drnk", "Milk 16OZ", "milk 16 oz"),
        *("<Ｂ>x</Ｂ>", "ＮＵＬＬ", "&ａmp;", "牛奶 250ML", "Nike", "NIKE Inc.", "a > a", "  "),
    ]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=12))
def test_cleaning_twice_is_once_and_ids_survive(rows: list[tuple[str, str, str]]) -> None:
    titles, brands, categories = zip(*rows, strict=True)
    ids = [f"i{at}" for at in range(len(rows))]
    items = pl.DataFrame(
        {"item_id": ids, "title": titles, "brand": brands, "categories": categories},
        schema=dict.fromkeys(("item_id", "title", "brand", "categories"), pl.String),
    )
    once = imported(items, ALL)
    assert once.dataset.items["item_id"].to_list() == ids
    table = once.report["tables"]["items"]
    assert table["rows_kept"] == table["rows_read"] == len(ids)
    for step in once.report["cleaning"]:
        assert step["rows_in"] == step["rows_out"], step["step"]
    paths = [paths[0] if paths else () for paths in once.dataset.taxonomy.paths]
    again = imported(
        once.dataset.items.with_columns(
            categories=pl.Series([" > ".join(p) for p in paths], dtype=pl.String)
        ),
        ALL,
    )
    assert again.dataset.items["title"].to_list() == once.dataset.items["title"].to_list()
    assert again.dataset.items["brand"].to_list() == once.dataset.items["brand"].to_list()
    if not any(sign in name for path in paths for name in path for sign in "<>"):  # told as one text above
        assert [p[0] if p else () for p in again.dataset.taxonomy.paths] == paths


def test_every_changed_value_is_listed_with_its_row() -> None:
    items = pl.DataFrame(
        {"item_id": ["a", "b"], "title": ["plain", "Ｍilk"], "categories": ["Ｄairy", "Dairy"]}
    )
    done = imported(items, {})
    listed = done.rejected.filter(pl.col("rule") == "clean_width").select("row", "column", "value")
    assert listed.rows() == [(2, "title", "Ｍilk"), (1, "categories", "Ｄairy")]
    assert done.report["tables"]["items"]["repaired"] == {"clean_width": 2}
    assert done.dataset.items["title"].to_list() == ["plain", "Milk"]
    step = next(s for s in done.report["cleaning"] if s["step"] == "width")
    assert step["examples"] == [
        {"column": "title", "before": "Ｍilk", "after": "Milk"},
        {"column": "categories", "before": "Ｄairy", "after": "Dairy"},
    ]


def test_off_is_off() -> None:
    items = pl.DataFrame({"item_id": ["a"], "title": ["Ｍilk LâOrÃ©al"]})
    done = imported(items, {"width": False, "nfkc": False, "mojibake": "off"})
    assert done.dataset.items["title"].to_list() == ["Ｍilk LâOrÃ©al"]
    assert done.report["cleaning"] == []


def test_groups_are_shown_once_and_survive_saving(tmp_path: Path) -> None:
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c"],
            "title": ["Runner red", "Runner blue", "Other"],
            "parent": ["p", "p", None],
        }
    )
    events = pl.DataFrame({"user_id": ["u"] * 3, "item_id": ["a", "b", "c"]})
    done = import_frames(items, events, columns={"items": {"group_id": "parent"}})
    save_dataset(done.dataset, tmp_path)
    kept = load_dataset(tmp_path)
    keys = Groups.of_items(kept.items).keys
    assert keys[0] == keys[1] != keys[2]
    assert kept.items["group"].to_list() == ["p", "p", None]


@pytest.mark.parametrize(("n", "warns"), [(100, False), (101, True)])
def test_a_group_that_is_hardly_one_product_is_named(n: int, warns: bool) -> None:
    items = pl.DataFrame(
        {"item_id": [f"i{at}" for at in range(n + 2)], "group_id": ["default"] * n + ["mug", "mug"]}
    )
    told = [w for w in imported(items, {}).report["warnings"] if w.startswith("group ")]
    assert told == (
        [
            f"group 'default' has {n} of {n + 2} items: lists show only one item of a group; "
            "is group_id the right column?"
        ]
        if warns
        else []
    )


def test_word_forms_travel_with_the_data(tmp_path: Path) -> None:
    items = pl.DataFrame({"item_id": ["a", "b"], "title": ["running shoes", "soft white bread"]})
    done = imported(items, {"stem": "en", "stop_words": ["en"]})
    assert done.dataset.items["title"].to_list() == ["running shoes", "soft white bread"]
    save_dataset(done.dataset, tmp_path)
    assert load_dataset(tmp_path).words == done.dataset.words
    assert done.dataset.words.stem == "en"


def shop_files(folder: Path, extra: str) -> Path:
    items = "".join(f"k{n},Thing {n}\n" for n in range(60))
    events = "".join(f"u{n % 7},k{n}\n" for n in range(60))
    (folder / "items.csv").write_text(
        "item_id,title\n" + items + "家务用品,House\nAB-1,Case\n", encoding="utf-8"
    )
    (folder / "events.csv").write_text(
        "user_id,item_id\n" + events + "u1,保管产品\nu1,ab-1\n", encoding="utf-8"
    )
    toml = f'[data.items]\npath = "items.csv"\n[data.events]\npath = "events.csv"\n[data.clean]\n{extra}\n'
    (folder / "shop.toml").write_text(toml, encoding="utf-8")
    return folder / "shop.toml"


def test_items_that_two_files_spell_differently_are_joined_and_named(tmp_path: Path) -> None:
    done = import_dataset(load_config(shop_files(tmp_path, 'ids = "on"')).data, out=tmp_path / "out")
    assert len(done.dataset.events) == 62
    assert done.report["tables"]["events"]["repaired"] == {"clean_ids": 2}
    review = pl.read_csv(tmp_path / "out" / "import" / "review.csv")
    assert dict(review.select("before", "after").iter_rows()) == {"ab-1": "AB-1", "保管产品": "家务用品"}
    assert review["apply"].to_list() == ["yes", "yes"]


def test_only_reported_they_stay_apart(tmp_path: Path) -> None:
    done = import_dataset(load_config(shop_files(tmp_path, 'ids = "report"')).data)
    assert len(done.dataset.events) == 60
    assert done.report["tables"]["events"]["set_aside"] == {"unknown_item": 2}


def test_a_review_file_is_fed_back(tmp_path: Path) -> None:
    config = shop_files(tmp_path, 'ids = "on"\nreview = "review.csv"')
    (tmp_path / "review.csv").write_text(
        "step,before,after,apply\nids,保管产品,家务用品,no\n", encoding="utf-8"
    )
    assert len(import_dataset(load_config(config).data).dataset.events) == 61
    (tmp_path / "review.csv").write_text("step,before,after,apply\nids,ab-1,AB-1,perhaps\n")
    with pytest.raises(
        DataError, match=r"row 2, column 'apply': must be yes, no or empty \(found 'perhaps'\)"
    ):
        read_review(tmp_path / "review.csv")
    with pytest.raises(DataError, match="no such file"):
        read_review(tmp_path / "none.csv")


def robot_events() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    parts = [("crawler", n, n * 4) for n in range(1500)]
    for person in range(30):
        gaps = rng.lognormal(4, 1.2, 150).cumsum()
        parts += [
            (f"u{person}", int(i), int(9 * 3600 + g))
            for i, g in zip(rng.integers(0, 200, 150), gaps, strict=True)
        ]
    return pl.DataFrame(parts, schema=["user_id", "item_id", "time"], orient="row").with_columns(
        pl.col("time") + 1_600_000_000, pl.col("item_id").cast(pl.String)
    )


@pytest.mark.parametrize(("mode", "left"), [("on", 30), ("report", 31), ("off", 31)])
def test_robots_are_set_aside_with_a_reason(mode: str, left: int) -> None:
    items = pl.DataFrame(
        {"item_id": [str(n) for n in range(1500)], "title": [f"Thing {n}" for n in range(1500)]}
    )
    done = imported(items, {"robots": mode}, robot_events())
    assert done.dataset.n_users == left
    named = [w for w in done.report["warnings"] if "look like robots" in w]
    assert bool(named) == (mode != "off")
    if mode == "on":
        assert done.report["tables"]["events"]["set_aside"] == {"robot": 1500}
        gone = done.rejected.filter(pl.col("rule") == "robot")
        assert set(gone["value"]) == {"crawler"}
        assert "'crawler' (tempo: 900 events in an hour; breadth: 100 % of all items" in named[0]


def test_robots_do_not_disturb_rules_that_come_later() -> None:
    items = pl.DataFrame({"item_id": [str(n) for n in range(1500)], "title": ["x"] * 1500})
    done = import_frames(items, robot_events(), clean={"robots": "on"}, min_users_per_item=3)
    assert done.dataset.n_users == 30
    assert done.report["tables"]["items"]["set_aside"]["fewer_than_3_users"] >= 1300


def test_users_are_put_right_and_listed() -> None:
    items = pl.DataFrame({"item_id": ["a"], "title": ["x"]})
    users = pl.DataFrame({"user_id": ["u", "v"], "income": ["15-24K", "Unknown"]})
    events = pl.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "a"]})
    done = import_frames(items, events, users, clean={"users": "on"})
    assert done.dataset.users["income"].to_list() == ["15000-24000", None]
    listed = done.rejected.filter(pl.col("rule") == "clean_users")
    assert listed.select("row", "value").rows() == [(1, "15-24K"), (2, "Unknown")]
    assert done.report["tables"]["users"]["repaired"] == {"clean_users": 2}


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="stop_words must be 'off', 'auto' or a list of languages"):
        build(DataConfig, {"clean": {"stop_words": "en"}}, "x")
    with pytest.raises(ConfigError, match="unknown value 'yes'"):
        build(DataConfig, {"clean": {"spelling": "yes"}}, "x")
    with pytest.raises(ConfigError, match="abbreviations_file needs abbreviations"):
        build(DataConfig, {"clean": {"abbreviations_file": "a.csv"}}, "x")


def test_mojibake_is_booked_with_the_row_of_the_file(tmp_path: Path) -> None:
    damaged = "Crème".encode().decode("windows-1252")
    (tmp_path / "items.csv").write_text(f"item_id,title\n,none\na,plain\nb,{damaged}\n", encoding="utf-8")
    (tmp_path / "events.csv").write_text("user_id,item_id\nu,a\n", encoding="utf-8")
    toml = '[data.items]\npath = "items.csv"\n[data.events]\npath = "events.csv"\n'
    (tmp_path / "shop.toml").write_text(toml, encoding="utf-8")
    done = import_dataset(load_config(tmp_path / "shop.toml").data)
    assert done.dataset.items["title"].to_list() == ["plain", "Crème"]
    listed = done.rejected.filter(pl.col("rule") == "clean_mojibake")
    assert listed.select("row", "value").rows() == [(4, damaged)]
