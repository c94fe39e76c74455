"""Lists beside a cart follow the cart as far as recall allows."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.models.base import Scorer
from crossaisle.models.defaults import FIRST
from crossaisle.models.scorers.leaf_lift import LeafLift
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.shortlists import TuningTask
from crossaisle.pipeline.cart_weights import followed, led
from tests.models.scorers.test_leaf_lift import SHOP

PARTS: dict[str, Scorer] = {"popularity": Popularity(baskets=True).fit(SHOP)}
ITEMS = SHOP.item_ids


def task(cart: str, right: list[str]) -> TuningTask:
    rows = ITEMS.rows(right).astype(np.int32)
    cases = EvalCases(
        Histories.of([ITEMS.rows([cart])]), np.array([0, len(rows)]), rows, other_categories_only=True
    )
    return TuningTask(cases, unseen=True, new=True)


def test_what_goes_with_the_cart_comes_first_where_that_costs_nothing() -> None:
    first = LeafLift(lead=1).fit(SHOP)
    weights = led(PARTS, {"popularity": 1.0}, first, task("buns", ["sausage"]), SHOP.taxonomy)
    assert weights["popularity"] == 1.0
    scores = PARTS["popularity"].score_rows(Histories.of([ITEMS.rows(["buns"])]))
    assert weights[FIRST] > np.nanmax(scores) - np.nanmin(scores)
    assert first.lead >= 2


def test_no_place_is_given_to_the_cart_where_that_costs_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of one place, and in it the trip has what sells best."""
    monkeypatch.setattr("crossaisle.pipeline.cart_weights._K", 1)
    weights = led(
        PARTS, {"popularity": 1.0}, LeafLift(lead=1).fit(SHOP), task("buns", ["milk"]), SHOP.taxonomy
    )
    assert weights == {"popularity": 1.0}


def test_the_part_of_the_cart_counts_as_much_as_recall_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = PARTS | {"leaf": LeafLift().fit(SHOP)}
    free = followed(parts, {"popularity": 1.0}, "leaf", task("buns", ["sausage"]), SHOP.taxonomy)
    assert free["leaf"] == pytest.approx(2.8), "ten places hold everything: the largest that is tried"
    monkeypatch.setattr("crossaisle.pipeline.cart_weights._K", 1)
    paid = followed(parts, {"popularity": 1.0}, "leaf", task("buns", ["milk"]), SHOP.taxonomy)
    assert paid.get("leaf", 0.0) < free["leaf"]
    assert followed(PARTS, {"popularity": 1.0}, "leaf", task("buns", ["milk"]), SHOP.taxonomy) == {
        "popularity": 1.0
    }
