import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossaisle.evaluate.metrics import (
    AT_K,
    Relevant,
    auc,
    average_precision,
    f1,
    hr,
    mrr,
    ndcg,
    precision,
    recall,
)


def one(*ranks: float) -> Relevant:
    return Relevant(np.zeros(len(ranks), np.int64), np.array(ranks, float), 1)


def middle_ranks(scores: np.ndarray) -> np.ndarray:
    above = (scores[None, :] > scores[:, None]).sum(axis=1)
    level = (scores[None, :] == scores[:, None]).sum(axis=1)
    return above + (level + 1) / 2


def test_values_known_by_hand():
    relevant = one(1, 3, 20)
    assert recall(relevant, 10)[0] == pytest.approx(2 / 3)
    assert recall(relevant, 2)[0] == pytest.approx(1 / 2)
    assert precision(relevant, 10)[0] == pytest.approx(0.2)
    assert f1(relevant, 10)[0] == pytest.approx(2 * 0.2 * (2 / 3) / (0.2 + 2 / 3))
    assert hr(relevant, 1)[0] == 1.0
    assert mrr(one(4, 9), 10)[0] == 0.25
    assert mrr(one(4), 3)[0] == 0.0
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert ndcg(relevant, 10)[0] == pytest.approx((1 + 0.5) / ideal)
    assert average_precision(relevant, 10)[0] == pytest.approx((1 / 1 + 2 / 3) / 3)
    assert auc(one(1, 4), np.array([5]))[0] == pytest.approx(1 - 2 / 6)


def test_cases_without_a_target_are_absent_not_zero():
    relevant = Relevant(np.array([1]), np.array([1.0]), 3)
    for name, metric in AT_K.items():
        assert np.isnan(metric(relevant, 5)[[0, 2]]).all(), name
    assert np.isnan(auc(relevant, np.array([9, 9, 9]))[[0, 2]]).all()


def test_no_target_at_all():
    relevant = Relevant(np.empty(0, np.int64), np.empty(0), 2)
    for name, metric in AT_K.items():
        assert np.isnan(metric(relevant, 5)).all(), name


def test_a_missed_target_scores_nothing():
    for name, metric in AT_K.items():
        assert metric(one(np.inf), 5)[0] == 0.0, name
    assert auc(one(np.inf), np.array([7]))[0] == 0.0
    assert auc(one(1, np.inf), np.array([7]))[0] == 0.5


@given(targets=st.integers(1, 6), k=st.integers(1, 12))
def test_a_perfect_ranking_is_one(targets: int, k: int):
    perfect = one(*range(1, targets + 1))
    for name in ("recall", "ndcg", "hr", "mrr", "map"):
        assert AT_K[name](perfect, k)[0] == pytest.approx(1.0), name
    assert auc(perfect, np.array([targets + 5]))[0] == 1.0


def ranked(scores: np.ndarray, truth: np.ndarray) -> Relevant:
    """One case: targets where `truth`, among all items."""
    level = (scores[None, :] == scores[:, None]).sum(axis=1)
    m = int(truth.sum())
    return Relevant(np.zeros(m, np.int64), middle_ranks(scores)[truth], 1, level[truth])


@given(
    scores=st.lists(st.integers(0, 3), min_size=2, max_size=12),
    picks=st.sets(st.integers(0, 11), min_size=1),
    k=st.integers(1, 12),
    shuffle=st.randoms(use_true_random=False),
)
def test_bounds_and_independence_of_order(scores: list[int], picks: set[int], k: int, shuffle):
    truth = np.isin(np.arange(len(scores)), list(picks))
    if not truth.any():
        return
    order = list(range(len(scores)))
    shuffle.shuffle(order)
    relevant = ranked(np.array(scores, float), truth)
    other = ranked(np.array(scores, float)[order], truth[order])
    for name, metric in AT_K.items():
        value = metric(relevant, k)[0]
        assert 0 <= value <= 1 + 1e-12, name
        assert value == pytest.approx(metric(other, k)[0]), name
    assert auc(relevant, np.array([len(scores)])) == pytest.approx(
        auc(other, np.array([len(scores)])), nan_ok=True
    )


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6, 10])
@pytest.mark.parametrize(
    "scores", [[0] * 6, [2, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 1, 2], [5, 4, 3, 2, 1, 0]]
)
@pytest.mark.parametrize("truth", [[1], [1, 3], [0, 3, 5], [1, 2, 3, 4], [0, 1, 2, 3, 4, 5]])
def test_tied_items_give_the_mean_over_their_orders(k: int, scores: list[int], truth: list[int]):
    relevant, drawn = ranked(np.array(scores, float), np.isin(np.arange(6), truth)), []
    for order in itertools.permutations(range(6)):
        by_score = sorted(order, key=lambda i: -scores[i])  # stable within a shuffle
        places = [place for place, item in enumerate(by_score, 1) if item in truth]
        drawn.append([metric(one(*places), k)[0] for metric in AT_K.values()])
    expected = dict(zip(AT_K, np.mean(drawn, axis=0), strict=True))
    assert {name: metric(relevant, k)[0] for name, metric in AT_K.items()} == pytest.approx(expected)


@pytest.mark.parametrize("candidates", [10, 15, 19, 20, 500])
def test_the_same_score_for_all_is_chance(candidates: int):
    relevant = ranked(np.zeros(candidates), np.arange(candidates) == 3)
    chance = 10 / candidates
    gain = np.mean([1 / np.log2(place + 1) for place in range(1, 11)])
    assert [recall(relevant, 10)[0], hr(relevant, 10)[0]] == pytest.approx([chance, chance])
    assert ndcg(relevant, 10)[0] == pytest.approx(chance * gain)
    assert hr(relevant, 1)[0] == pytest.approx(1 / candidates)


def test_one_target_each_from_scores():
    scores = np.array([[3, 1, 1, 0], [1, 1, 1, 1], [2, np.nan, 1, 0]], np.float32)
    relevant = Relevant.of_one(scores, scores[[0, 1, 2], [1, 0, 1]])
    assert relevant.rank.tolist() == [2.5, 2.5, np.inf]
    assert recall(relevant, 2).tolist() == pytest.approx([0.5, 0.5, 0.0])
    twice = Relevant.joined([relevant, relevant])
    assert (twice.n, recall(twice, 3).tolist()) == (6, [1.0, 0.75, 0.0] * 2)


def test_the_middle_rank_is_the_expected_rank_of_random_ties():
    scores = np.array([2.0, 1.0, 1.0, 1.0, 0.0])
    ranks = []
    for order in itertools.permutations(range(5)):
        place = np.empty(5)
        place[sorted(order, key=lambda i: -scores[i])] = np.arange(1, 6)  # stable within a shuffle
        ranks.append(place)
    assert np.mean(ranks, axis=0) == pytest.approx(middle_ranks(scores))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ties", [False, True])
def test_against_scikit_learn(seed: int, ties: bool):
    from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

    rng = np.random.default_rng(seed)
    scores = rng.normal(size=60)
    if ties:
        scores = np.round(scores)
    truth = np.isin(np.arange(60), rng.choice(60, 7, replace=False))
    relevant = ranked(scores, truth)
    assert auc(relevant, np.array([60]))[0] == pytest.approx(roc_auc_score(truth, scores))
    if not ties:
        for k in (5, 10, 60):
            expected = ndcg_score([truth], [scores], k=k)
            assert ndcg(relevant, k)[0] == pytest.approx(expected)
        assert average_precision(relevant, 60)[0] == pytest.approx(average_precision_score(truth, scores))
