"""`describe` and `data`: what arrives, before any model sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossaisle import cli
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import tiny_shop


def test_a_configuration_is_described(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["describe", str(shop), "--json"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert (facts["name"], facts["items"], facts["users"], facts["events"]) == ("corner shop", 24, 60, 1200)
    assert facts["import"]["tables"]["events"]["set_aside"] == {"unknown_item": 1}
    assert err == ""
    assert cli.run(["describe", str(shop), "--set", "data.name=other"]) == 0
    out, err = capsys.readouterr()
    assert "other" in out
    assert "events: 1,200 of 1,201 rows kept; set aside: unknown_item 1" in err


def test_a_saved_model_is_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = tiny_shop()
    blend = Blend(parts={"popularity": Popularity()}, weights={"for_you": {"popularity": 1.0}}).fit(tiny)
    Recommender(tiny, blend).save(tmp_path / "model")
    assert cli.run(["describe", str(tmp_path / "model"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["parts"] == {"popularity": "popularity"}
    assert cli.run(["describe", str(tmp_path / "model")]) == 0
    assert "for_you: popularity 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["describe", "absent.toml"], 2, "absent.toml: no such file"),
        (["describe", "completejorney"], 2, "neither a file nor a known data set (did you mean"),
        (["describe", "completejourney", "--set", "a=b"], 2, "is a known data set"),
        (["data", "pull", "instacrt"], 2, "unknown data set 'instacrt' (did you mean 'instacart'?)"),
        (["data", "pull", "instacart", "--root", "nowhere"], 1, "is not below nowhere"),
    ],
)
def test_mistakes(arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_a_folder_that_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["describe", str(tmp_path)]) == 1
    assert "not a crossaisle folder" in capsys.readouterr().err


def test_data_sets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["data", "list", "--json"]) == 0
    names = [row["name"] for row in json.loads(capsys.readouterr().out)]
    assert names[0] == "completejourney"
    assert {"instacart", "amazon14", "s3rec-beauty"} <= set(names)
    assert cli.run(["data", "list"]) == 0
    assert "dunnhumby" in capsys.readouterr().out
