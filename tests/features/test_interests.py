import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.features.interests import MOST, interest_points
from crossaisle.features.space import ItemSpace, reduced
from tests.models.shops import item_ids, tiny_shop

ROW = {name: i for i, name in enumerate(item_ids())}


@pytest.fixture(scope="module")
def space() -> ItemSpace:
    return ItemSpace.of(tiny_shop())


def points(space: ItemSpace, *names: str, days: list[float] | None = None):
    rows = [[ROW[name] for name in names]]
    histories = Histories.of(rows, days=[days] if days else None, now=[100.0])
    return interest_points(histories, space, tiny_shop())[0]


def test_two_interests_are_two_points_in_words(space: ItemSpace):
    found = points(space, "milk0", "milk1", "milk2", "paint0", "paint1", "paint2")
    assert {p.label for p in found} == {"Milk", "Paint"}  # the titles say no more than their categories
    assert {frozenset(p.items.tolist()) for p in found} == {
        frozenset(ROW[f"{k}{i}"] for i in range(3)) for k in ("milk", "paint")
    }
    assert [p.share for p in found] == pytest.approx([0.5, 0.5])
    for point in found:
        assert np.linalg.norm(point.centre) == pytest.approx(1.0, abs=1e-6)
        cosines = space.vectors[point.items] @ point.centre
        assert (np.diff(cosines) <= 1e-6).all()


def test_newer_events_weigh_more(space: ItemSpace):
    names = ("milk0", "milk1", "milk2", "paint0", "paint1", "paint2")
    found = points(space, *names, days=[40.0, 40.0, 40.0, 100.0, 100.0, 100.0])
    assert [p.label.partition(":")[0] for p in found] == ["Paint", "Milk"]
    assert [p.share for p in found] == pytest.approx([2 / 3, 1 / 3])  # a half-life apart


def test_a_repeated_item_counts_as_often_as_it_came(space: ItemSpace):
    found = points(space, "milk0", "milk1", "milk2", "paint0", "paint1", "paint2", "paint0", "paint0")
    assert found[0].share == pytest.approx(5 / 8)


def test_few_items_are_one_point_and_none_are_none(space: ItemSpace):
    assert len(points(space, "milk0", "paint0")) == 1
    assert points(space) == ()


def test_never_more_than_asked_for(space: ItemSpace):
    found = points(space, *item_ids())
    assert 1 < len(found) <= MOST
    assert sum(p.share for p in found) <= 1.0 + 1e-9


def test_points_of_one_category_are_one(space: ItemSpace):
    found = points(space, *[name for name in item_ids() if name.startswith(("milk", "spade"))])
    assert len({p.label for p in found}) == len(found) == 2


def test_reduction_keeps_products_and_repeats_itself():
    from scipy import sparse

    rng = np.random.default_rng(0)
    low = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 80))
    matrix = sparse.csr_matrix(low.astype(np.float32))
    vectors = reduced(matrix)
    assert vectors.shape == (200, 32)
    assert vectors @ vectors.T == pytest.approx(low @ low.T, abs=1e-2)
    assert (reduced(matrix) == vectors).all()
