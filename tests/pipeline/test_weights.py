"""The question that weights of `discover` are chosen on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.splits.split import leave_last_out
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.shortlists import TuningTask
from crossaisle.models.tuning import tune
from crossaisle.pipeline.weights import FEW, choose_weights
from tests.models.shops import item_ids, tiny_shop

DEPARTMENTS = {"milk": "Food", "bread": "Food", "spade": "Home", "paint": "Home"}


def _newest(shop: Dataset, events: int) -> npt.NDArray[np.bool_]:
    """So few of each user that a category is left to be new."""
    return np.arange(len(shop.events)) % 8 >= 8 - events


def _fitted(shop: Dataset) -> dict[str, Scorer]:
    return {"item_knn": ItemKNN().fit(shop), "popularity": Popularity().fit(shop)}


def departments(dataset: Dataset) -> Dataset:
    """Two departments, of which everybody stays in one and changes the leaf category there."""
    paths = tuple(((DEPARTMENTS[name := item[:-1]], name),) for item in item_ids())
    return replace(dataset, taxonomy=Taxonomy(paths))


def test_where_nobody_enters_a_new_department_new_categories_are_those_of_the_finest_level() -> None:
    shop = departments(tiny_shop(users=3 * FEW))
    shop = shop.with_events(_newest(shop, 3))
    split = leave_last_out(shop)
    parts = _fitted(split.train)
    departments_only = TuningTask(split.validation, unseen=True, new=True)
    plain = tune(parts, {"discover": departments_only}, shop.taxonomy)["discover"]
    finest = tune(parts, {"discover": replace(departments_only, finest=True)}, shop.taxonomy)["discover"]
    assert not plain.chosen, "no case answers it"
    assert finest.chosen
    assert choose_weights(parts, split).weights["discover"] == finest.weights != plain.weights


def test_departments_it_is_where_enough_people_enter_new_ones() -> None:
    """Milk and bread are departments of their own, which people do change."""
    shop = tiny_shop(users=4 * FEW)
    names = tuple(((item[:-1], item),) for item in item_ids())
    shop = replace(shop, taxonomy=Taxonomy(names))
    shop = shop.with_events(_newest(shop, 3))
    split = leave_last_out(shop)
    parts = _fitted(split.train)
    task = TuningTask(split.validation, unseen=True, new=True)
    chosen = choose_weights(parts, split).weights["discover"]
    assert chosen == tune(parts, {"discover": task}, shop.taxonomy)["discover"].weights
