"""`knowledge draft`, `knowledge check`, and a run with a knowledge file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossaisle import cli
from crossaisle.data.knowledge.rules import read_rules
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from tests.pipeline.test_knowledge_draft import trips


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = trips(2_000)
    folder = tmp_path_factory.mktemp("knowledge") / "model"
    Recommender(dataset, Blend(parts={"popularity": Popularity()}).fit(dataset)).save(folder)
    return folder


def test_a_draft_is_written_read_and_never_overwritten(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "knowledge.csv"
    asked = ["knowledge", "draft", str(model), "--out", str(out)]
    assert cli.run(asked) == 0
    printed, err = capsys.readouterr()
    rules = read_rules(out)
    assert f"{len(rules)} lines" in printed
    assert "directed pairs of categories passed" in err
    assert {"Pasta", "Sauce"} in [{rule.source, rule.target} for rule in rules]
    assert out.read_text().startswith("# Drafted from")
    assert cli.run(asked) == 1
    assert "already exists, perhaps with your edits" in capsys.readouterr().err
    assert cli.run([*asked, "--force", "--most", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["held"] >= 1


def test_check_says_what_is_covered_wrong_and_unknown(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, rejected = tmp_path / "k.csv", tmp_path / "rejected.csv"
    asked = ["knowledge", "check", str(file), "--model", str(model)]
    file.write_text("rule,from,to\ngoes with,Pasta,Sauce\nstaple,Milk,\n")
    assert cli.run(asked) == 0
    out = capsys.readouterr().out
    assert "usable lines: 1 goes with, 0 never with, 1 staple" in out
    assert "categories about which the file says nothing: 9" in out
    file.write_text("rule,from,to\ngoes with,Pasta,Sauze\nnever,Pasta,Milk\nnever with,Pasta,item:Pasta-1\n")
    assert cli.run([*asked, "--rejected", str(rejected)]) == 1
    out = capsys.readouterr().out
    assert "wrong, so the file is refused: 1" in out
    assert "line 3: rule must be" in out
    assert "line 2: unknown category or item 'Sauze' (did you mean 'Sauce'?)" in out
    assert "no effect in goes_with, because both sides are of one kind: 1" in out
    assert "goes with,Pasta,Sauze,both,0.5,,2," in rejected.read_text()
    assert cli.run([*asked, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["rejected"][0]["line"] == 2
    assert 0 < found["events_spoken_of"] < 1


@pytest.mark.slow
def test_a_run_uses_the_file_and_keeps_what_it_left_out(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "knowledge.csv", tmp_path / "out"
    file.write_text(
        "rule,from,to,reason\ngoes with,Dairy,Bakery,breakfast\ngoes with,Dairy,Wine,\n"
        "never with,Dairy,Hardware,it spoils\n"
    )
    assert cli.run(["run", str(shop), "--out", str(out), "--set", f"model.knowledge={file}"]) == 0
    err = capsys.readouterr().err
    assert "knowledge: 2 of 3 lines are used" in err
    assert "knowledge, line 3: unknown category or item 'Wine'" in err
    assert "goes with,Dairy,Wine" in (out / "knowledge-rejected.csv").read_text()
    file.unlink()
    assert cli.run(["goes-with", str(out / "model"), "--item", "milk1", "-n", "20", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {item["item_id"][:5] for item in answer["items"]} == {"bread", "spade"}
    assert "left out: we keep Dairy and Hardware apart (it spoils)" in answer["notices"]
