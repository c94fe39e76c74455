"""`recommend`, `goes-with`, `similar` and `explain` on the tiny shop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from crossaisle import cli
from crossaisle.data.query import PLACEMENTS
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import tiny_shop


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> Recommender:
    """What loading any folder gives."""
    shop = tiny_shop()
    blend = Blend(parts={"popularity": Popularity(), "item_knn": ItemKNN()}).fit(shop)
    ready = Recommender(shop, blend, repeats=True)
    monkeypatch.setattr(Recommender, "load", classmethod(lambda _cls, _folder: ready))
    return ready


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code = cli.run([*arguments, "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def test_a_list_for_a_user(capsys: pytest.CaptureFixture[str]) -> None:
    answer = ask(capsys, "recommend", "m", "--user", "u0", "-n", "5")
    assert [item["rank"] for item in answer["items"]] == [1, 2, 3, 4, 5]
    assert answer["user"] == "u0"
    assert cli.run(["recommend", "m", "--user", "u0", "-n", "5", "--explain"]) == 0
    out = capsys.readouterr().out
    for item in answer["items"]:
        assert item["item_id"] in out
    assert "why" in out


def test_every_control_reaches_the_query(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Recommender
) -> None:
    seen = []
    original = model.recommend
    monkeypatch.setattr(model, "recommend", lambda query: (seen.append(query), original(query))[1])
    controls = (
        "-n 3 --cross-share 0.5 --include-categories Dairy --include-categories Bakery "
        "--exclude-categories Milk --quota 2 --quotas Bread=1"
    )
    more = "--min-price 1 --max-price 9 --no-exclude-seen --no-in-stock --diversity 0.2 --placement for_you "
    more += "--offset 1 --include-items milk0 --include-items bread0 --exclude-items milk2"
    ask(capsys, "recommend", "m", "--history", "milk1", "--history", "bread2", *f"{controls} {more}".split())
    [query] = seen
    assert query.history == ("milk1", "bread2")
    assert (query.n, query.cross_share, query.diversity) == (3, 0.5, 0.2)
    assert (query.include_categories, query.exclude_categories) == (("Dairy", "Bakery"), ("Milk",))
    assert (query.include_items, query.exclude_items) == (("milk0", "bread0"), ("milk2",))
    assert query.offset == 1
    assert (query.quota, query.quotas) == (2, {"Bread": 1})
    assert (query.min_price, query.max_price) == (1, 9)
    assert (query.exclude_seen, query.in_stock) == (False, False)
    ask(capsys, "recommend", "m", "--user", "u0", "--cross-share", "auto")
    assert seen[-1].cross_share == "auto"
    assert seen[-1].exclude_seen is None


def test_items_in_view(capsys: pytest.CaptureFixture[str]) -> None:
    along = ask(capsys, "goes-with", "m", "--item", "milk1", "-n", "3")
    assert along["items"]
    assert all(not item["category"].startswith("Dairy") for item in along["items"])
    alike = ask(capsys, "similar", "m", "--item", "milk1", "-n", "3")
    assert "milk1" not in [item["item_id"] for item in alike["items"]]


def test_an_explanation_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    told = ask(capsys, "explain", "m", "--user", "u0", "--item", "bread1")
    amounts = [c["amount"] for c in told["contributions"]]
    assert sum(amounts) + told["other"] == pytest.approx(told["score"])
    for item in ("bread1", "milk2"):  # a column of words only where there are any
        asked = ["explain", "m", "--history", "milk1", "--item", item]
        words = [word for c in ask(capsys, *asked)["contributions"] for word in c["words"]]
        assert cli.run(asked) == 0
        lines = capsys.readouterr().out.splitlines()
        [head] = [line for line in lines if "of which" in line]
        assert head.endswith("shared words") == bool(words)
        assert any(line.startswith("score") for line in lines)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_an_explanation_is_that_of_the_list(placement: str, capsys: pytest.CaptureFixture[str]) -> None:
    beside = placement in ("goes_with", "similar")
    whose = ["--history", "milk1"] if beside else ["--user", "u0"]
    command = placement.replace("_", "-") if beside else "recommend"
    asked = ["--item", "milk1"] if beside else ["--user", "u0", "--placement", placement]
    first = ask(capsys, command, "m", *asked, "-n", "1")["items"][0]
    item = first["item_id"]
    told = ask(capsys, "explain", "m", *whose, "--item", item, "--placement", placement)
    assert told["score"] == pytest.approx(first["score"], rel=1e-5)
    assert sum(c["amount"] for c in told["contributions"]) + told["other"] == pytest.approx(told["score"])


def test_one_title_of_two_brands_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = tiny_shop()
    brands = ["Own" if row % 2 else "Famous" for row in range(shop.n_items)]
    items = shop.items.with_columns(title=pl.lit("White bread, 20 oz"), brand=pl.Series(brands))
    shop = replace(shop, items=items)
    ready = Recommender(shop, Blend(parts={"popularity": Popularity()}).fit(shop))
    monkeypatch.setattr(Recommender, "load", classmethod(lambda _cls, _folder: ready))
    assert cli.run(["recommend", "m", "--user", "u0", "--no-exclude-seen"]) == 0
    said = capsys.readouterr().out
    assert said.count("White bread, 20 oz, Own") == said.count("White bread, 20 oz, Famous") == 1


def test_notices_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["recommend", "m", "--user", "nobody"]) == 0
    assert "note: unknown user 'nobody': showing trending items instead" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("recommend m --user u0 -n 0", 2, "n must be at least 1 (found 0)"),
        ("recommend m --user u0 --cross-share much", 2, "--cross-share must be a number"),
        ("recommend m --user u0 --cross-share 2", 2, "cross_share must lie between 0 and 1"),
        (
            "recommend m --user u0 --quotas Milk=many",
            2,
            "--quotas must be CATEGORY=number (found 'Milk=many')",
        ),
        ("recommend m --user u0 --placement for_me", 2, "did you mean 'for_you'?"),
        (
            "recommend m --user u0 --include-categories Diary",
            1,
            "unknown category 'Diary' (did you mean 'Dairy'?)",
        ),
        ("recommend m --user u0 --include Dairy", 2, "--include (did you mean --include-categories?)"),
        ("recommend m --user u0 --sold-out", 2, "--sold-out (did you mean --in-stock/--no-in-stock?)"),
        ("recommend m --user u0 --min-price nan", 2, "--min-price must be a finite number (found nan)"),
        ("explain m --user u0 --item milk1 --placement simlar", 2, "did you mean 'similar'?"),
        ("explain m --user u0 --item milk1 --placement similar", 2, "needs at least one item in view"),
        ("goes-with m", 2, "Missing option '--item'"),
        ("goes-with m --item mlk1", 1, "unknown item 'mlk1' (did you mean 'milk1'?)"),
        ("explain m --item milk1", 2, "give either --user or --history"),
        ("explain m --item milk1 --user nobody", 1, "unknown user 'nobody'"),
    ],
)
def test_mistakes(arguments: str, code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments.split()) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["rank m --user u0 --items {}", "export m --out lists.csv --users {}"])
def test_a_list_of_ids_that_is_no_text_is_one_clear_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ids.txt"
    file.write_bytes(b"\xff\xfe1\n")
    assert cli.run(command.format(file).split()) == 2
    assert f"{file}: not UTF-8 text" in capsys.readouterr().err


def test_ids_are_tidied_as_an_import_tidies_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: Recommender
) -> None:
    seen = []
    original = model.recommend
    monkeypatch.setattr(model, "recommend", lambda query: (seen.append(query), original(query))[1])
    more = ("--exclude-items", "milk2\u200e ", "--include-items", "501.0", "--include-items", "milk3")
    ask(capsys, "goes-with", "m", "--item", " milk1\t", "--user", "u0 ", *more)
    ask(capsys, "recommend", "m", "--history", "bread  2", "--history", "501.0", "-n", "1")
    assert (seen[0].items, seen[0].user) == (("milk1",), "u0")
    assert (seen[0].include_items, seen[0].exclude_items) == (("501", "milk3"), ("milk2\u200e",))
    assert seen[1].history == ("bread 2", "501")
    assert ask(capsys, "explain", "m", "--user", " u0", "--item", "milk1 ")["item_id"] == "milk1"


def test_items_without_a_title_are_shown_by_brand_and_category(
    model: Recommender, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = model.dataset
    untitled = replace(shop, items=shop.items.with_columns(title=pl.lit(""), brand=pl.lit("Acme")))
    ready = Recommender(untitled, model.blend, repeats=True)
    monkeypatch.setattr(Recommender, "load", classmethod(lambda _cls, _folder: ready))
    assert cli.run(["recommend", "m", "--user", "u0", "-n", "3"]) == 0
    assert "Acme Milk" in capsys.readouterr().out


def test_a_cart_of_a_known_person_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["explain", "m", "--history", "milk0", "--item", "bread1"]
    found = ask(capsys, *asked, "--placement", "goes_with", "--user", "u0")
    assert found["item_id"] == "bread1"
    assert cli.run([*asked, "--user", "u0"]) == 2
    assert "give either --user or --history" in capsys.readouterr().err
