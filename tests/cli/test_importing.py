from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossaisle import cli

ORDERS = "customer,product,ordered_at\nann,m,2024-09-01T10:00:00Z\nbob,p,2024-09-02T10:00:00Z\n"
FEED = (
    "id\ttitle\tlink\tprice\tavailability\tproduct_type\n"
    "m\tMug\thttps://x.example/m\t9.50 USD\tin_stock\tCups\n"
    "p\tPan\thttps://x.example/p\t30 USD\tpreorder\tPans\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "feed.tsv").write_text(FEED)
    (tmp_path / "in" / "orders.csv").write_text(ORDERS)
    return tmp_path


@pytest.mark.parametrize(
    "command", [["import", "--from", "google-merchant", "in/feed.tsv", "in/orders.csv"], ["init", "in"]]
)
def test_settings_are_written_that_can_be_run(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(command) == 0
    said = capsys.readouterr()
    assert said.out == "shop.toml\n"
    assert "next: crossaisle describe shop.toml" in said.err
    assert 'path = "in/feed.tsv"' in (folder / "shop.toml").read_text()
    assert cli.run(["describe", "shop.toml"]) == 0
    assert "2 purchase" in capsys.readouterr().out
    assert cli.run(command) == 1
    assert "shop.toml: already exists; add --replace to overwrite it" in capsys.readouterr().err
    assert cli.run([*command, "--replace", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["config"] == "shop.toml"
    assert said["tables"]["items"]["columns"]["item_id"] == "id"


def test_what_is_no_export_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["import", "--from", "shopify", "in/orders.csv"]) == 1
    assert (
        "none of these files is a shopify export (in/orders.csv: customer, product" in capsys.readouterr().err
    )
    assert cli.run(["import", "--from", "shopfy", "in/orders.csv"]) == 2
    assert not (folder / "shop.toml").exists()


def test_a_folder_with_no_table_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    (folder / "empty" / "notes.csv").write_text("x,y\n1,2\n")
    assert cli.run(["init", "empty"]) == 1
    said = capsys.readouterr().err
    assert "no table was found: " in said
    assert "notes.csv is not used (x, y)" in said
    assert not (folder / "shop.toml").exists()
