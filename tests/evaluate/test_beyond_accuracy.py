import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.taxonomy import Taxonomy, parse_paths
from crossaisle.evaluate import beyond_accuracy as L

PATHS = ["A > x", "A > y", "B > z", "B > z", "", "A"]
TAXONOMY = Taxonomy(tuple(parse_paths(p) for p in PATHS))


def rows(*lists: list[int]) -> np.ndarray:
    return np.array(lists, np.int32)


def test_coverage_and_gini():
    assert L.coverage(rows([0, 1], [0, -1]), 4) == 0.5
    assert L.gini(rows([0, 1], [2, 3]), 4) == pytest.approx(0.0)
    assert L.gini(rows([0], [0]), 4) == pytest.approx(1.0)
    assert np.isnan(L.gini(rows([-1]), 4))


def test_novelty_is_self_information():
    counts = np.array([3, 3, 0, 0, 0, 0])  # with one added to each: 4, 4, 1, 1, 1, 1 of 12
    found = L.novelty(rows([0, 2], [0, -1], [-1, -1]), counts)
    assert found[0] == pytest.approx((np.log2(3) + np.log2(12)) / 2)
    assert found[1] == pytest.approx(np.log2(3))
    assert np.isnan(found[2])


@pytest.mark.parametrize(
    ("pair", "distance"),
    [((0, 0), 0.0), ((2, 3), 0.0), ((0, 1), 0.5), ((0, 2), 1.0), ((0, 5), 1 / 3), ((5, 5), 0.0)],
)
def test_category_diversity(pair: tuple[int, int], distance: float):
    assert L.category_diversity(rows(list(pair)), TAXONOMY)[0] == pytest.approx(distance)


def test_category_diversity_passes_over_unknown_categories():
    assert L.category_diversity(rows([0, 1, 4]), TAXONOMY)[0] == pytest.approx(0.5)
    assert np.isnan(L.category_diversity(rows([0, 4, -1]), TAXONOMY)[0])


def test_vector_diversity():
    vectors = np.array([[1, 0], [0, 2], [3, 0], [0, 0]], np.float32)
    found = L.vector_diversity(rows([0, 1, -1], [0, 2, 3], [0, 1, 2], [0, 3, -1]), vectors)
    assert found[:3] == pytest.approx([1.0, 0.0, 2 / 3])
    assert np.isnan(found[3])


def test_serendipity_is_relevant_and_not_obvious():
    cases = EvalCases(Histories.of([[], []]), np.array([0, 2, 3]), np.array([1, 2, 0], np.int32))
    found = L.serendipity(rows([1, 2, 3, 4], [0, -1, -1, -1]), cases, rows([1, 5], [-1, -1]))
    assert found.tolist() == [0.25, 1.0]


def test_outside_history():
    histories = Histories.of([[0], [], [4]])
    found = L.outside_history(rows([1, 2, 4, 3], [0, 1, 2, 3], [0, 1, 2, -1]), histories, TAXONOMY)
    assert found[0] == 0.5  # two of B; the item of unknown category does not count as outside
    assert np.isnan(found[1])
    assert found[2] == 1.0


def test_calibration():
    histories = Histories.of([[0, 2], [0], []])
    found = L.calibration(rows([1, 3], [2, 3], [0, 1]), histories, TAXONOMY)
    assert found[0] == pytest.approx(0.0)
    assert found[1] == pytest.approx(-np.log(0.01))  # nothing of A: only the smoothing is left
    assert np.isnan(found[2])


def test_category_flow():
    table, names = L.category_flow(rows([2, 0], [3, 4]), Histories.of([[1], [0]]), TAXONOMY)
    assert names == ("A", "B")
    assert table.tolist() == [[1, 2], [0, 0]]
