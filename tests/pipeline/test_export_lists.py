"""Lists for many users: complete, equal to single ones, resumable."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from crossaisle import cli
from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.merchandising.rules import MerchandisingRule, RuleSet
from crossaisle.data.query import Query
from crossaisle.errors import ConfigError, DataError
from crossaisle.pipeline.exports import lists as work
from crossaisle.pipeline.exports.lists import export_lists
from crossaisle.pipeline.fit import fit
from crossaisle.recommend.rank import Unplaced
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import tiny_shop

QUERY = Query(placement="discover", n=4, explain=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "model"
    plain = ModelConfig(encoder="none", sequence="off", ranker=False)
    fit(tiny_shop(), split_config=SplitConfig(), model_config=plain).past.save(folder)
    return folder


@pytest.mark.parametrize("suffix", work.FORMATS)
def test_every_user_has_the_list_that_the_user_would_get(model: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"lists{suffix}"
    done = export_lists(model, out, QUERY)
    read = {".parquet": pl.read_parquet, ".csv": pl.read_csv, ".jsonl": pl.read_ndjson}[suffix]
    rows = read(out).cast({"user": pl.String, "item": pl.String})
    recommender = Recommender.load(model)
    users = recommender.dataset.user_ids
    assert done.lists + done.without == len(users)
    assert done.rows == len(rows)
    for user in users.ids(range(len(users))):
        expected = recommender.recommend(replace(QUERY, user=user))
        mine = rows.filter(pl.col("user") == user)
        assert mine["item"].to_list() == expected.ids
        assert mine["rank"].to_list() == [r.rank for r in expected]
        assert [why or "" for why in mine["why"]] == [r.evidence.text for r in expected if r.evidence]
    assert list(tmp_path.iterdir()) == [out], "no parts are left"


def test_an_interrupted_export_goes_on(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "PART", 5)
    out, whole = tmp_path / "lists.parquet", tmp_path / "whole.parquet"
    export_lists(model, whole, QUERY)
    asked = Recommender.recommend_many
    calls: list[int] = []

    def fails_later(self: Recommender, queries: list[Query]) -> object:
        calls.append(len(queries))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return asked(self, queries)

    monkeypatch.setattr(Recommender, "recommend_many", fails_later)
    with pytest.raises(KeyboardInterrupt):
        export_lists(model, out, QUERY)
    assert not out.exists()
    with pytest.raises(ConfigError, match=r"holds parts of another export .*--restart"):
        export_lists(model, out, replace(QUERY, n=3))
    done = export_lists(model, out, QUERY)
    assert done.resumed == 10
    assert pl.read_parquet(out).equals(pl.read_parquet(whole))
    assert export_lists(model, out, QUERY, restart=True).resumed == 0


def test_a_part_that_was_cut_off_is_made_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "PART", 5)
    out, whole = tmp_path / "lists.csv", tmp_path / "whole.csv"
    export_lists(model, whole, QUERY)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(work, "_write", stop)
        with pytest.raises(KeyboardInterrupt):
            export_lists(model, out, QUERY)
    parts = sorted(out.with_name("lists.csv.parts").glob("*.parquet"))
    parts[0].write_bytes(parts[0].read_bytes()[:50])
    parts[1].write_bytes(b"")
    done = export_lists(model, out, QUERY)
    assert done.resumed == done.lists + done.without - 10
    assert out.read_bytes() == whole.read_bytes()


def test_who_is_unknown_is_said(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = Recommender.load(model).dataset.user_ids.ids(range(2))
    (tmp_path / "users.txt").write_text("\n".join([*some, "nobody", "", some[0]]))
    command = ["export", str(model), "--users", str(tmp_path / "users.txt"), "--out", str(tmp_path / "o.csv")]
    assert cli.run(command) == 0
    said = capsys.readouterr()
    assert "no list for 1 users the model does not know: 'nobody'" in said.err
    assert "2 lists, 20 items" in said.out
    with pytest.raises(DataError, match="the model knows none of the users"):
        export_lists(model, tmp_path / "o.csv", QUERY, users=["nobody"])


@pytest.mark.parametrize(
    ("name", "query", "message"),
    [
        ("lists.xlsx", QUERY, r"an export's name must end in \.parquet, \.csv, \.jsonl"),
        ("lists.csv", Query(placement="similar", items=("a",)), "similar needs an item in view"),
    ],
)
def test_what_cannot_be_exported(model: Path, tmp_path: Path, name: str, query: Query, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        export_lists(model, tmp_path / name, query)


def test_a_list_from_elsewhere_is_ordered_and_nothing_is_lost(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recommender = Recommender.load(model)
    user = recommender.dataset.user_ids.id(0)
    items = recommender.dataset.item_ids.ids(range(6))
    ordered = recommender.rank([*items, "nothing", items[0]], user=user)
    assert sorted(ordered.placed.ids) == sorted(items)
    assert ordered.ids[-1] == "nothing"
    assert ordered.unplaced == (Unplaced("nothing", "unknown"),)
    scores = [one.score for one in ordered.placed]
    assert scores == sorted(scores, reverse=True)
    assert recommender.rank(["nothing"], user=user).ids == ["nothing"]
    few = recommender.rank(items, user=user, exclude_items=items[:2])
    assert few.placed.ids == [item for item in ordered.placed.ids if item not in items[:2]]
    assert few.unplaced == tuple(Unplaced(item, "controls") for item in items[:2])
    rule = MerchandisingRule.of({"id": "no", "action": "never", "items": [f"item:{items[0]}"]}, "here")
    ruled = recommender.with_rules(RuleSet((rule,))).rank(items, user=user)
    assert ruled.unplaced == (Unplaced(items[0], "rules"),)
    with pytest.raises(ConfigError, match="there is nothing to rank"):
        recommender.rank([], user=user)
    command = ["rank", str(model), "--user", user, "--json", *(f"--item={item}" for item in items)]
    assert cli.run(command) == 0
    assert [row["item_id"] for row in json.loads(capsys.readouterr().out)["items"]] == ordered.placed.ids
    assert cli.run(["rank", str(model), "--user", user, "--item=nothing", f"--item={items[0]}"]) == 0
    assert re.search(r"nothing\s+unknown", capsys.readouterr().out)
