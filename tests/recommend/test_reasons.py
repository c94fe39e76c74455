"""The sentence names what carries the score, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from crossaisle.data.history import Histories
from crossaisle.data.kinds import PURCHASE
from crossaisle.models.base import Scorer
from crossaisle.recommend.explain import as_new, explain
from crossaisle.recommend.reasons import Cause, Kind
from crossaisle.recommend.wording.sentences import how_often, sentence
from crossaisle.recommend.wording.shared_words import once, telling
from tests.recommend.shop import SHOP
from tests.recommend.test_explain import Links, Words


class Given(Scorer):
    """A model whose evidence is given: amounts by item id, and what no item explains."""

    kind = "given"
    rest_reason = "popular"

    def __init__(self, amounts: dict[str, float], rest: float = 0.0) -> None:
        self.amounts, self.rest = amounts, rest

    def fit(self, dataset: object) -> Given:
        return self

    def score_rows(self, histories: Histories) -> np.ndarray:
        raise NotImplementedError

    def evidence(self, histories: Histories, item: int) -> tuple[np.ndarray, float]:
        ids = SHOP.item_ids.ids(histories.item)
        return np.array([self.amounts.get(str(i), 0.0) for i in ids], np.float32), self.rest


def why(
    amounts: dict[str, float], item: str, rest: float = 0.0, shop: object = SHOP, *, popular: bool = True
) -> tuple[str, list[Kind]]:
    history, row = Histories.of([SHOP.item_ids.rows(list(amounts))]), SHOP.item_ids.row(item)
    told = explain(shop, [(Given(amounts, rest), 1.0)], history, row, popular=popular)  # type: ignore[arg-type]
    assert all(cause.share >= 0.2 for cause in told.causes)
    for cause in told.causes:
        assert all(name in told.text for name in cause.names)
    return told.text, [cause.kind for cause in told.causes]


def test_popularity_is_named_where_it_carries_the_score() -> None:
    text, _ = why({"milk0": 0.1, "spade0": 0.05}, "bread0", rest=0.85)
    assert text == "Popular with other shoppers."


def test_popularity_is_not_named_of_what_few_people_buy() -> None:
    text, _ = why({"milk0": 0.25, "spade0": 0.05}, "bread0", rest=0.7, popular=False)
    assert text == "Because you bought fresh milk number 0."


def test_habit_is_named_and_small_items_beside_it_are_not() -> None:
    text, _ = why({"milk0": 0.9, "milk1": 0.05, "bread1": 0.05}, "milk0")
    assert text == "You bought it before."


@pytest.mark.parametrize(
    ("days", "text"),
    [
        ([100.0, 121.2, 142.0, 163.5], "You buy it about every three weeks."),
        ([165.0, 165.4, 166.0, 167.0, 168.0], "You buy it about once a day."),
        ([20.0, 80.0, 140.0, 165.0], "You buy it about every seven weeks."),
        ([100.0, 121.0, 142.0], "You bought it before."),  # too few to be called a habit
        ([100.0, 100.1, 142.0, 142.2], "You bought it before."),  # two days
        ([10.0, 20.0, 30.0, 40.0], "You bought it before."),  # months ago
    ],
)
def test_a_habit_is_told_by_its_days(days: list[float], text: str) -> None:
    row = SHOP.item_ids.row("milk0")
    history = Histories.of([[row] * len(days)], days=[days], now=[170.0])
    told = explain(SHOP, [(Given({"milk0": 1.0}), 1.0)], history, row, popular=False)
    assert told.text == text
    looked = replace(history, role=np.zeros(len(days), np.int8))
    assert explain(SHOP, [(Given({"milk0": 1.0}), 1.0)], looked, row).text == "You looked at it before."


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (1.2, "about once a day"),
        (2.4, "about every two days"),
        (9.0, "about once a week"),
        (30.0, "about every four weeks"),
        (60.0, "about every two months"),
        (400.0, "about every 13 months"),
    ],
)
def test_how_often_in_words(days: float, words: str) -> None:
    assert how_often(days) == words


def test_an_item_is_named_from_a_fifth_of_the_score_on() -> None:
    text, _ = why({"milk0": 0.25, "spade0": 0.15, "paint0": 0.15}, "bread0", rest=0.45)
    assert text == "Popular with other shoppers; also because you bought fresh milk number 0."
    text, _ = why({"milk0": 0.19, "spade0": 0.15, "paint0": 0.15}, "bread0", rest=0.51)
    assert text == "Popular with other shoppers."


def test_variants_of_one_group_are_one_reason() -> None:
    amounts = {"spade0": 0.15, "paint0": 0.15, "milk0": 0.1}
    assert why(amounts, "bread0", rest=0.6)[0] == "Popular with other shoppers."
    group = ["g" if name in ("spade0", "paint0") else None for name in SHOP.item_ids.all]
    grouped = replace(SHOP, items=SHOP.items.with_columns(group=pl.Series(group, dtype=pl.String)))
    name = SHOP.items["title"][SHOP.item_ids.row("spade0")]
    text, _ = why(amounts, "bread0", rest=0.6, shop=grouped)
    assert text == f"Popular with other shoppers; also because you bought {name}."


def test_many_small_items_of_one_category_are_named_by_it() -> None:
    many = {f"milk{i}": 0.15 for i in range(6)} | {"spade0": 0.1}
    text, kinds = why(many, "bread0")
    assert text == "Because you buy Milk."
    assert kinds == ["categories"]


def test_a_history_that_is_right_as_a_whole_is_named_as_a_whole() -> None:
    flat = {f"{name}{i}": 1 / 28 for name in ("milk", "bread", "spade", "paint") for i in range(6)}
    leaves = replace(SHOP.taxonomy, paths=tuple(((str(i),),) for i in range(SHOP.n_items)))
    text, kinds = why(flat, "bread5", rest=4 / 28, shop=replace(SHOP, taxonomy=leaves))
    assert kinds == ["history"]
    assert text == "Fits what you usually buy."


class Unnamed(Given):
    """What no item explains has a reason that has no words."""

    rest_reason = "something else"


def test_nothing_is_said_where_nothing_carries_enough() -> None:
    history = Histories.of([SHOP.item_ids.rows(["milk0", "bread1"])])
    parts = [(Unnamed({"milk0": 0.1, "bread1": 0.1}, 0.8), 1.0)]
    told = explain(SHOP, parts, history, SHOP.item_ids.row("spade0"))
    assert told.text == ""
    assert told.causes == ()


@pytest.mark.parametrize("score", [0.0, -1.0])
def test_a_score_of_nothing_has_no_cause(score: float) -> None:
    assert why({"milk0": score}, "bread0") == ("", [])


def named_alike() -> object:
    titles = SHOP.items["title"].to_list()
    for twin in ("milk1", "milk2"):
        titles[SHOP.item_ids.row(twin)] = titles[SHOP.item_ids.row("milk0")]
    return replace(SHOP, items=SHOP.items.with_columns(pl.Series("title", titles)))


def test_the_recommended_title_is_never_its_own_reason() -> None:
    text, kinds = why({"milk1": 0.6, "bread0": 0.4}, "milk0", shop=named_alike())
    assert kinds == ["namesake", "items"]
    assert text == "You bought another product with this name; also because you bought fresh bread number 0."


def test_items_of_one_name_count_together_and_are_named_once() -> None:
    text, _ = why({"milk0": 0.15, "milk1": 0.15, "spade0": 0.1}, "bread0", rest=0.6, shop=named_alike())
    assert text == "Popular with other shoppers; also because you bought fresh milk number 0."


def test_sizes_of_one_name_are_named_once() -> None:
    titles = {"spade0": "Chunky soup, 18 oz", "paint0": "Chunky soup, 19.5 oz", "milk0": "Milk, 1 gal"}
    called = [
        titles.get(name, title)
        for name, title in zip(SHOP.item_ids.all, SHOP.items["title"].to_list(), strict=True)
    ]
    sized = replace(SHOP, items=SHOP.items.with_columns(title=pl.Series(called)))
    text, kinds = why({"spade0": 0.4, "paint0": 0.3, "milk0": 0.3}, "bread0", shop=sized)
    assert text == "Because you bought Chunky soup and Milk."
    assert kinds == ["items"]
    # Another size of the recommended one is called what it is.
    text, kinds = why({"spade0": 0.7, "milk0": 0.3}, "paint0", shop=sized)
    assert text == "You bought another product with this name; also because you bought Milk."
    assert kinds == ["namesake", "items"]


def test_nothing_is_said_twice() -> None:
    titles = SHOP.items["title"].to_list()
    titles[SHOP.item_ids.row("milk0")] = "MILK"
    for name, title in (("spade0", "fresh bread"), ("spade1", "Fresh Bread")):
        titles[SHOP.item_ids.row(name)] = title
    shop = replace(SHOP, items=SHOP.items.with_columns(pl.Series("title", titles)))
    # The category is called Milk, as the item is; the other items of it are not named by it then.
    text, _ = why({"milk0": 0.4, "milk1": 0.15, "milk2": 0.15, "milk3": 0.15}, "bread0", rest=0.15, shop=shop)
    assert text == "Because you buy Dairy, and you bought MILK."
    # Two spellings of one name.
    text, _ = why({"spade0": 0.15, "spade1": 0.15, "milk1": 0.1}, "bread0", rest=0.6, shop=shop)
    assert text == "Popular with other shoppers; also because you bought fresh bread."
    told = explain(
        shop, [(Given({"milk0": 1.0}), 1.0)], Histories.of([[SHOP.item_ids.row("milk0")]]), 9, popular=False
    )
    assert as_new(told, "Milk").text == "New. Because you bought MILK."
    assert as_new(told, "Whey").text == "New, and similar to Whey. Because you bought MILK."
    assert sentence((), "for_you", link=("Milk", "milk")) == ""


def test_a_link_below_a_lift_of_one_and_a_half_is_not_said() -> None:
    class Weak(Links):
        def category_link(self, source: int, target: int) -> tuple[str, str, float] | None:
            return "Dairy", "Bakery", 1.4

    for model, said in ((Links(shrink=1.0), True), (Weak(shrink=1.0), False)):
        told = explain(
            SHOP,
            [(model.fit(SHOP), 1.0)],
            Histories.of([SHOP.item_ids.rows(["milk0"])]),
            SHOP.item_ids.row("bread2"),
        )
        assert ("people who shop" in told.text) == said


def test_words_are_said_where_words_carry_the_score() -> None:
    history, item = Histories.of([SHOP.item_ids.rows(["milk0"])]), SHOP.item_ids.row("bread2")
    loud, quiet = (Words(shrink=1.0).fit(SHOP), 1.0), (Words(shrink=1.0).fit(SHOP), 0.01)
    other = (Given({"milk0": 1.0}), 1.0)
    assert "shares the words" in explain(SHOP, [loud], history, item).text
    assert explain(SHOP, [quiet, other], history, item).text == "Because you bought fresh milk number 0."


def test_a_shared_brand_is_named_and_not_its_words() -> None:
    brands = ["Fresh Farm"] * SHOP.n_items
    branded = replace(SHOP, items=SHOP.items.with_columns(pl.Series("brand", brands)))
    history, item = Histories.of([SHOP.item_ids.rows(["milk0"])]), SHOP.item_ids.row("bread2")
    told = explain(branded, [(Words(shrink=1.0).fit(SHOP), 1.0)], history, item).text
    assert told.endswith("; also by Fresh Farm; shares the word number.")
    other = replace(SHOP, items=SHOP.items.with_columns(pl.Series("brand", ["Farm", *brands[1:]])))
    told = explain(other, [(Words(shrink=1.0).fit(SHOP), 1.0)], history, item).text
    assert "also by" not in told
    assert "farm" not in told.lower().split("number.")[-1]


def test_a_new_item_is_asked_for_its_brand_and_its_stand_in_for_no_words() -> None:
    """The models do not know the new item: they would look beyond their last row."""
    n, milk = SHOP.n_items, SHOP.item_ids.row("milk0")
    brand = pl.Series("brand", ["Fresh Farm"] * n)
    items = SHOP.items.with_columns(brand)
    new = items[milk].with_columns(pl.lit("new").alias("item_id"), pl.lit("fresh oat drink").alias("title"))
    grown = replace(
        SHOP,
        items=pl.concat([items, new]),
        item_ids=SHOP.item_ids.and_more(["new"]),
        taxonomy=SHOP.taxonomy.changed({}, [SHOP.taxonomy.paths[milk]]),
    )
    parts, item = [(Words(shrink=1.0).fit(SHOP), 1.0)], SHOP.item_ids.row("bread2")
    told = explain(grown, parts, Histories.of([[milk]]), item, known_as={milk: n}).text
    assert told == "Because you bought fresh oat drink; also by Fresh Farm."  # "number" is its stand-in's


@pytest.mark.parametrize(
    ("brand", "said"), [("", "shares the words fresh and number"), ("Freshco", "shares the word number")]
)
def test_a_piece_of_a_brand_is_no_word_that_titles_share(brand: str, said: str) -> None:
    """Titles abbreviate brands: "Scullers Men Scul Green Trousers"."""
    brands = pl.Series("brand", ["Other", *[brand] * (SHOP.n_items - 1)])
    branded = replace(SHOP, items=SHOP.items.with_columns(brands))
    history, item = Histories.of([SHOP.item_ids.rows(["milk0"])]), SHOP.item_ids.row("bread2")
    told = explain(branded, [(Words(shrink=1.0).fit(SHOP), 1.0)], history, item).text
    assert told.endswith(f"; {said}.")


def test_forms_of_one_word_are_said_once() -> None:
    words = [
        "kurti",
        "kurtis",
        "handbags",
        "handbag",
        "shoe",
        "shoes",
        "dress",
        "dresses",
        "berries",
        "berry",
    ]
    assert once(words) == ["kurti", "handbags", "shoe", "dress", "berries"]
    assert once(["bus", "busy", "牛奶", "牛"]) == ["bus", "busy", "牛奶", "牛"]


def test_words_are_words() -> None:
    found = telling(["tissue grocery", "bath", "34", "oz", "12 oz", "tissues", "x2", "gds", "Womens", "牛奶"])
    assert found == ["bath", "tissues", "牛奶"]


def test_causes_are_part_of_the_answer() -> None:
    told = explain(
        SHOP,
        [(Given({"milk0": 1.0}), 1.0)],
        Histories.of([SHOP.item_ids.rows(["milk0"])]),
        SHOP.item_ids.row("milk0"),
    )
    assert told.causes == (Cause("before", 1.0, deeds=(PURCHASE,)),)
    assert told.to_dict()["causes"][0]["kind"] == "before"
