"""What a sentence sounds like: one "because", no list read wrongly, what is in view first."""

from __future__ import annotations

import pytest

from crossaisle.data.history import Histories
from crossaisle.data.kinds import CART, PURCHASE, VIEW
from crossaisle.recommend.explain import explain
from crossaisle.recommend.reasons import Cause
from crossaisle.recommend.wording.sentences import sentence
from tests.recommend.shop import SHOP
from tests.recommend.test_reasons import Given

MILK = Cause("items", 0.3, ("Milk",), deeds=(PURCHASE,))
KINDS = Cause("categories", 0.4, ("Grapes", "Bread and Buns"), deeds=(PURCHASE,))
POPULAR = Cause("popular", 0.3)
HABIT = Cause("before", 0.5, deeds=(PURCHASE,), every_days=7.0)
WHOLE = Cause("history", 0.5, deeds=(PURCHASE,))
LOOKED = Cause("categories", 0.3, ("Milk", "Eggs"), deeds=(VIEW,))


@pytest.mark.parametrize(
    ("causes", "text"),
    [
        ((KINDS, MILK), "Because you buy Grapes, and Bread and Buns, and you bought Milk."),
        (
            (MILK, POPULAR, KINDS),
            "Because you bought Milk, and you buy Grapes, and Bread and Buns; popular with other shoppers.",
        ),
        ((POPULAR, MILK), "Popular with other shoppers; also because you bought Milk."),
        ((HABIT, MILK), "You buy it about once a week; also because you bought Milk."),
        (
            (HABIT, Cause("namesake", 0.3, deeds=(PURCHASE,))),
            "You buy it about once a week; also another product with this name.",
        ),
        ((WHOLE, KINDS), "Fits what you usually buy, such as Grapes, and Bread and Buns."),
        (
            (WHOLE, KINDS, MILK),
            "Fits what you usually buy, such as Grapes, and Bread and Buns; also because you bought Milk.",
        ),
        ((WHOLE, LOOKED), "Fits what you usually buy; also because you look at Milk and Eggs."),
        (
            (Cause("items", 0.5, ("Milk", "Tea"), deeds=(CART, VIEW)),),
            "Because you put Milk in the cart and you looked at Tea.",
        ),
        (
            (Cause("popular", 1.0, of_family=True), Cause("before", 0.0, deeds=(PURCHASE,))),
            "Popular in several versions; you bought it before.",
        ),
    ],
)
def test_causes_in_words(causes: tuple[Cause, ...], text: str) -> None:
    assert sentence(causes, "for_you") == text


def test_a_cart_reads_clearly() -> None:
    cart = Cause("items", 0.9, ("Pudding and Gelatin Cups", "Frozen Breaded Chicken"), in_view=True)
    assert sentence((cart,), "goes_with") == (
        "Goes with Pudding and Gelatin Cups, and Frozen Breaded Chicken."
    )
    assert sentence((cart,), "goes_with", known="we pair Ties with Shirts").endswith(
        "; we pair Ties with Shirts."
    )


@pytest.mark.parametrize(
    ("cart", "text"),
    [
        (0.25, "Goes with fresh bread number 0; you bought it before; popular with other shoppers."),
        (0.15, "You bought it before; popular with other shoppers."),
    ],
)
def test_what_is_in_view_comes_first_from_a_fifth_of_the_score_on(cart: float, text: str) -> None:
    """Beside a cart a person is not told of habits first."""
    own = Histories.of([SHOP.item_ids.rows(["milk0"])])
    history = own.with_view(Histories.of([SHOP.item_ids.rows(["bread0"])]))
    model = Given({"milk0": 0.5, "bread0": cart}, 0.5 - cart)
    told = explain(SHOP, [(model, 1.0)], history, SHOP.item_ids.row("milk0"), "goes_with", popular=True)
    assert told.text == text
