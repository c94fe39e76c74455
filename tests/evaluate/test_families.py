"""A group of items counts once: among the answers, among the candidates, and in lists."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.splits.split import leave_last_out
from crossaisle.evaluate.families import NOTE, Families
from crossaisle.evaluate.ranking import rank_cases
from crossaisle.evaluate.results import evaluate
from crossaisle.evaluate.slices import slices_of
from tests.evaluate.shops import random_shop, shop

PATHS = ["Mugs", "Mugs", "Mugs", "Tea", "Tea", "Tea"]
GROUPS = ["mug", "mug", "", "tea", "tea", "tea"]


def grouped(data: Dataset, groups: list[str | None]) -> Dataset:
    return replace(data, items=data.items.with_columns(pl.Series("group", groups, dtype=pl.String)))


def test_families_are_those_of_which_a_list_shows_one() -> None:
    data = grouped(shop([(0, 0, 1)], PATHS), GROUPS)
    codes = Families.of_items(data.items).code.tolist()
    assert len(set(codes)) == 3
    assert codes[0] == codes[1]
    assert codes[3] == codes[4] == codes[5]
    titles = pl.Series("title", ["Milk, 1 gal", "Milk, 64 oz", "", "", "Tea", "Coffee"])
    by_title = Families.of_items(data.items.with_columns(titles).drop("group"))
    assert by_title.n == 5
    assert by_title.code[0] == by_title.code[1]


def test_ranks_and_lists_of_a_shop_worked_out_by_hand() -> None:
    data = grouped(shop([(0, 2, 1), (1, 3, 1)], PATHS), GROUPS)
    families = Families.of_items(data.items)
    # user 0 had the single mug 2; right are 1 (of the mugs) and 4, 5 (both of the teas)
    # user 1 had tea 3; right is 4, of the family of what was had
    cases = EvalCases(data.histories(), np.array([0, 3, 4]), np.array([1, 4, 5, 4], np.int32), mask_seen=True)
    scores = np.array([[0.9, 0.1, 0.8, 0.3, 0.2, 0.4], [0.1, 0.2, 0.5, 0.9, 0.4, 0.3]], np.float32)

    def score(asked: Histories) -> np.ndarray:
        return scores[asked.user]

    once = families.once(cases)
    assert once.target.tolist() == [1, 4, 4]
    assert once.target_indptr.tolist() == [0, 2, 3]
    slices = slices_of(once, data.taxonomy, data.item_counts)
    ranks = rank_cases({"m": score}, once, data.taxonomy, slices, k=3, families=families)["m"]
    # user 0: mugs .9 (by item 0), teas .4 (by item 5): both answers found by a twin
    # user 1: single mug .5, teas .4 (3 is masked, 4 stands for them), mugs .2
    assert ranks.rank["open"].tolist() == [1.0, 2.0, 2.0]
    assert ranks.candidates["open"].tolist() == [2, 3]
    assert ranks.lists.tolist() == [[0, 5, -1], [2, 4, 1]]
    alone = rank_cases(
        {"m": score}, cases, data.taxonomy, slices_of(cases, data.taxonomy, data.item_counts), k=3
    )
    assert alone["m"].rank["open"].tolist() == [5.0, 4.0, 2.0, 2.0]


@pytest.mark.parametrize("ties", [False, True])
def test_items_of_no_group_are_ranked_as_items(ties: bool) -> None:
    data = random_shop(3)
    data = replace(data, items=data.items.with_columns(pl.lit("").alias("title")))
    cases = leave_last_out(data).test
    table = np.random.default_rng(0).normal(size=(data.n_users, data.n_items)).astype(np.float32)
    table = np.round(table) if ties else table
    slices = slices_of(cases, data.taxonomy, data.item_counts)
    families = Families.of_items(data.items)
    assert families.n == data.n_items

    def score(asked: Histories) -> np.ndarray:
        return table[asked.user]

    one = rank_cases({"m": score}, cases, data.taxonomy, slices, k=5)["m"]
    other = rank_cases({"m": score}, families.once(cases), data.taxonomy, slices, k=5, families=families)["m"]
    for limit in one.rank:
        np.testing.assert_array_equal(one.rank[limit], other.rank[limit])
        np.testing.assert_array_equal(one.ties[limit], other.ties[limit])
        np.testing.assert_array_equal(one.candidates[limit], other.candidates[limit])
    np.testing.assert_array_equal(one.lists, other.lists)


def test_an_evaluation_says_what_it_counts() -> None:
    data = random_shop(4)
    data = grouped(data, [f"g{row // 2}" for row in range(data.n_items)])
    split = leave_last_out(data)
    table = np.random.default_rng(1).normal(size=(data.n_users, data.n_items)).astype(np.float32)
    scorers = {"m": lambda asked: table[asked.user]}
    items = evaluate(scorers, split, data, resamples=10)
    groups = evaluate(scorers, split, data, resamples=10, count="groups")
    assert (items.count, groups.count) == ("items", "groups")
    assert NOTE in groups.notes
    assert NOTE not in items.notes
    mine, theirs = groups.row("m", "all", "recall"), items.row("m", "all", "recall")
    assert mine is not None
    assert theirs is not None
    assert mine["value"] > theirs["value"]
    family = Families.of_items(data.items).code
    for row in groups.lists["m"]:
        shown = family[row[row >= 0]]
        assert len(set(shown.tolist())) == len(shown)
