"""Which leaf categories people surely buy together: by people, not by trips, and no substitutes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.knowledge.rules import Rule
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.leaf_lift import LeafLift
from crossaisle.models.scorers.popularity import Popularity
from tests.data.splits.test_carts import with_baskets
from tests.models.contract import ScorerContract

ITEMS = {
    "buns": ("Bakery", "Hot Dog Buns"),
    "buns2": ("Bakery", "Hot Dog Buns"),
    "sausage": ("Meat", "Sausages"),
    "sausage2": ("Meat", "Sausages"),
    "milk": ("Dairy", "Milk"),
    "batteries": ("Drug", "Batteries"),
    "cat food": ("Pets", "Cat Food"),
    "cola": ("Drinks", "Soft Drinks Bottle"),
    "cola can": ("Cans", "Soft Drinks Can"),
}


class TestContract(ScorerContract):
    weighs_fit = False  # baskets are read as sets
    weighs_query = False

    def make(self) -> LeafLift:
        return LeafLift(z=0.1)

    @pytest.fixture
    def shop(self) -> Dataset:
        return with_baskets()


class TestContractOfLeads(TestContract):
    def make(self) -> LeafLift:
        return LeafLift(z=0.1, lead=2)

    def test_the_group_that_buys_together_comes_first(self, fitted: Scorer) -> None:
        """Of milk alone one kind of bread is scored, and nothing of the garden."""
        scores = np.nan_to_num(fitted.score([["milk3", "milk4"]])[0])
        assert fitted.item_ids_.id(int(scores.argmax())).startswith("bread")
        assert (scores > 0).sum() == 1


def shop(called: Mapping[str, tuple[str, str]] = ITEMS) -> Dataset:
    """Forty people buy sausages with buns, and cola in bottles with cola in cans; one of them buys batteries
    with cat food forty times; milk is in every second trip."""
    trips: list[tuple[str, list[str]]] = []
    for person in range(40):
        trips += [(f"p{person}", ["buns", "sausage"]), (f"p{person}", ["cola", "cola can"])]
        trips += [
            (f"p{person}", ["milk"]),
            (f"p{person}", ["milk", "sausage2"] if person < 20 else ["milk", "buns2"]),
        ]
    trips += [("p0", ["batteries", "cat food"])] * 40
    lines = [(user, f"t{at}", item) for at, (user, items) in enumerate(trips) for item in items]
    events = pl.DataFrame(lines, schema=["user_id", "basket_id", "item_id"], orient="row")
    items = pl.DataFrame(
        {
            "item_id": list(called),
            "title": list(called),
            "categories": [list(path) for path in called.values()],
        }
    )
    return import_frames(items, events, category_level=0).dataset


SHOP = shop()
FITTED = LeafLift().fit(SHOP)


def scores(model: LeafLift, *cart: str) -> dict[str, float]:
    found = model.score_rows(Histories.of([SHOP.item_ids.rows(list(cart))]))[0]
    return dict(zip(SHOP.item_ids.all, found.tolist(), strict=True))


def test_what_many_people_buy_together_is_told_from_what_everybody_buys() -> None:
    found = scores(FITTED, "buns")
    assert found["sausage"] == found["sausage2"] > 0.3
    assert found["milk"] == 0.0


def test_the_trips_of_one_person_are_one_witness() -> None:
    assert (
        scores(FITTED, "batteries")["cat food"]
        < scores(LeafLift(z=0.0).fit(SHOP), "batteries")["cat food"] - 1.5
    )


def test_the_bound_is_what_the_counts_say() -> None:
    trips = SHOP.basket_matrix()
    n, both, buns = trips.shape[0], 40, 60
    expected = np.log((both + 1) * n / (buns * 60 + n)) - 1.64 / np.sqrt(40)
    assert scores(FITTED, "buns")["sausage"] == pytest.approx(expected, rel=1e-5)


def test_two_shelves_of_one_thing_do_not_go_together() -> None:
    assert scores(FITTED, "cola")["cola can"] == 0.0


def test_leads_are_one_product_of_each_kind_before_all_others() -> None:
    model = LeafLift(lead=2).fit(SHOP)
    found = scores(model, "buns")
    assert found.pop("sausage") > 1.0, "the one that sells better"
    assert set(found.values()) == {0.0}
    assert scores(LeafLift(lead=2, z=0.0).fit(SHOP), "buns", "sausage")["sausage"] == 0.0, "the cart has meat"


RULES = (
    Rule(kind="goes with", source="Hot Dog Buns", target="Pets", strength=0.8, direction="one way"),
    Rule(kind="goes with", source="Sausages", target="Hot Dog Buns", strength=0.9),
    Rule(kind="never with", source="Milk", target="Pets"),
)


def test_a_rule_speaks_where_there_are_no_baskets() -> None:
    told = LeafLift(rules=RULES, told=10.0).fit(SHOP)
    n, buns = SHOP.basket_matrix().shape[0], 60
    expected = np.log(10 * 5 * n / (buns * 40 + 10 * n)) - 1.64 / np.sqrt(10 * 5)
    assert scores(told, "buns")["cat food"] == pytest.approx(expected, rel=1e-5)
    assert scores(FITTED, "buns")["cat food"] == 0.0
    assert scores(told, "cat food")["buns"] == 0.0, "one way"
    assert scores(told, "milk")["cat food"] == 0.0
    rows = SHOP.item_ids.rows(["buns", "cat food", "sausage", "milk"])
    assert told.rule_between(rows[0], rows[1]) == RULES[0]
    assert told.rule_between(rows[1], rows[0]) is None
    assert told.rule_between(rows[0], rows[3]) is None


def test_a_line_about_a_category_is_about_what_it_mostly_sells() -> None:
    """Milk is in 80 trips, batteries in 40: the line holds half as firmly for these."""
    called = {
        **ITEMS,
        "milk": ("Shelf", "Milk"),
        "batteries": ("Shelf", "Batteries"),
        "string": ("Shelf", "String"),
    }
    rule = Rule(kind="goes with", source="Cat Food", target="Shelf", strength=0.8, direction="one way")
    about = shop(called)
    found = LeafLift(rules=(rule,), told=10.0, z=0.0).fit(about).lifts_.toarray()
    leaves = [path.split(" > ")[-1] for path in about.taxonomy.names(-1)]
    source, n = leaves.index("Cat Food"), about.basket_matrix().shape[0]
    milk = np.log(10 * 5 * n / (40 * 80 + 10 * n))
    batteries = np.log((40 + 5 * 5) * n / (40 * 40 + 5 * n))
    assert found[source, leaves.index("Milk")] == pytest.approx(milk, rel=1e-5)
    assert found[source, leaves.index("Batteries")] == pytest.approx(batteries, rel=1e-5)
    assert found[source, leaves.index("String")] == 0.0, "never sold"


def test_baskets_speak_where_there_are_many() -> None:
    weak, firm = (LeafLift(rules=RULES, told=told).fit(SHOP) for told in (0.1, 1000.0))
    counted = scores(FITTED, "sausage")["buns"]
    assert scores(weak, "sausage")["buns"] == pytest.approx(counted, abs=0.1)
    assert scores(firm, "sausage")["buns"] == pytest.approx(np.log(10), abs=0.1)
    rows = SHOP.item_ids.rows(["sausage", "buns"])
    assert weak.rule_between(*rows) is None, "what the baskets say is no news"
    assert firm.rule_between(*rows) == RULES[1]


def test_of_a_category_one_product_leads() -> None:
    """Two shelves of pets go with buns; the first one sells better."""
    items = {**ITEMS, "dog food": ("Pets", "Dog Food")}
    model = LeafLift(rules=RULES, told=50.0, lead=5).fit(shop(items))
    found = model.score_rows(Histories.of([[0]]))[0]
    names = list(items)
    assert sum(found[names.index(name)] > 0 for name in ("cat food", "dog food")) == 1


def test_a_model_that_was_saved_without_rules_is_read() -> None:
    settings, arrays = FITTED.state()
    del settings["rules"], settings["told"]
    old = {name: array for name, array in arrays.items() if not name.startswith("rule_")}
    again = LeafLift(**settings).restore(old, SHOP.item_ids)
    assert scores(again, "buns") == scores(FITTED, "buns")
    assert again.rule_between(0, 1) is None


def test_a_sample_of_users_is_counted_the_same_way() -> None:
    few = LeafLift(max_users=10, z=0.5).fit(SHOP)
    assert scores(few, "buns")["sausage"] > 0


def test_two_that_are_asked_differently_learn_the_same() -> None:
    every, leading = LeafLift(), LeafLift(lead=3, popular=0.1)
    assert leading.learns_like(every)
    assert not leading.learns_like(LeafLift(z=1.0))
    assert not leading.learns_like(Popularity())
    found = shop()
    taken = leading.sharing(every.fit(found))
    alone = LeafLift(lead=3, popular=0.1).fit(found)
    carts = Histories.of([[0], [2, 5]])
    np.testing.assert_array_equal(taken.score_rows(carts), alone.score_rows(carts))
