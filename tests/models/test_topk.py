import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossaisle.models.topk import top_k, union


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 4), width=st.integers(1, 400), data=st.data())
def test_top_k_against_a_stable_sort(seed: int, n: int, width: int, data: st.DataObject):
    k = data.draw(st.integers(1, width))
    steps = data.draw(st.sampled_from([0.5, 2.0, 1000.0]))
    missing = data.draw(st.sampled_from([0.0, 0.1, 0.97, 1.0]))
    rng = np.random.default_rng(seed)
    scores = (np.round(rng.normal(size=(n, width)) * steps) / steps).astype(np.float32)
    scores[rng.random(scores.shape) < missing] = -np.inf
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    expected = np.where(np.take_along_axis(scores, expected, axis=1) > -np.inf, expected, -1)
    assert np.array_equal(top_k(scores, k), expected)


def test_a_union_holds_each_row_once() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 50, n).astype(np.int32) for n in (0, 1, 40, 7)]
    found = union(parts)
    assert found.dtype == np.int32
    assert found.tolist() == sorted({row for part in parts for row in part.tolist()})
    assert union([]).tolist() == []


def test_the_best_of_no_items_are_none() -> None:
    assert top_k(np.zeros((2, 0), np.float32), 0).shape == (2, 0)
    assert top_k(np.zeros((2, 3), np.float32), 0).shape == (2, 0)
