"""Each sentence is true of whoever it is said to: what was done, by whom, with what, and what is in view."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.kinds import CART, FAVOURITE, PURCHASE, RATING, VIEW
from crossaisle.data.query import PLACEMENTS, Placement, Query
from crossaisle.recommend.explain import explain
from crossaisle.recommend.recommender import Recommender
from tests.recommend.shop import SHOP, recommender
from tests.recommend.test_reasons import Given, named_alike

DID = {
    PURCHASE: ("You bought {}", "You bought it before"),
    VIEW: ("You looked at {}", "You looked at it before"),
    CART: ("You put {} in the cart", "You put it in the cart before"),
    FAVOURITE: ("You liked {}", "You liked it before"),
    RATING: ("You liked {}", "You liked it before"),
    -1: ("You chose {}", "You chose it before"),
}
"""By what was done; -1: a session, of which nobody knows."""
MILK = "fresh milk number 0"


def said(
    own: dict[str, int], view: tuple[str, ...], item: str, placement: Placement, *, popular: bool = False
) -> str:
    """The sentence beside an item that every item of the history and in view speaks for alike.

    `own`: item -> what was done with it. milk0, milk1 and milk2 have one name.
    """
    history = Histories.of([SHOP.item_ids.rows(list(own))])
    history = replace(history, role=np.array(list(own.values()), np.int8))
    if view:
        history = history.with_view(Histories.of([SHOP.item_ids.rows(list(view))]))
    amounts = dict.fromkeys([*own, *view], 1.0)
    model = Given(amounts, rest=0.0 if amounts else 1.0)
    told = explain(
        named_alike(),  # type: ignore[arg-type]
        [(model, 1.0)],
        history,
        SHOP.item_ids.row(item),
        placement,
        popular=popular,
    )
    return told.text


@pytest.mark.parametrize("deed", DID)
def test_reasons_from_the_own_history_say_what_was_done(deed: int) -> None:
    past, before = DID[deed]
    assert said({"milk0": deed}, (), "milk0", "for_you") == f"{before}."
    assert (
        said({"milk1": deed}, (), "milk0", "for_you") == past.format("another product with this name") + "."
    )
    because = past.format(MILK)
    assert said({"milk0": deed}, (), "bread0", "for_you") == f"Because {because[0].lower()}{because[1:]}."


SEEN: list[tuple[Placement, str, str, str]] = [
    ("similar", "milk1", "milk0", "Has the same name."),
    ("goes_with", "milk1", "milk0", "Has the same name."),
    ("similar", "bread0", "milk0", "Similar to fresh bread number 0."),
    ("goes_with", "bread0", "milk0", "Goes with fresh bread number 0."),
]


@pytest.mark.parametrize(("placement", "view", "item", "text"), SEEN)
def test_what_is_in_view_was_not_bought(placement: Placement, view: str, item: str, text: str) -> None:
    assert said({}, (view,), item, placement) == text
    known = said({"spade0": PURCHASE}, (view,), item, placement)
    assert known == text.replace(".", "; also because you bought fresh spade number 0.")


def test_a_twin_in_the_cart_and_one_that_was_bought_are_told_apart() -> None:
    text = said({"milk1": PURCHASE}, ("milk2",), "milk0", "goes_with")
    assert text == "Has the same name; you bought another product with this name."


def test_only_what_is_popular_is_called_popular() -> None:
    assert said({}, (), "milk0", "trending", popular=True) == "Popular with other shoppers."
    assert said({}, (), "milk0", "trending") == ""
    shop = recommender()
    called = SHOP.item_ids.ids(np.flatnonzero(shop.ranker.is_popular))
    assert 0 < len(called) <= 6
    most = sorted(range(SHOP.n_items), key=lambda row: -shop.ranker.popularity[row])
    assert set(called) == set(SHOP.item_ids.ids(most[: len(called)]))
    for shown in shop.recommend(Query(placement="trending", n=30, in_stock=False, explain=True)):
        assert shown.evidence
        assert (shown.evidence.text == "Popular with other shoppers.") == (shown.item_id in called)


def test_where_all_sell_alike_nothing_is_popular() -> None:
    once = SHOP.with_events(
        np.isin(np.arange(len(SHOP.events)), np.unique(SHOP.events.item, return_index=True)[1])
    )
    assert not recommender(once).ranker.is_popular.any()


def test_a_new_item_and_the_one_that_stands_in_for_it_are_two() -> None:
    """The history holds spade0, which stands in for a new product: nobody bought spade0 itself."""
    history = Histories.of([SHOP.item_ids.rows(["spade0"])])
    row, new = SHOP.item_ids.row("spade0"), SHOP.item_ids.row("paint0")
    parts = [(Given({"spade0": 1.0}), 1.0)]
    assert explain(SHOP, parts, history, row).text == "You bought it before."
    told = explain(SHOP, parts, history, row, known_as={row: new})
    assert told.text == "Because you bought fresh paint number 0."
    assert explain(SHOP, parts, history, new, known_as={row: new}).text == "You bought it before."


@pytest.mark.parametrize("what", ["Cigarettes", "Scratch lottery tickets", "Newspaper", "Coupon/Misc Items"])
def test_smoking_lotteries_and_lines_of_the_till_are_no_reason(what: str) -> None:
    paths = list(SHOP.taxonomy.paths)
    for at in range(6):
        paths[SHOP.item_ids.row(f"paint{at}")] = (("Shop", what),)
    shop = replace(SHOP, taxonomy=replace(SHOP.taxonomy, paths=tuple(paths)))
    for amounts in ({"paint0": 0.6, "milk0": 0.4}, {f"paint{i}": 0.15 for i in range(5)} | {"milk0": 0.25}):
        history, row = Histories.of([SHOP.item_ids.rows(list(amounts))]), SHOP.item_ids.row("bread0")
        told = explain(shop, [(Given(amounts), 1.0)], history, row)
        names = [name for cause in told.causes for name in cause.names]
        assert names == ["fresh milk number 0"]
    own = explain(
        shop,
        [(Given({"paint0": 1.0}), 1.0)],
        Histories.of([[SHOP.item_ids.row("paint0")]]),
        SHOP.item_ids.row("paint0"),
    )
    assert own.text == "You bought it before."


# Every list of a shop


def twins() -> Dataset:
    """Of each kind three products have one name."""
    titles = [str(title)[:-1] + str(int(str(title)[-1]) // 3) for title in SHOP.items["title"]]
    return replace(SHOP, items=SHOP.items.with_columns(pl.Series("title", titles)))


def check(text: str, item: str, shop: Recommender, query: Query) -> None:
    """Fails unless every clause that can be looked up is so."""
    ids, title = (
        shop.dataset.item_ids,
        dict(zip(shop.dataset.item_ids.all, shop.dataset.items["title"], strict=True)),
    )
    own: set[str] = set()
    if query.history is not None:
        own = set(query.history)
    elif query.user is not None:
        own = set(ids.ids(shop.history_of(query.user).item))
    names = {title[i] for i in own}
    did = "chose" if query.history is not None else "bought"
    for clause in filter(None, text.rstrip(".").split("; ")):
        clause = clause[0].lower() + clause[1:]
        if clause == f"you {did} it before":
            assert item in own
        elif clause == f"you {did} another product with this name":
            assert title[item] in {title[i] for i in own - {item}}
        elif found := re.fullmatch(rf"because you {did} (.+)", clause):
            assert set(found[1].split(" and ")) <= names - {title[item]}
        elif found := re.fullmatch(r"(goes with|similar to) (.+)", clause):
            assert found[1] == {"goes_with": "goes with", "similar": "similar to"}[query.placement]
            assert set(found[2].split(" and ")) <= {title[i] for i in query.items}
        elif clause == "has the same name":
            assert title[item] in {title[i] for i in query.items}
        elif clause == "popular with other shoppers":
            assert shop.ranker.is_popular[ids.row(item)]
        else:
            assert re.match(r"because you (buy|choose) |fits what you ", clause), clause
            assert own


@pytest.mark.parametrize("repeats", [False, True])
def test_every_sentence_of_every_list_is_true(repeats: bool) -> None:
    shop = recommender(twins(), repeats=repeats)
    whose: list[dict[str, object]] = [
        {"user": "u0"},
        {"user": "u7"},
        {"user": "stranger"},
        {},
        {"history": ("milk0", "spade1")},
    ]
    told = 0
    for placement, who in product(PLACEMENTS, whose):
        view = ("milk0", "bread2") if placement in ("goes_with", "similar") else ()
        query = Query(placement=placement, items=view, n=24, explain=True, one_per_title=False, **who)  # type: ignore[arg-type]
        for shown in shop.recommend(query):
            assert shown.evidence
            check(shown.evidence.text, shown.item_id, shop, query)
            told += bool(shown.evidence.text)
    assert told > 150
