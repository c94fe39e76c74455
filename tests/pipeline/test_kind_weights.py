"""Weights of kinds follow what foretells: here carts do and looks do not."""

from __future__ import annotations

from datetime import date
from functools import partial

import numpy as np
import pytest

from benchmarks.kinds import TEST, VALIDATION, planted
from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import import_frames
from crossaisle.pipeline.fit import fit, split_of
from crossaisle.pipeline.kind_weights import weigh_kinds

SPLIT = SplitConfig(validation=VALIDATION, test=TEST)


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return import_frames(*planted(260, 1)).dataset


@pytest.mark.slow
def test_carts_weigh_more_than_looks(shop: Dataset) -> None:
    found = weigh_kinds(shop, partial(split_of, config=SPLIT))
    weights = {name: found.dataset.meanings.meaning(name).weight for name in shop.kinds}
    assert weights["purchase"] >= weights["add-to-cart"] > 2 * weights["view"] > 0
    assert weights["return"] == 0
    assert "the weights that best predict a purchase on validation" in found.notes[0]
    assert len(found.dataset.events) == len(shop.events)


def test_targets_are_purchases_that_stand(shop: Dataset) -> None:
    split = split_of(shop, SPLIT)
    assert any("targets are of the kind purchase" in note for note in split.notes)
    asked = split.test
    for row in range(0, len(asked), 9):
        user = asked.histories.user[row]
        own = shop.events.user == user
        bought = set(shop.events.item[own & shop.wanted].tolist())
        assert set(asked.targets_of(row).tolist()) <= bought


def test_weights_that_a_shop_gives_are_kept() -> None:
    given = {"view": {"means": "view", "weight": 0.4}, "add-to-cart": {"means": "cart", "weight": 0.6}}
    shop = import_frames(*planted(260, 1), kinds=given).dataset
    found = weigh_kinds(shop, partial(split_of, config=SPLIT)).dataset.meanings
    assert (found.meaning("view").weight, found.meaning("add-to-cart").weight) == (0.4, 0.6)


def test_few_cases_choose_nothing() -> None:
    shop = import_frames(*planted(30, 1)).dataset
    found = weigh_kinds(shop, partial(split_of, config=SPLIT))
    assert found.dataset is shop
    assert "too few to tune them" in found.notes[0]


@pytest.mark.slow
def test_what_is_chosen_is_served(shop: Dataset) -> None:
    fitted = fit(shop, split_config=SPLIT, model_config=ModelConfig(encoder="none", pictures="none"))
    served = fitted.to_serve(shop)
    assert served.dataset.meanings == fitted.past.dataset.meanings
    assert served.dataset.meanings.chosen
    weight = served.dataset.events.weight
    assert weight is not None
    assert len(np.unique(weight)) > 1
    assert fitted.split.notes[-1].startswith(("kinds weigh", "items of the history"))
    assert date(2024, 2, 10) == TEST
