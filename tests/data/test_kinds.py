"""What kinds of events mean, and what of a log still stands."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from crossaisle.config import DataConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.kinds import (
    DEFAULTS,
    POSITIVE,
    ROLES,
    WEIGHTS,
    Kinds,
    _words,
    look_like_ratings,
    low_rating,
)
from crossaisle.data.storage import load_dataset, save_dataset
from crossaisle.decode import build
from crossaisle.errors import ConfigError, DataError

HOUR = 3600
START = 1_700_000_000


def shop(*rows: tuple[Any, ...], **settings: Any) -> Dataset:
    """Events (user, item, hour, kind, and value or quantity) of ann and others."""
    names = ["user_id", "item_id", "time", "kind", "value", "quantity"]
    full = [(u, i, START + int(h * HOUR), *rest, *[None] * (3 - len(rest))) for u, i, h, *rest in rows]
    frame = pl.DataFrame(full, schema=names, orient="row", strict=False)
    return import_frames(
        None, frame.drop("value", "quantity") if settings.pop("bare", False) else frame, **settings
    ).dataset


def standing(*rows: tuple[Any, ...]) -> list[str]:
    """What stands of ann's events (item, hour, kind, ...): "item kind"; "not item" where she is against."""
    # milk keeps the shop from being empty
    made = shop(("zoe", "milk", 0.0, "purchase"), *(("ann", *row) for row in rows))
    ann, events = made.user_ids.row("ann"), made.events
    mine = events.user == ann
    stands = [
        f"{made.item_ids.id(item)} {made.kinds[kind]}"
        for item, kind in zip(events.item[mine], events.kind[mine], strict=True)
    ]
    against = made.against
    return stands + ([] if against is None else [f"not {made.item_ids.id(item)}" for item in against.item])


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("view", "view"),
        ("Detail-Page-View", "view"),
        ("view_item", "view"),
        ("Add to Cart", "cart"),
        ("addtocart", "cart"),
        ("purchase-complete", "purchase"),
        ("transaction", "purchase"),
        ("add_to_wishlist", "favourite"),
        ("star", "favourite"),
        ("remove_from_cart", "remove"),
        ("refund", "return"),
        ("not-interested", "dislike"),
        ("view_item_list", "ignored"),
        ("wishlist_added", "favourite"),
        ("Product Added to Basket", "cart"),
        ("item_viewed", "view"),
        ("deleted_from_bag", "remove"),
        ("completed order", "purchase"),
        ("Order Refunded", "return"),
        ("Product List Viewed", "ignored"),
        ("cart viewed", "ignored"),
    ],
)
def test_usual_names_are_known(name: str, role: str) -> None:
    assert Kinds().meaning(name).role == role


@pytest.mark.parametrize("name", ["product", "my_orders", "view_review", "order_viewed", "returned_to_cart"])
def test_words_of_known_kinds_make_no_other_kind_known(name: str) -> None:
    assert not Kinds().meaning(name).known


def test_no_two_meanings_have_the_same_words() -> None:
    roles: dict[frozenset[str], set[str]] = {}
    for name, role in DEFAULTS.items():
        if words := _words(name):
            roles.setdefault(words, set()).add(role)
    assert {words: role for words, role in roles.items() if len(role) > 1} == {}


def test_every_role_has_names_and_those_of_interest_weights() -> None:
    assert set(DEFAULTS.values()) == set(ROLES)
    assert tuple(WEIGHTS) == POSITIVE
    assert list(WEIGHTS.values()) == sorted(WEIGHTS.values())


def test_a_shop_names_its_own() -> None:
    config = build(
        DataConfig, {"kinds": {"Order line": "purchase", "wish": {"means": "favourite", "weight": 0.3}}}, "x"
    )
    kinds = Kinds.of(config)
    assert kinds.meaning("order-line").role == "purchase"
    assert kinds.meaning("wish").weight == 0.3
    assert Kinds.read(kinds.to_dict()) == kinds


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"a": "lofe"}, r"\[data.kinds.a\]: means: unknown value 'lofe' \(known: view"),
        ({"a": {"mean": "view"}}, "unknown key 'mean'"),
        ({"a": {"means": "view", "weight": -1}}, "weight: must be at least 0"),
        (3, "kinds: must be a table"),
    ],
)
def test_a_wrong_table_of_kinds_is_explained(given: Any, rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        build(DataConfig, {"kinds": given}, "[data]")


def test_a_return_takes_its_purchase_back() -> None:
    assert standing(("mug", 1, "purchase"), ("mug", 2, "return")) == ["not mug"]
    twice = ("mug", 1, "purchase"), ("mug", 2, "purchase"), ("mug", 3, "return")
    assert standing(*twice) == ["mug purchase"]
    assert standing(*twice, ("mug", 4, "return")) == ["not mug"]
    assert standing(("mug", 2, "return")) == ["not mug"]


def test_a_negative_quantity_is_a_return_of_so_many() -> None:
    made = shop(("ann", "mug", 1, "purchase", None, 3.0), ("ann", "mug", 2, "purchase", None, -1.0))
    assert made.events.quantity.tolist() == [2.0]
    assert standing(("mug", 1, "purchase", None, 3.0), ("mug", 2, "purchase", None, -3.0)) == ["not mug"]


@pytest.mark.parametrize(
    ("bought", "returned", "left"),
    [
        (2.0, [1.0], [1.0]),
        (2.0, [1.0, 1.0], []),
        (0.3, [0.1, 0.1, 0.1], []),
        (0.3, [0.2, 0.1], []),
        (1.5, [0.5, 0.25], [0.75]),
        (2.0, [3.0], []),
    ],
)
def test_a_purchase_returned_bit_by_bit(bought: float, returned: list[float], left: list[float]) -> None:
    rows = [("mug", 1, "purchase", None, bought)]
    rows += [("mug", 2 + n, "return", None, units) for n, units in enumerate(returned)]
    made = shop(("zoe", "milk", 0.0, "purchase"), *(("ann", *row) for row in rows))
    mine = made.events.user == made.user_ids.row("ann")
    assert made.events.quantity[mine].tolist() == left
    assert standing(*rows) == (["mug purchase"] if left else ["not mug"])


def test_of_one_moment_the_return_comes_last() -> None:
    assert standing(("mug", 1, "return"), ("mug", 1, "purchase")) == ["not mug"]


def test_a_removal_takes_its_cart_back_and_nothing_else() -> None:
    before = ("mug", 1, "view"), ("mug", 2, "cart"), ("mug", 3, "remove_from_cart")
    assert standing(*before) == ["mug view"]
    assert standing(*before, ("mug", 4, "purchase")) == ["mug view", "mug purchase"]


def test_a_dislike_takes_out_all_before_until_something_stronger_than_a_look() -> None:
    before = ("mug", 1, "purchase"), ("pan", 1, "purchase"), ("mug", 5, "dislike")
    assert standing(*before) == ["pan purchase", "not mug"]
    assert standing(*before, ("mug", 6, "view")) == ["pan purchase", "not mug"]
    assert standing(*before, ("mug", 6, "cart")) == ["pan purchase", "mug cart"]


def test_low_ratings_are_dislikes() -> None:
    rows = [("mug", 1, "rating", 5.0), ("pan", 1, "rating", 1.0), ("pot", 1, "rating", 3.0)]
    assert standing(*rows) == ["mug rating", "pot rating", "not pan"]


def test_looks_within_half_an_hour_are_one() -> None:
    assert standing(*(("mug", h, "view") for h in (1.0, 1.2, 1.6))) == ["mug view"]
    assert standing(("mug", 1, "view"), ("pan", 1.1, "view"), ("mug", 1.2, "view")) == [
        "pan view",
        "mug view",
    ]
    assert standing(("mug", 1, "view"), ("mug", 2, "view")) == ["mug view"] * 2
    assert standing(("mug", 1, "purchase"), ("mug", 1.1, "purchase")) == ["mug purchase"] * 2


def test_kinds_weigh_as_shares_of_the_strongest_and_a_doubling_changes_nothing() -> None:
    rows = [("ann", "mug", 1, "view"), ("ann", "pan", 2, "sale")]
    kinds = {"view": {"means": "view", "weight": 0.1}, "sale": {"means": "purchase", "weight": 0.5}}
    doubled = {name: {**one, "weight": 2 * one["weight"]} for name, one in kinds.items()}
    for given in (kinds, doubled):
        weight = shop(*rows, kinds=given).events.weight
        assert weight is not None
        np.testing.assert_allclose(weight, [0.2, 1.0])


def test_a_weight_of_zero_is_as_if_the_event_had_not_come() -> None:
    rows = [("ann", "mug", 1, "purchase"), ("ann", "pan", 2, "look"), ("bob", "pan", 2, "purchase")]
    made = shop(*rows, kinds={"look": {"means": "view", "weight": 0.0}})
    assert made.events.weight is None
    assert len(made.events) == 2
    assert len(made.raw.events) == 3


def test_purchases_alone_are_left_as_they_are() -> None:
    made = shop(("ann", "mug", 1, "purchase"), ("ann", "mug", 2, "purchase"), bare=True)
    assert made.events.weight is None
    assert made.log is None
    assert made.against is None
    histories = made.histories()
    assert histories.weight is histories.role is histories.disliked is None


def test_what_is_not_known_yet_is_not_taken_back_yet() -> None:
    made = shop(("ann", "mug", 1, "purchase"), ("bob", "mug", 2, "purchase"), ("ann", "mug", 5, "return"))
    assert len(made.events) == 1
    assert len(made.before(START + 3 * HOUR).events) == 2


def test_saved_and_read_again(tmp_path: Any) -> None:
    made = shop(
        ("ann", "mug", 1, "purchase"),
        ("ann", "pan", 2, "view"),
        ("ann", "pot", 2, "cart"),
        ("ann", "mug", 5, "return"),
    )
    save_dataset(made, tmp_path)
    again = load_dataset(tmp_path)
    assert again.meanings == made.meanings
    assert again.against is not None
    for name in ("item", "kind", "weight"):
        np.testing.assert_array_equal(getattr(again.events, name), getattr(made.events, name))


def test_unknown_kinds_count_for_nothing_and_are_named() -> None:
    rows = pl.DataFrame(
        {"user_id": ["a", "a", "b"], "item_id": ["x", "y", "x"], "kind": ["purchase", "hmm", "purchase"]}
    )
    done = import_frames(None, rows)
    assert len(done.dataset.events) == 2
    assert any("unknown kinds of events are not counted: 'hmm' (1)" in one for one in done.report["warnings"])
    with pytest.raises(
        DataError, match=r"none of 1 events says what a user wants: unknown kinds 'hmm' \(1\); say in"
    ):
        import_frames(None, rows[1:2])


def test_stars_are_told_from_prices() -> None:
    assert look_like_ratings(np.array([1.0, 5.0, 4.5, np.nan]))
    assert not look_like_ratings(np.array([1.99, 5.0]))
    assert not look_like_ratings(np.array([5.0, 5.0]))
    assert not look_like_ratings(np.array([1.0, 40.0]))
    assert not look_like_ratings(np.array([], float))
    for values, bound in (([0, 1], 0.5), ([1, 5], 3.0), ([2, 9], 5.5), ([80, 20], 50.5), ([], 3.0)):
        assert low_rating(np.array(values, float)) == bound


def test_a_log_of_stars_has_its_low_ones_as_dislikes() -> None:
    rows = pl.DataFrame({"user_id": ["a", "a", "b"], "item_id": ["x", "y", "x"], "value": [5, 1, 4]})
    done = import_frames(None, rows)
    assert done.dataset.kinds == ("rating",)
    assert len(done.dataset.events) == 2
    assert any("looks like ratings" in one for one in done.report["warnings"])
    assert import_frames(None, rows, default_kind="purchase").dataset.against is None


def test_targets_are_of_the_strongest_kind_that_is_frequent_enough() -> None:
    many = [(f"u{i}", "mug", i, "view") for i in range(60)]
    few = [(f"u{i}", "mug", i + 0.5, "cart") for i in range(50)]
    made = shop(*many, *few, ("u1", "mug", 99, "purchase"))
    wanted = {made.kinds[kind] for kind in made.events.kind[made.wanted]}
    assert wanted == {"cart"}
