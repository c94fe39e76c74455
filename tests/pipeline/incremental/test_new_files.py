"""`fit --incremental` with files of new events: foreign items, empty fields, odd times and kinds."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from crossaisle import cli
from crossaisle.recommend.recommender import Recommender


def small_shop(folder: Path, *, items: bool = True) -> list[str]:
    """Thirty items and 120 events of nine people; the command that adds what is new to their model."""
    rows = "".join(f"u{n % 9},i{n % 30},2024-01-{n % 28 + 1:02}\n" for n in range(120))
    (folder / "events.csv").write_text("user_id,item_id,time\n" + rows, encoding="utf-8")
    listed = "".join(f"i{n},Thing {n},A > B{n % 3},{n + 1}\n" for n in range(30))
    (folder / "items.csv").write_text("item_id,title,categories,price\n" + listed, encoding="utf-8")
    toml = '[data.items]\npath = "items.csv"\n' if items else ""
    toml += '[data]\nname = "small"\n[data.events]\npath = "events.csv"\n[model]\nencoder = "none"\n'
    (folder / "shop.toml").write_text(toml, encoding="utf-8")
    (folder / "bare.toml").write_text(toml.partition("[data]")[1] + toml.partition("[data]")[2])
    return ["fit", str(folder / "shop.toml"), "--out", str(folder / "model"), "--incremental"]


def events_of(folder: Path, *rows: str, head: str = "user_id,item_id,time") -> list[str]:
    (folder / "new.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return ["--set", f"data.events.path={folder / 'new.csv'}"]


@pytest.mark.parametrize("catalogue", [True, False])
def test_events_of_foreign_items_are_set_aside_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], catalogue: bool
) -> None:
    fit = small_shop(tmp_path)
    assert cli.run(fit) == 0
    new = ["u1,i2,2024-03-01", "u2,i3,2024-03-01", "u1,stranger,2024-03-02"]
    again = fit if catalogue else [fit[0], str(tmp_path / "bare.toml"), *fit[2:]]
    capsys.readouterr()
    assert cli.run([*again, *events_of(tmp_path, *new)]) == 0
    told = capsys.readouterr().err
    assert "2 new events of 2 users" in told
    assert "unknown_item 1" in told
    rejected = pl.read_parquet(tmp_path / "model.import" / "rejected.parquet")
    assert rejected["rule"].to_list() == ["unknown_item"]
    assert rejected["value"].to_list() == ["stranger"]
    assert rejected["row"].to_list() == [4]
    after = Recommender.load(tmp_path / "model").dataset
    assert after.n_items == 30
    assert after.items["title"].to_list() == [f"Thing {n}" for n in range(30)]
    assert after.items["price"].to_list() == [n + 1 for n in range(30)]


def test_a_file_of_mostly_foreign_items_is_refused_without_a_catalogue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = small_shop(tmp_path)
    assert cli.run(fit) == 0
    before = (tmp_path / "model" / "manifest.json").read_bytes()
    again = [fit[0], str(tmp_path / "bare.toml"), *fit[2:]]
    new = events_of(tmp_path, "u1,i2,2024-03-01", "u1,x1,2024-03-01", "u1,x2,2024-03-02")
    assert cli.run([*again, *new]) == 1
    assert "the model knows 1 of 3 items, but not 'x1'" in capsys.readouterr().err
    assert cli.run([*again, *events_of(tmp_path, "u1,x1,2024-03-01")]) == 1
    assert "none of 1 events can be kept: unknown_item 1" in capsys.readouterr().err
    assert (tmp_path / "model" / "manifest.json").read_bytes() == before


def test_events_name_known_items_that_the_new_catalogue_lacks(tmp_path: Path) -> None:
    fit = small_shop(tmp_path)
    assert cli.run(fit) == 0
    (tmp_path / "launch.csv").write_text("item_id,title\nn1,New thing\n")
    new = events_of(tmp_path, "u1,i2,2024-03-01", "u1,n1,2024-03-01", "u3,x,2024-03-02")
    assert cli.run([*fit, *new, "--set", f"data.items.path={tmp_path / 'launch.csv'}"]) == 0
    after = Recommender.load(tmp_path / "model").dataset
    assert after.item_ids.all == (*(f"i{n}" for n in range(30)), "n1")
    assert after.items["title"].to_list()[-2:] == ["Thing 29", "New thing"]
    assert len(after.events) == 122


def test_a_shop_without_a_catalogue_learns_new_items_from_its_events(tmp_path: Path) -> None:
    fit = small_shop(tmp_path, items=False)
    assert cli.run(fit) == 0
    assert cli.run([*fit, *events_of(tmp_path, "u1,i2,2024-03-01", "u2,i99,2024-03-01")]) == 0
    assert Recommender.load(tmp_path / "model").dataset.item_ids.all[-1] == "i99"


def test_what_is_odd_about_new_events_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit = small_shop(tmp_path)
    assert cli.run(fit) == 0
    (tmp_path / "items.csv").write_text("item_id,title,categories,price\ni2,,,\ni3,,A > B0,9\n")
    new = ["u1,i2,1985-03-01,purchase", "u1,i2,2024-03-01,wishes", "u1,i3,2199-03-01,purchase"]
    capsys.readouterr()
    assert cli.run([*fit, *events_of(tmp_path, *new, head="user_id,item_id,time,kind")]) == 0
    told = capsys.readouterr().err
    assert "set aside: future_time 1" in told
    assert "2 new events of 1 users" in told
    assert "1 of the new events are older than the model's newest event" in told
    assert "kinds of events that the model did not know: wishes" in told
    assert "keep what is known: title of 2, price of 1, categories of 1" in told
    after = Recommender.load(tmp_path / "model").dataset.items
    assert after["title"].to_list()[2:4] == ["Thing 2", "Thing 3"]
    assert after["price"].to_list()[2:4] == [3.0, 9.0]


def test_rare_items_that_the_model_knows_are_not_too_rare_in_a_file_of_new_events(tmp_path: Path) -> None:
    fit = [*small_shop(tmp_path), "--set", "data.min_users_per_item=2"]
    assert cli.run(fit) == 0
    assert cli.run([*fit, *events_of(tmp_path, "u1,i2,2024-03-01")]) == 0
    after = Recommender.load(tmp_path / "model").dataset
    assert (after.n_items, len(after.events)) == (30, 121)
