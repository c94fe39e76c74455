"""Which leaf categories people surely buy together: by people, not by trips, and no substitutes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.ingest.importer import import_frames
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


def shop() -> Dataset:
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
        {"item_id": list(ITEMS), "title": list(ITEMS), "categories": [list(path) for path in ITEMS.values()]}
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
