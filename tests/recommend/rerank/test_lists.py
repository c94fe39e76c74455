"""Properties of every list, whatever the scores, categories and controls are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossaisle.recommend.rerank.arrange import arrange, relevance_kept
from crossaisle.recommend.rerank.quota import Cap, Index, category_caps, select
from crossaisle.recommend.rerank.share import share_cap


@st.composite
def shelves(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Scores (best first), category codes (-1 = unknown) and k."""
    n = draw(st.integers(0, 40))
    scores = draw(st.lists(st.integers(-50, 100), min_size=n, max_size=n))
    codes = draw(st.lists(st.integers(-1, 4), min_size=n, max_size=n))
    ordered = np.sort(np.array(scores, np.float32))[::-1].copy()
    return ordered, np.array(codes, np.int32), draw(st.integers(1, 15))


def likeness(codes: np.ndarray) -> object:
    return lambda left, right: (codes[left][:, None] == codes[right][None, :]).astype(np.float32)


def per_category(codes: np.ndarray, chosen: Index) -> np.ndarray:
    return np.bincount(codes[chosen][codes[chosen] >= 0], minlength=5)


def room_for(codes: np.ndarray, quota: int | None) -> int:
    """How long a list can get at all."""
    if quota is None:
        return len(codes)
    return int(np.minimum(np.bincount(codes[codes >= 0], minlength=5), quota).sum() + (codes < 0).sum())


@given(shelves(), st.none() | st.integers(1, 4), st.sampled_from([0.0, 0.3, 1.0]))
def test_a_quota_is_kept_and_the_list_is_full_when_it_can_be(
    shelf: tuple[np.ndarray, np.ndarray, int], quota: int | None, diversity: float
) -> None:
    scores, codes, k = shelf
    hard = category_caps(codes, quota, [])
    chosen, _ = arrange(scores, k, hard=hard, diversity=diversity, similar=likeness(codes))  # type: ignore[arg-type]
    assert len(set(chosen.tolist())) == len(chosen) == min(k, room_for(codes, quota))
    if quota is not None:
        assert per_category(codes, chosen).max() <= quota
    if diversity == 0.0:
        assert (np.diff(scores[chosen]) <= 0).all()


@given(
    shelves(), st.floats(0, 1), st.none() | st.integers(1, 4), st.sampled_from([0.0, 0.5]), st.integers(0, 4)
)
def test_the_share_is_reached_whenever_candidates_allow(
    shelf: tuple[np.ndarray, np.ndarray, int],
    share: float,
    quota: int | None,
    diversity: float,
    home: int,
) -> None:
    scores, codes, k = shelf
    cross = (codes >= 0) & (codes != home)
    chosen, _ = arrange(
        scores,
        k,
        hard=category_caps(codes, quota, []),
        soft=[share_cap(cross, share, k)],
        diversity=diversity,
        similar=likeness(codes),  # type: ignore[arg-type]
    )
    length = min(k, room_for(codes, quota))
    assert len(chosen) == length
    wanted = int(np.floor(share * k + 0.5))
    most = room_for(codes[cross], quota)
    least = length - room_for(codes[~cross], quota)
    reached = int(cross[chosen].sum())
    assert reached == min(max(min(wanted, most), least, 0), length) or length < k
    if quota is not None:
        assert per_category(codes, chosen).max() <= quota


@given(shelves(), st.integers(1, 3))
def test_no_list_within_the_quota_has_a_larger_sum(
    shelf: tuple[np.ndarray, np.ndarray, int], quota: int
) -> None:
    scores, codes, k = (part[:9] if isinstance(part, np.ndarray) else min(part, 4) for part in shelf)
    chosen = select(len(scores), k, category_caps(codes, quota, []))
    best = max(
        (
            scores[list(c)].sum()
            for c in combinations(range(len(scores)), len(chosen))
            if per_category(codes, np.array(c, np.int64)).max(initial=0) <= quota
        ),
        default=0.0,
    )
    assert scores[chosen].sum() == pytest.approx(best)


def test_a_named_quota_wins_over_the_general_one() -> None:
    codes = np.array([0, 0, 0, 1, 1, 1, -1, -1], np.int32)
    named = [(codes == 0, 2)]
    chosen = select(8, 8, category_caps(codes, 1, named))
    assert chosen.tolist() == [0, 1, 3, 6, 7]


def test_quotas_on_overlapping_categories_hold_and_the_list_is_filled() -> None:
    codes = np.zeros(6, np.int32)
    first, second = np.array([1, 1, 1, 1, 0, 0], bool), np.array([0, 0, 1, 1, 1, 1], bool)
    scores = np.arange(6, 0, -1).astype(np.float32)
    chosen, _ = arrange(
        scores,
        6,
        hard=category_caps(codes, None, [(first, 2), (second, 2)]),
        diversity=0.5,
        similar=likeness(codes),  # type: ignore[arg-type]
    )
    assert first[chosen].sum() <= 2
    assert second[chosen].sum() <= 2
    assert len(chosen) == 4


def test_soft_caps_give_way_before_the_list_gets_short() -> None:
    cross = np.array([False, False, False, True])
    assert select(4, 3, [], [share_cap(cross, 1.0, 3)]).tolist() == [0, 1, 3]
    assert select(4, 3, [Cap(np.zeros(4, np.int32), np.array([2]))], [share_cap(cross, 1.0, 3)]).tolist() == [
        0,
        3,
    ]


def test_diversity_avoids_the_like_and_costs_relevance() -> None:
    scores = np.array([1.0, 0.9, 0.8, 0.5], np.float32)
    codes = np.array([0, 0, 0, 1], np.int32)
    plain, _ = arrange(scores, 2)
    mixed, _ = arrange(scores, 2, diversity=0.7, similar=likeness(codes))  # type: ignore[arg-type]
    assert plain.tolist() == [0, 1]
    assert mixed.tolist() == [0, 3]
    assert relevance_kept(scores, plain) == 1.0
    assert relevance_kept(scores, mixed) == pytest.approx(1.5 / 1.9)


def test_relevance_kept_says_nothing_about_lists_without_positive_scores() -> None:
    assert relevance_kept(np.array([-1.0, -2.0], np.float32), np.array([0])) is None
    assert relevance_kept(np.empty(0, np.float32), np.empty(0, np.int64)) is None
