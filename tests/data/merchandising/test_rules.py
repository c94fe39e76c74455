"""A merchandiser's rules as data: what a file may say, and what is said of one that may not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.knowledge.naming import HINTS
from crossaisle.data.merchandising.matching import check_names, matched
from crossaisle.data.merchandising.rules import MerchandisingRule, RuleSet, read_rule_file
from crossaisle.data.merchandising.shown import check
from crossaisle.data.query import Placement
from crossaisle.errors import ConfigError, UnknownIdError
from crossaisle.pipeline.fit import fit
from tests.models.shops import tiny_shop

SHOP = tiny_shop()


def written(folder: Path, text: str) -> Path:
    path = folder / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_in_the_order_of_ids(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [[rule]]
        id = "tools"
        action = "boost"
        items = ["Tools", "words:fresh paint"]
        weight = 3
        placements = ["for_you", "discover"]
        since = 2026-03-01
        until = "2026-05-31"
        reason = "spring"

        [[rule]]
        id = "apart"
        action = "never-with"
        items = "Paint"
        beside = "Dairy"
        direction = "one way"
        """,
    )
    apart, tools = read_rule_file(path).rules
    assert apart == MerchandisingRule(
        id="apart", action="never-with", items=("Paint",), beside=("Dairy",), direction="one way"
    )
    assert (tools.factor, tools.placements) == (3.0, ("for_you", "discover"))
    assert (tools.since, tools.until) == (date(2026, 3, 1), date(2026, 5, 31))
    assert RuleSet.of([tools.to_dict(), apart.to_dict()], "again").rules == (apart, tools)


def test_a_rule_holds_where_and_when_it_says() -> None:
    rule = MerchandisingRule(
        id="a",
        action="never",
        items=("Milk",),
        placements=("similar",),
        since=date(2026, 1, 1),
        until=date(2026, 1, 2),
    )
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]
    assert [rule.holds("similar", day) for day in days] == [False, True, True, False]
    assert not rule.holds("for_you", days[1])


RULE = {"id": "a", "action": "never", "items": ["Milk"]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"action": "nevr"}, "rule 'a': action: unknown value 'nevr' (did you mean 'never'?)"),
        ({"untill": "2026-01-01"}, "unknown key 'untill' (did you mean 'until'?)"),
        ({"until": "1.1.2026"}, "until must be a day such as 2026-12-31 (found '1.1.2026')"),
        ({"since": "2026-02-01", "until": "2026-01-01"}, "since must not be later than until"),
        ({"placements": ["foryou"]}, "unknown value 'foryou' (did you mean 'for_you'?)"),
        ({"items": []}, "items must name at least one category"),
        ({"items": ["Words: "]}, "items: 'Words:' needs at least one word"),
        ({"items": [" "]}, "items: a name must have 1 to 500 characters (found ' ')"),
        ({"id": "two words"}, "id must be up to 64 letters"),
        ({"action": "pin"}, "pin needs position: 1 is the first place"),
        ({"action": "pin", "position": 0}, "position must lie between 1 and 100 (found 0)"),
        ({"position": 2}, "position is for pin, not for never"),
        ({"weight": 2}, "weight is for boost and bury, not for never"),
        ({"action": "boost", "weight": 1}, "weight must be above 1 and at most 1000 (found 1)"),
        ({"action": "only-with"}, "only-with needs beside"),
        ({"beside": ["Bread"]}, "beside is for only-with and never-with, not for never"),
        ({"direction": "one way"}, "direction is for never-with, not for never"),
        ({"reason": "x" * 501}, "reason must have at most 500 characters (found 501)"),
    ],
)
def test_what_a_rule_may_not_say(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RuleSet.of([RULE | change], "rules.toml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("rules.toml, rule ")
    assert "\n" not in str(caught.value)


def test_what_a_set_may_not_hold() -> None:
    with pytest.raises(ConfigError, match=r"f: two rules are called 'a': ids must differ"):
        RuleSet.of([RULE, RULE], "f")
    with pytest.raises(
        ConfigError, match=r"all rules together must hold at most 10,000 names \(found 11,000\)"
    ):
        RuleSet.of([RULE | {"id": f"r{n}", "items": ["Milk"] * 1000} for n in range(11)], "f")
    with pytest.raises(ConfigError, match=r"at most 1,000 rules \(found 1,001\)"):
        RuleSet.of([RULE | {"id": f"r{n}"} for n in range(1001)], "f")
    pin = {"id": "p", "action": "pin", "items": ["milk1"], "position": 1}
    with pytest.raises(ConfigError, match=r"rules 'p' and 'q' pin the same place 1"):
        RuleSet.of([pin, pin | {"id": "q"}], "f")
    apart = [pin | {"until": "2026-01-01"}, pin | {"id": "q", "since": "2026-01-02"}]
    assert len(RuleSet.of(apart, "f")) == 2, "never on the same day"
    places = [pin | {"placements": ["similar"]}, pin | {"id": "q", "placements": ["for_you"]}]
    assert len(RuleSet.of(places, "f")) == 2


def test_what_is_no_file_of_rules(tmp_path: Path) -> None:
    for text, said in [
        ("rule = 3", "must be a list of rules (found 3)"),
        ("[rules]\n", "unknown key 'rules' (did you mean 'rule'?): each rule is a table [[rule]]"),
        ("[[rule]]\naction = 'never'", "rule 1: id is missing"),
        ("[[rule", "not TOML"),
    ]:
        with pytest.raises(ConfigError) as caught:
            read_rule_file(written(tmp_path, text))
        assert said in str(caught.value)
    with pytest.raises(ConfigError, match="no such file"):
        read_rule_file(tmp_path / "no.toml")


def test_rules_are_put_and_taken_by_id() -> None:
    rules = RuleSet.of([RULE], "f")
    other = MerchandisingRule(id="b", action="never", items=("Bread",))
    both = rules.with_rule(other)
    assert [rule.id for rule in both.rules] == ["a", "b"]
    changed = both.with_rule(both.get("a").changed({"items": ["Paint"], "reason": "why"}))
    assert changed.get("a") == MerchandisingRule(id="a", action="never", items=("Paint",), reason="why")
    assert changed.get("a").changed({"reason": None}).reason == ""
    assert changed.without("a").rules == (other,)
    with pytest.raises(UnknownIdError, match="no rule 'c'"):
        rules.get("c")


def named(*items: str) -> set[str]:
    [found] = matched(RuleSet.of([RULE | {"items": list(items)}], "f"), SHOP)
    return set(SHOP.item_ids.ids(found.items))


def test_names_are_categories_items_and_words() -> None:
    milk = {f"milk{i}" for i in range(6)}
    assert named("Dairy") == named("category:dairy > milk") == named("words:FRESH milk") == milk
    assert named("item:milk2") == named("milk2") == named("words:milk 2") == {"milk2"}
    assert named("words:number milk", "bread1") == milk | {"bread1"}
    assert named("words:mil") == set(), "whole words only"


def test_words_are_whole_and_may_hold_any_sign() -> None:
    titles = ["Cola 6pk/4pk can", "Cola (6pk)", "50% off cola-light", "colas"]
    shop = replace(SHOP, items=SHOP.items.with_columns(title=SHOP.items["title"].scatter(range(4), titles)))
    cases = {
        "cola": [0, 1, 2],
        "cola cola": [0, 1, 2],
        "6pk/4pk cola": [0],
        "6pk": [0, 1],
        "(6pk)": [1],
        "50%": [2],
        "light off": [2],
    }
    for words, rows in cases.items():
        [found] = matched(RuleSet.of([RULE | {"items": [f"words:{words}"]}], "f"), shop)
        assert found.items.tolist() == rows, words


def test_hints_are_looked_up_for_the_first_unknown_names_only() -> None:
    [found] = matched(RuleSet.of([RULE | {"items": ["Mlik"] * (HINTS + 1)}], "f"), SHOP)
    assert len(found.unknown) == HINTS + 1
    assert found.unknown[HINTS - 1] == "unknown category or item 'Mlik' (did you mean 'Milk'?)"
    assert found.unknown[HINTS] == "unknown category or item 'Mlik'"


def test_a_needed_field_cannot_be_taken_away() -> None:
    with pytest.raises(ConfigError, match="rule 'a': action is missing"):
        MerchandisingRule.of(RULE, "f").changed({"action": None})


def test_words_of_scripts_without_spaces() -> None:
    items = SHOP.items.with_columns(title=SHOP.items["title"].scatter([0, 1], ["有机牛奶 1 l", "牛油"]))
    shop = replace(SHOP, items=items)
    [found] = matched(RuleSet.of([RULE | {"items": ["words:牛奶"]}], "f"), shop)
    assert found.items.tolist() == [0]


def test_a_name_that_the_shop_does_not_have_is_one_clear_line() -> None:
    with pytest.raises(ConfigError) as caught:
        check_names(RuleSet.of([RULE | {"items": ["Mlik", "Bred"]}], "f"), SHOP, "rules.toml")
    assert str(caught.value) == (
        "rules.toml, rule 'a': unknown category or item 'Mlik' (did you mean 'Milk'?); "
        "1 more unknown name(s): crossaisle rules check lists them all"
    )
    check_names(RuleSet.of([RULE | {"items": ["words:nothing"]}], "f"), SHOP, "words may match later")


def test_check_says_what_each_rule_matches(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [[rule]]
        id = "a"
        action = "never"
        items = ["Milk", "words:no such"]
        [[rule]]
        id = "b"
        action = "boost"
        items = ["Dairy", "Brd"]
        [[rule]]
        id = "c"
        action = "bury"
        items = ["milk1"]
        [[rule]]
        id = "d"
        action = "never-with"
        items = ["Paint"]
        beside = ["paint1"]
        """,
    )
    found = check(path, SHOP)
    counts = {rule["id"]: rule["matches"] for rule in found.rules}
    assert counts == {"a": 6, "b": 6, "c": 1, "d": 6}
    assert found.rules[0]["notices"] == ["words:no such: no title has these words"]
    assert found.rules[3]["notices"] == ["1 item(s) are on both sides and never appear together"]
    assert all(title.startswith("fresh milk number") for title in found.rules[0]["examples"])
    assert found.unknown == ("rule 'b': unknown category or item 'Brd' (did you mean 'Bread'?)",)
    assert [line.split(" are about ")[0] for line in found.contradictions] == [
        "rules 'a' and 'b'",
        "rules 'b' and 'c'",
    ]
    assert "never wins over boost" in found.contradictions[0]
    assert "both weights count" in found.contradictions[1]


@pytest.mark.parametrize("written_so", ["2026-06-01T10:30:00", "2026-06-01 10:30:00Z", "10:30:00"])
def test_a_time_is_not_cut_to_its_day(tmp_path: Path, written_so: str) -> None:
    path = written(
        tmp_path, f"[[rule]]\nid = 'a'\naction = 'never'\nitems = ['Milk']\nuntil = {written_so}\n"
    )
    with pytest.raises(ConfigError, match=r"rules\.toml, rule 'a': until must be a day such as 2026"):
        read_rule_file(path)


def test_what_is_over_is_said_to_be(tmp_path: Path) -> None:
    text = "[[rule]]\nid = '{}'\naction = 'never'\nitems = ['Milk']\n{}\n"
    days = {"a": "until = 2020-01-01", "b": "since = 2999-01-01", "c": "since = 2020-01-01"}
    path = written(tmp_path, "".join(text.format(name, day) for name, day in days.items()))
    found = check(path, SHOP)
    assert [rule["state"] for rule in found.rules] == ["over", "later", "holds"]
    [rule] = read_rule_file(path).rules[:1]
    assert [rule.state(date(2020, 1, day)) for day in (1, 2)] == ["holds", "over"]


def test_an_unknown_name_is_told_with_its_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[[rule]]\nid = 'a'\naction = 'never'\nitems = ['Mikl']\n")
    rules = read_rule_file(path)
    assert rules.where == str(path)
    plain = ModelConfig(encoder="none", sequence="off", ranker=False)
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}, rule 'a': unknown .*'Mikl'"):
        fit(SHOP, split_config=SplitConfig(), model_config=plain, merchandising=rules)


def pin(id: str, *placements: Placement, **more: Any) -> MerchandisingRule:
    given = {"action": "pin", "items": ("Milk",), "position": 1, "placements": placements}
    return MerchandisingRule(id=id, **{**given, **more})


def test_pins_of_one_place_meet_where_two_of_them_do() -> None:
    """Beside the comparison of every pair, on drawn rules."""
    rng = np.random.default_rng(0)
    names: list[Placement] = ["for_you", "discover", "similar"]
    met = 0
    for _ in range(300):
        rules = []
        for n in range(int(rng.integers(2, 5))):
            first, last = sorted(int(day) for day in rng.integers(1, 28, 2))
            limits = {"since": date(2026, 1, first), "until": date(2026, 1, last)}
            kept = {name: day for name, day in limits.items() if rng.random() < 0.8}
            where = [name for name in names if rng.random() < 0.4]
            rules.append(pin(f"r{n}", *where, position=int(rng.integers(1, 3)), **kept))
        pairs = [(a.id, b.id) for a, b in combinations(rules, 2) if a.position == b.position and a.meets(b)]
        met += bool(pairs)
        if not pairs:
            RuleSet(tuple(rules))
            continue
        with pytest.raises(ConfigError, match="pin the same place") as problem:
            RuleSet(tuple(rules))
        assert any(f"rules {a!r} and {b!r} pin" in str(problem.value) for a, b in pairs)
    assert 50 < met < 290
