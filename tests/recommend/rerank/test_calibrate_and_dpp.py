"""Lists with the categories of their user, and lists that span as much as they can."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from crossaisle.data.query import Query
from crossaisle.errors import ConfigError
from crossaisle.recommend.rerank.arrange import arrange
from crossaisle.recommend.rerank.calibrate import SMOOTHING, Calibration, spread_of
from crossaisle.recommend.rerank.diversify import mmr
from crossaisle.recommend.rerank.dpp import dpp
from crossaisle.recommend.rerank.quota import Cap
from tests.recommend.shop import FITTED, SHOP


def kl(wanted: np.ndarray, shares: np.ndarray) -> float:
    """As Steck writes it."""
    smoothed = (1 - SMOOTHING) * shares + SMOOTHING * wanted
    some = wanted > 0
    return float((wanted[some] * np.log(wanted[some] / smoothed[some])).sum())


def test_distances_are_those_of_the_list_with_each_candidate() -> None:
    rng = np.random.default_rng(0)
    wanted = np.array([0.5, 0.3, 0.2, 0.0])
    codes = rng.integers(-1, 4, 40).astype(np.int32)
    balance = Calibration(wanted, codes, 0.5)
    standing = np.array([3, 7, 11])
    balance.add(standing)
    for at, found in enumerate(balance.distances().tolist()):
        taken = codes[[*standing, at]]
        shares = np.bincount(taken[taken >= 0], minlength=4) / 4
        assert found == pytest.approx(kl(wanted, shares), abs=1e-5)


def test_a_calibrated_page_has_the_wanted_spread() -> None:
    codes = np.repeat([0, 1, 2], 30).astype(np.int32)  # all of category 0 score highest
    scores = np.linspace(1, 0, 90).astype(np.float32)
    wanted = np.array([0.5, 0.3, 0.2])

    def counts(weight: float, depth: int = 10) -> list[int]:
        picks, _ = arrange(scores, 10, depth, calibration=Calibration(wanted, codes, weight))
        return np.bincount(codes[picks], minlength=3).tolist()

    assert counts(1.0) == [5, 3, 2]
    assert counts(1.0, depth=20) == [10, 6, 4], "pages go on from what stands before them"
    assert counts(0.001) == [10, 0, 0]


def test_no_other_list_of_ten_is_better_calibrated() -> None:
    """Greedy is not optimal in general; here all lists can be counted."""
    codes = np.repeat([0, 1, 2], 10).astype(np.int32)
    wanted = np.array([0.62, 0.27, 0.11])
    picks, _ = arrange(
        np.linspace(1, 0, 30).astype(np.float32), 10, calibration=Calibration(wanted, codes, 1.0)
    )
    best = min(kl(wanted, np.array([a, b, 10 - a - b]) / 10) for a in range(11) for b in range(11 - a))
    assert kl(wanted, np.bincount(codes[picks], minlength=3) / 10) == pytest.approx(best)


def test_the_spread_of_a_history_counts_events() -> None:
    codes = np.array([0, 0, 1, -1], np.int32)
    found = spread_of(codes, np.array([0, 0, 1, 2, 3], np.int32))
    assert found is not None
    assert found.tolist() == [0.75, 0.25]
    assert spread_of(codes, np.array([3], np.int32)) is None


def test_lists_of_users_are_calibrated_and_say_what_it_costs() -> None:
    # u0 buys from the kitchen only; the other half of the shop is allowed, too.
    plain = FITTED.recommend(Query(user="u0", n=4, exclude_seen=False))
    asked = FITTED.recommend(Query(user="u0", n=4, exclude_seen=False, calibration=1.0))
    own = Counter(
        SHOP.taxonomy.paths[row][0][0] for row in FITTED.histories.take([SHOP.user_ids.row("u0")]).item
    )
    found = Counter(item.category.split(" > ")[0] for item in asked)
    assert set(found) == set(own) == {"Dairy", "Bakery"}
    assert all(abs(found[name] / 4 - own[name] / 8) <= 0.125 for name in own)
    assert plain.relevance_kept == pytest.approx(1.0)
    assert asked.relevance_kept is not None
    assert asked.relevance_kept <= 1.0
    nobody = FITTED.recommend(Query(placement="trending", user="nobody", n=2, calibration=0.5))
    assert "calibration needs a history with known categories, so it is ignored" in nobody.notices


def cosines(n: int = 12, d: int = 5, seed: int = 0) -> np.ndarray:
    vectors = np.abs(np.random.default_rng(seed).normal(size=(n, d)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors @ vectors.T).astype(np.float32)


def log_det(scores: np.ndarray, similar: np.ndarray, chosen: list[int], diversity: float) -> float:
    relevance = (scores - scores[-1]) / (scores[0] - scores[-1])
    quality = np.exp((1 - diversity) / (2 * diversity) * relevance)
    kernel = quality[:, None] * similar.astype(np.float64) * quality
    return float(np.linalg.slogdet(kernel[np.ix_(chosen, chosen)])[1])


@pytest.mark.parametrize("diversity", [0.2, 0.6, 1.0])
def test_each_pick_of_a_dpp_adds_most_to_the_determinant(diversity: float) -> None:
    scores, similar = np.linspace(1, 0, 12).astype(np.float32), cosines()
    picks = dpp(scores, similar, 4, diversity).tolist()
    for at in range(1, 5):
        before = picks[: at - 1]
        gains = {i: log_det(scores, similar, [*before, i], diversity) for i in range(12) if i not in before}
        assert gains[picks[at - 1]] == pytest.approx(max(gains.values()), abs=1e-4)


def test_a_dpp_sees_what_stands_on_earlier_pages() -> None:
    scores, similar = np.ones(12, np.float32), cosines()
    whole = dpp(scores, similar, 4, 1.0).tolist()
    rest = [i for i in range(12) if i not in whole[:2]]
    before = similar[np.ix_(whole[:2], [*whole[:2], *rest])]
    second = dpp(scores[:10], similar[np.ix_(rest, rest)], 2, 1.0, before=before)
    assert [rest[at] for at in second.tolist()] == whole[2:]


def test_doubles_are_nothing_new_to_a_dpp() -> None:
    similar = np.ones((3, 3), np.float32)
    assert dpp(np.array([3, 2, 1], np.float32), similar, 3, 0.5).tolist() == [0]
    picks, _ = arrange(
        np.array([3, 2, 1], np.float32),
        3,
        diversity=0.5,
        similar=lambda left, right: similar[np.ix_(left, right)],
        method="dpp",
    )
    assert picks.tolist() == [0, 1, 2], "a list is filled up all the same"


def test_a_dpp_keeps_to_caps() -> None:
    cap = Cap(np.array([0] * 6 + [1] * 6, np.int32), np.array([1, 3]))
    picks = dpp(np.linspace(1, 0, 12).astype(np.float32), cosines(), 4, 0.3, [cap])
    assert (picks < 6).sum() == 1
    assert len(picks) == 4


def test_little_diversity_is_the_ranking_itself() -> None:
    scores, similar = np.linspace(1, 0, 12).astype(np.float32), cosines()
    for method in (mmr, dpp):
        assert method(scores, similar, 5, 1e-4).tolist() == [0, 1, 2, 3, 4]


def test_methods_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="diversify_by must be 'mmr' or 'dpp' \\(found 'pca'\\)"):
        Query(diversify_by="pca")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="calibration works with diversify_by 'mmr'"):
        Query(diversify_by="dpp", calibration=0.5)
    with pytest.raises(ConfigError, match="calibration must lie between 0 and 1"):
        Query(calibration=2.0)
