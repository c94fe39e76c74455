"""Each measure against scipy or its formula, to 1e-9."""

import numpy as np
import pytest
from scipy import sparse, stats

from crossaisle.drift.compare import cosines
from crossaisle.drift.measures import (
    Design,
    chance,
    design_of,
    jensen_shannon,
    ks_distance,
    ks_p,
    psi,
    shares_differ,
    vector_shift,
)

SEEDS = range(20)


def counted(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.unique(sample, return_counts=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_ks_is_scipys(seed: int):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(20, 3000, 2)
    one = np.round(rng.lognormal(1, 1, n), 2)  # prices: many ties
    other = np.round(rng.lognormal(1 + 0.1 * (seed % 3), 1, m), 2)
    expected = stats.ks_2samp(one, other, method="asymp")
    distance = ks_distance(*counted(one), *counted(other))
    assert distance == pytest.approx(expected.statistic, abs=1e-9)
    assert ks_p(distance, n, m) == pytest.approx(expected.pvalue, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_psi_and_jensen_shannon_are_their_formulas(seed: int):
    rng = np.random.default_rng(seed)
    one, other = rng.poisson(rng.gamma(1, 20, (2, rng.integers(2, 60))))
    total = 0.0
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        p = (a + 0.5) / (sum(one.tolist()) + 0.5 * len(one))
        q = (b + 0.5) / (sum(other.tolist()) + 0.5 * len(other))
        total += (q - p) * float(np.log(q / p))
    assert psi(one, other) == pytest.approx(total, abs=1e-9)
    p, q = one / one.sum(), other / other.sum()
    middle = (p + q) / 2
    bits = sum(
        0.5 * share * np.log2(share / m)
        for of in (p, q)
        for share, m in zip(of, middle, strict=True)
        if share > 0
    )
    assert jensen_shannon(one, other) == pytest.approx(bits, abs=1e-9)


def test_jensen_shannon_is_an_eighth_of_psi_for_small_differences():
    one = np.array([1_000_000, 2_000_000, 3_000_000])
    other = np.array([1_010_000, 1_995_000, 2_995_000])
    assert 8 * np.log(2) * jensen_shannon(one, other) == pytest.approx(psi(one, other), rel=1e-3)


def test_chance_is_what_chance_gives():
    rng = np.random.default_rng(0)
    share = rng.dirichlet(np.ones(30) * 5)
    found = [psi(rng.multinomial(4000, share), rng.multinomial(900, share)) for _ in range(300)]
    assert np.mean(found) == pytest.approx(chance(30, 4000, 900), rel=0.1)


def users_by_bins(rng: np.random.Generator, users: int, each: int, alike: float) -> sparse.csr_matrix:
    """Events of a user correlate by `alike` (Dirichlet-multinomial): the effect is 1 + (each - 1) alike."""
    base = np.array([0.4, 0.3, 0.2, 0.1])
    taste = rng.dirichlet(base * (1 / alike - 1), users)
    return sparse.csr_matrix(np.stack([rng.multinomial(each, t / t.sum()) for t in taste]).astype(float))


@pytest.mark.parametrize(("each", "alike"), [(10, 0.2), (30, 0.1), (5, 0.5)])
def test_the_design_effect_is_that_of_correlated_events(each: int, alike: float):
    found = design_of(users_by_bins(np.random.default_rng(1), 3000, each, alike)).effect
    assert found == pytest.approx(1 + (each - 1) * alike, rel=0.08)


def test_independent_events_have_no_design_effect():
    rng = np.random.default_rng(2)
    table = sparse.csr_matrix(rng.multinomial(20, [0.5, 0.3, 0.2], 2000).astype(float))
    assert design_of(table).effect == pytest.approx(1.0, abs=0.06)
    assert design_of(table[:1]) == Design()


def test_p_values_of_correlated_events_are_right_with_effective_numbers_only():
    rng = np.random.default_rng(3)
    right, naive = [], []
    for _ in range(300):
        one, other = users_by_bins(rng, 300, 20, 0.2), users_by_bins(rng, 100, 20, 0.2)
        counts = [np.asarray(t.sum(axis=0)).ravel() for t in (one, other)]
        designs = design_of(one), design_of(other)
        size = [6000 / designs[0].effect, 2000 / designs[1].effect]
        spread = (designs[0].spread + 3 * designs[1].spread) / 4
        right.append(shares_differ(*counts, *size, spread) < 0.05)
        naive.append(shares_differ(*counts, 6000, 2000) < 0.05)
    assert 0.02 < np.mean(right) < 0.09
    assert np.mean(naive) > 0.4


def test_same_shares_pool_rare_bins():
    one, other = np.array([500, 480, 1, 0, 2]), np.array([260, 240, 0, 2, 0])
    table = [[500, 480, 3], [260, 240, 2]]
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert shares_differ(one, other, 983, 502) == pytest.approx(expected, abs=1e-9)


def unit(rng: np.random.Generator, n: int, mean: np.ndarray) -> np.ndarray:
    rows = rng.normal(size=(n, len(mean))) + mean
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_vectors_that_moved_and_vectors_that_did_not():
    alarms, found, effects = [], [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        mean = np.zeros(24)
        mean[0] = 1.0
        moved = mean.copy()
        moved[1] = 1.0
        one = unit(rng, 120, mean)
        same = vector_shift(cosines(one, unit(rng, 90, mean)), 120, seed=seed)
        other = vector_shift(cosines(one, unit(rng, 90, moved)), 120, seed=seed)
        alarms.append(same.p <= 0.05)
        found.append(other.p <= 0.05)
        effects.append((same.effect, other.effect, same.cosine - other.cosine))
    assert np.mean(alarms) <= 0.12
    assert np.mean(found) == 1.0
    unmoved, moved, cosine = np.mean(effects, axis=0)
    assert unmoved < 0.05
    assert 0.3 < moved <= 1.0  # one standard deviation apart, in a direction that is estimated
    assert cosine > 0.1


def test_mmd_by_hand_and_sparse_as_dense():
    rng = np.random.default_rng(0)
    one, other = unit(rng, 8, np.ones(5)), unit(rng, 6, -np.ones(5))
    gram = cosines(one, other)
    far = 1 - gram
    scale = np.median(far[np.triu_indices(14, 1)])
    k = np.exp(-far / scale)
    within = sum(k[i, j] for i in range(8) for j in range(8) if i != j) / 56
    within += sum(k[i, j] for i in range(8, 14) for j in range(8, 14) if i != j) / 30
    across = 2 * np.mean([k[i, j] for i in range(8) for j in range(8, 14)])
    found = vector_shift(gram, 8)
    assert found.mmd2 == pytest.approx(within - across, abs=1e-9)
    means = one.mean(axis=0), other.mean(axis=0)
    cosine = means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1])
    assert found.cosine == pytest.approx(cosine, abs=1e-9)
    assert cosines(sparse.csr_matrix(one), sparse.csr_matrix(other)) == pytest.approx(gram, abs=1e-12)


def test_p_values_are_right_where_few_users_buy_a_lot_of_one_thing():
    """Cat owners: the shares of their tins vary far more than other shares, which one mean effect hides."""
    rng = np.random.default_rng(4)

    def sample(users: int) -> sparse.csr_matrix:
        plain = rng.multinomial(10, [0.2] * 5, users)
        tins = np.where(rng.random((users, 1)) < 0.05, rng.poisson(40, (users, 1)), 0)
        return sparse.csr_matrix(np.hstack([plain, tins]).astype(float))

    corrected, first_order = [], []
    for _ in range(300):
        one, other = sample(600), sample(200)
        counts = [np.asarray(t.sum(axis=0)).ravel() for t in (one, other)]
        designs = [design_of(t) for t in (one, other)]
        size = [c.sum() / d.effect for c, d in zip(counts, designs, strict=True)]
        spread = (designs[0].spread + 3 * designs[1].spread) / 4
        corrected.append(shares_differ(*counts, *size, spread) < 0.05)
        first_order.append(shares_differ(*counts, *size) < 0.05)
    assert np.mean(first_order) > 0.1
    assert 0.01 <= np.mean(corrected) < 0.09
