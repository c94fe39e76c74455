"""`Knowledge`: rules of people as scores."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.data.knowledge.rules import Rule
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.knowledge import Knowledge
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop

PAIRS = (
    Rule(kind="goes with", source="Milk", target="Bread", strength=0.8, reason="breakfast"),
    Rule(kind="goes with", source="Dairy", target="Dairy", strength=0.5),
    Rule(kind="goes with", source="Bakery > Bread", target="Bakery", strength=0.5),
    Rule(kind="goes with", source="Tools", target="Paint", strength=0.8),
    Rule(kind="goes with", source="Garden", target="Garden", strength=0.5),
    Rule(kind="goes with", source="Hardware", target="Hardware", strength=0.5),
    Rule(kind="never with", source="Milk", target="Paint"),
)


class TestKnowledge(ScorerContract):
    weighs_fit = False
    scores_cold = True

    def make(self) -> Scorer:
        return Knowledge(rules=PAIRS)


def scores(rules: tuple[Rule, ...], history: list[str], items: list[str]) -> list[float]:
    found = Knowledge(rules=rules).fit(tiny_shop()).score([history], items)[0]
    return [round(float(v), 4) for v in found]


def test_a_strength_is_a_lift_and_lifts_of_a_cart_add_up() -> None:
    rules = (
        Rule(kind="goes with", source="Milk", target="Paint", strength=0.8, direction="one way"),
        Rule(kind="goes with", source="bread1", target="Paint", strength=0.5, direction="one way"),
    )
    assert scores(rules, ["milk0"], ["paint0", "paint5", "bread1"]) == [round(np.log(5), 4)] * 2 + [0.0]
    both = (np.log(5) + np.log(2)) / np.sqrt(2)
    assert scores(rules, ["milk0", "bread1"], ["paint0"]) == [round(both, 4)]
    assert np.isnan(scores(rules, ["bread0"], ["paint0"])).all(), "nothing is known of it"


def test_one_way_is_not_both_ways() -> None:
    one = Rule(kind="goes with", source="Milk", target="Paint", direction="one way")
    assert np.isnan(scores((one,), ["paint0"], ["milk0"])).all()
    both = Rule(kind="goes with", source="Milk", target="Paint", direction="both")
    assert scores((both,), ["paint0"], ["milk0"]) == [round(np.log(2), 4)]


def test_the_strongest_line_counts_and_gives_the_reason() -> None:
    rules = (
        Rule(kind="goes with", source="Dairy", target="Bakery", strength=0.5, reason="wide"),
        Rule(kind="goes with", source="milk0", target="Bread", strength=0.9, reason="narrow"),
    )
    model = Knowledge(rules=rules).fit(tiny_shop())
    assert scores(rules, ["milk0"], ["bread0"]) == [round(np.log(10), 4)]
    rows = {name: tiny_shop().item_ids.row(name) for name in ("milk0", "milk1", "bread0", "paint0")}
    assert model.rule_between(rows["milk0"], rows["bread0"]) == rules[1]
    assert model.rule_between(rows["milk1"], rows["bread0"]) == rules[0]
    assert model.rule_between(rows["milk1"], rows["paint0"]) is None


def test_staples_go_with_everything_and_are_the_rest_of_the_evidence() -> None:
    shop = tiny_shop()
    model = Knowledge(rules=(Rule(kind="staple", source="Milk", strength=0.5),)).fit(shop)
    cart = Histories.of([shop.item_ids.rows(["paint0"])])
    milk, bread = shop.item_ids.rows(["milk3", "bread3"])
    assert model.score_rows(cart)[0, [milk, bread]] == pytest.approx([np.log(2), 0.0])
    events, rest = model.evidence(cart, int(milk))
    assert not events.any()
    assert rest == pytest.approx(np.log(2))
    assert np.isnan(model.score_rows(Histories.of([[]]))).all()


def test_a_sure_rule_is_not_infinite() -> None:
    rules = (Rule(kind="goes with", source="Milk", target="Bread", strength=1.0),)
    assert scores(rules, ["milk0"], ["bread0"]) == [round(np.log(20), 4)]


def test_of_equal_scores_popular_items_are_retrieved() -> None:
    shop = tiny_shop()
    model = Knowledge(rules=(Rule(kind="goes with", source="Milk", target="Bread"),)).fit(shop)
    [rows] = model.retrieve(Histories.of([shop.item_ids.rows(["milk0"])]), 2)
    bread = np.array([i for i, name in enumerate(shop.item_ids.all) if name.startswith("bread")])
    assert sorted(shop.item_counts[rows]) == sorted(shop.item_counts[bread])[-2:]


def test_rules_that_name_nothing_of_the_shop_are_left_out() -> None:
    rules = (Rule(kind="goes with", source="Milk", target="Wine"),)
    model = Knowledge(rules=rules).fit(tiny_shop())
    assert np.isnan(model.score([["milk0"]])).all()
    assert model.settings()["rules"][0]["target"] == "Wine", "kept for a shop that will have it"
