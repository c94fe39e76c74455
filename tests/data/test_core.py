"""Vocabulary, Taxonomy, Histories, Decay, Dataset and Query: the nouns everything else is written with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Histories
from crossaisle.data.query import Query
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.taxonomy import Taxonomy, parse_paths
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.errors import ConfigError, DataError, UnknownIdError
from tests.data.categories import all_names, vocabulary_of


@given(st.lists(st.text(max_size=5), unique=True))
def test_vocabulary_is_bijective(ids: list[str]) -> None:
    vocabulary = Vocabulary(ids)
    assert vocabulary.ids(vocabulary.rows(ids)) == ids
    assert [vocabulary.row(name) for name in ids] == list(range(len(ids)))
    assert vocabulary == Vocabulary(ids)
    assert hash(vocabulary) == hash(Vocabulary(ids))


def test_vocabulary_lookups() -> None:
    vocabulary = Vocabulary([1, 2, "three"], what="item")
    assert vocabulary.rows([2, "three", "four"]).tolist() == [1, 2, -1]
    assert vocabulary.get("four") == -1
    assert vocabulary.id(0) == "1"
    assert 1 in vocabulary
    assert repr(vocabulary) == "Vocabulary(3 items)"
    with pytest.raises(UnknownIdError, match=r"^unknown item 'thre'$") as found:
        vocabulary.row("thre")
    assert found.value.hint == " (did you mean 'three'?)"
    with pytest.raises(DataError, match="duplicate items"):
        Vocabulary(["a", "a"], what="item")


def test_taxonomy_codes_names_and_lookups() -> None:
    taxonomy = Taxonomy(
        (parse_paths("Hair > Oil"), parse_paths(["Kitchen > Oil", "Gifts"]), (), parse_paths("Hair"))
    )
    assert taxonomy.depth == 2
    assert taxonomy.codes(0).tolist() == [0, 1, -1, 0]
    assert taxonomy.names(1) == ("Hair > Oil", "Kitchen > Oil", "Hair")
    assert taxonomy.codes(-1).tolist() == taxonomy.codes(1).tolist() == [0, 1, -1, 2]
    assert taxonomy.codes(9).tolist() == taxonomy.codes(1).tolist()
    assert taxonomy.find("hair").tolist() == [0, 3]
    assert taxonomy.find("oil").tolist() == [0, 1]
    assert taxonomy.find("Kitchen > Oil").tolist() == [1]
    assert taxonomy.find("gifts").tolist() == [1]
    assert vocabulary_of(taxonomy, 0).all == ("Hair", "Kitchen")
    assert set(all_names(taxonomy)) == {"Hair", "Hair > Oil", "Kitchen", "Kitchen > Oil", "Gifts"}
    with pytest.raises(UnknownIdError, match=r"^unknown category 'kichen'$") as found:
        taxonomy.find("kichen")
    assert found.value.hint == " (did you mean 'Kitchen'?)"
    for wrong, meant in (("oyl", "Oil"), ("Kitchen > Oyl", "Kitchen > Oil")):
        with pytest.raises(UnknownIdError) as found:
            taxonomy.find(wrong)
        assert found.value.hint == f" (did you mean {meant!r}?)"
    assert parse_paths(None) == parse_paths([" > "]) == ()


def test_histories() -> None:
    histories = Histories.of(
        [[3, 1, 3], [], [2]], days=[[0.0, 5.0, 10.0], [], [10.0]], now=[10.0, 10.0, 10.0]
    )
    assert histories.lengths.tolist() == [3, 0, 1]
    assert histories.age.tolist() == [2, 1, 0, 0]
    assert histories.owner.tolist() == [0, 0, 0, 2]
    assert histories.last_item.tolist() == [3, -1, 2]
    assert histories.items_of(0).tolist() == [3, 1, 3]
    picked = histories.take([2, 0])
    assert picked.item.tolist() == [2, 3, 1, 3]
    assert picked.day.tolist() == [10.0, 0.0, 5.0, 10.0]
    assert len(histories.take(slice(1, 3))) == 2
    assert histories.matrix(None, 4).toarray().tolist() == [[0, 1, 0, 2], [0, 0, 0, 0], [0, 0, 1, 0]]
    weights = np.array([1, 2, 3, 4], np.float32)
    assert histories.matrix(weights, 4, combine="max").toarray()[0].tolist() == [0, 2, 0, 3]
    assert np.isnan(Histories.of([[1]]).day).all()


def test_carts_stand_behind_the_histories_of_their_users() -> None:
    own = Histories.of([[1, 2], [], [3]], days=[[1.0, 2.0], [], [3.0]], users=[7, 8, 9], now=[5.0, 5.0, 5.0])
    carts = Histories.of([[4], [5, 6], [7]])
    both = own.with_view(carts)
    assert [both.items_of(row).tolist() for row in range(3)] == [[1, 2, 4], [5, 6], [3, 7]]
    assert both.view_mask.tolist() == [False, False, True, True, True, False, True]
    assert both.user.tolist() == [7, 8, 9]
    for side, expected in ((both.own, own), (both.carts, carts)):
        assert side.in_view is None
        np.testing.assert_array_equal(side.item, expected.item)
        np.testing.assert_array_equal(side.indptr, expected.indptr)
    again = Histories.joined([both.take([0]), both.take([2, 1])])
    assert [again.items_of(row).tolist() for row in range(3)] == [[1, 2, 4], [3, 7], [5, 6]]
    np.testing.assert_array_equal(again.carts.item, [4, 7, 5, 6])
    assert carts.carts is carts
    assert own.own is own


def test_decay() -> None:
    histories = Histories.of([[0, 1, 2]], days=[[0.0, 5.0, 10.0]], now=[10.0])
    assert Decay(events=2.0).weights(histories) == pytest.approx(np.exp([-1.0, -0.5, 0.0]))
    assert Decay(half_life_days=5.0).weights(histories) == pytest.approx([0.25, 0.5, 1.0])
    both = Decay(events=2.0, half_life_days=5.0).weights(histories)
    assert both == pytest.approx(np.exp([-1.0, -0.5, 0.0]) * [0.25, 0.5, 1.0])
    assert Decay(half_life_days=5.0).weights(Histories.of([[0, 1]])).tolist() == [1.0, 1.0]


def test_dataset_views(shop: Dataset) -> None:
    ann = shop.user_ids.row("ann")
    histories = shop.histories([ann])
    assert shop.item_ids.ids(histories.items_of(0)) == [
        "bread",
        "butter",
        "jam",
        "bread",
        "butter",
        "bread",
        "milk",
    ]
    assert histories.now[0] == shop.histories().day.max()
    assert shop.histories(now=1.0).now.tolist() == [1.0] * 5
    assert shop.item_counts[shop.item_ids.row("bread")] == 5
    assert shop.matrix()[ann, shop.item_ids.row("bread")] == 1.0
    assert shop.matrix(binary=False)[ann, shop.item_ids.row("bread")] == 3.0
    assert shop.item_texts[0] == "White bread. Mill. Bakery > Bread"
    early = shop.with_events(shop.events.time < shop.events.time.max())
    assert (len(early.events), early.n_items) == (21, 10)
    assert shop.has_time


def test_cases_take(shop: Dataset) -> None:
    cases = EvalCases(shop.histories([0, 1]), np.array([0, 2, 3]), np.array([5, 6, 7], np.int32))
    part = cases.take(np.array([1]))
    assert (len(part), part.targets_of(0).tolist()) == (1, [7])
    assert len(cases.take(np.empty(0, np.int64))) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"placement": "for_yu"}, "did you mean 'for_you'"),
        ({"n": 0}, "n must be at least 1"),
        ({"cross_share": 1.5}, "between 0 and 1"),
        ({"cross_share": "half"}, "or 'auto'"),
        ({"diversity": -1}, "diversity"),
        ({"quota": 0}, "quota"),
        ({"min_price": 2, "max_price": 1}, "must not exceed"),
        ({"placement": "similar"}, "needs at least one item in view"),
    ],
)
def test_query_checks_itself(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Query(**wrong)  # type: ignore[arg-type]


def test_a_description_is_read_last(shop: Dataset) -> None:
    items = shop.items.with_columns(description=pl.lit("keeps for a week"))
    texts = replace(shop, items=items).item_texts
    assert all(text.endswith("keeps for a week") for text in texts)
