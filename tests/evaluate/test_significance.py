import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crossaisle.evaluate.significance import Bootstrap, holm


def test_interval_agrees_with_the_normal_one():
    values = np.random.default_rng(0).normal(3.0, 2.0, (2000, 1)).astype(np.float32)
    found = Bootstrap(n=2000).interval(values)
    half = 1.96 * values.std() / np.sqrt(2000)
    assert found.value[0] == pytest.approx(values.mean(), abs=1e-5)
    assert found.low[0] == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high[0] == pytest.approx(values.mean() + half, abs=0.02)


def test_same_seed_same_interval_other_seed_another():
    values = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    a, b, c = (Bootstrap(n=50, seed=s).means(values) for s in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_blocks_of_resamples_change_nothing():
    values = np.random.default_rng(0).random((40, 2)).astype(np.float32)
    whole = Bootstrap(n=40, resamples=50).means(values)
    assert np.allclose(Bootstrap(n=40, resamples=50, block=40 * 7).means(values), whole, rtol=1e-6)


def test_nan_means_not_in_this_column():
    values = np.array([[1, 5], [3, np.nan], [np.nan, np.nan], [np.nan, 7]], np.float32)
    values = np.column_stack([values, np.full(4, np.nan, np.float32)])
    found = Bootstrap(n=4).interval(values)
    assert found.value[:2].tolist() == [2.0, 6.0]
    assert (found.low[:2] >= [1, 5]).all()
    assert (found.high[:2] <= [3, 7]).all()
    assert np.isnan([found.value[2], found.low[2], found.high[2]]).all()


def test_a_paired_difference_is_sharper_than_the_two_intervals():
    rng = np.random.default_rng(0)
    easy = rng.random((500, 1))
    a, b = (easy + 0.02 + rng.normal(0, 0.02, (500, 1))).astype(np.float32), easy.astype(np.float32)
    gap, p = Bootstrap(n=500).difference(a, b)
    assert gap.low[0] > 0
    assert p[0] < 1e-6
    one, other = Bootstrap(n=500).interval(a), Bootstrap(n=500).interval(b)
    assert one.low[0] < other.high[0]  # unpaired, they overlap
    ratio = Bootstrap(n=500).ratio(a, b)
    assert ratio.low[0] < ratio.value[0] < ratio.high[0]
    assert ratio.value[0] == pytest.approx(a.mean() / b.mean(), rel=1e-5)


def test_equal_models_do_not_differ():
    values = np.random.default_rng(0).random((30, 2)).astype(np.float32)
    gap, p = Bootstrap(n=30).difference(values, values)
    assert gap.value.tolist() == [0.0, 0.0]
    assert p.tolist() == [1.0, 1.0]


def test_hits_and_misses_have_the_interval_of_clopper_and_pearson():
    hits = np.array([[0, 1, 1], *[[0, 1, i < 2] for i in range(9)]], np.float32)
    found = Bootstrap(n=10, resamples=20_000).interval(hits)
    beta = [stats.beta.ppf(0.025, x, 11 - x) if x else 0.0 for x in (0, 10, 3)]
    assert found.low == pytest.approx(beta, abs=0.01)
    beta = [stats.beta.ppf(0.975, x + 1, 10 - x) if x < 10 else 1.0 for x in (0, 10, 3)]
    assert found.high == pytest.approx(beta, abs=0.01)


@pytest.mark.parametrize("n", [5, 10, 50, 200])
@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_an_interval_holds_the_truth_however_few_the_cases(n: int, rate: float):
    rng = np.random.default_rng(n)
    gain = 1 / np.log2(np.arange(2, 12))
    shown = np.where(rng.random((n, 400)) < rate, rng.choice(gain, (n, 400)), 0.0).astype(np.float32)
    found = Bootstrap(n=n, resamples=500).interval(shown)
    truth = rate * gain.mean()
    assert np.mean((found.low <= truth) & (truth <= found.high)) >= 0.93


@pytest.mark.parametrize("n", [5, 10, 50])
def test_equal_models_rarely_differ_however_few_the_cases(n: int):
    rng = np.random.default_rng(n)
    a, b = rng.binomial(10, 0.35, (2, n, 1000)).astype(np.float32) / 10
    _, p = Bootstrap(n=n, resamples=500).difference(a, b)
    assert np.mean(p < 0.05) <= 0.075


def test_cases_of_one_user_count_as_what_they_are():
    rng, held = np.random.default_rng(3), {"cases": 0.0, "users": 0.0}
    user = np.repeat(np.arange(60), 5)
    shown = (rng.random((300, 400)) < rng.beta(1.0, 3.0, (60, 400))[user]).astype(np.float32)
    for name, cluster in (("cases", None), ("users", user)):
        bootstrap = Bootstrap(n=300, resamples=300, cluster=cluster)
        found, (gap, p) = bootstrap.interval(shown), bootstrap.difference(shown, shown[:, ::-1])
        held[name] = float(np.mean((found.low <= 0.25) & (found.high >= 0.25)))
        held[f"{name} differ"] = float(np.mean((p < 0.05) | (gap.low > 0) | (gap.high < 0)))
    assert held["users"] >= 0.93
    assert held["cases"] < 0.88
    assert held["users differ"] < 0.09 < held["cases differ"]


def test_few_cases_prove_nothing():
    a, b = np.full((4, 2), np.nan, np.float32), np.full((4, 2), np.nan, np.float32)
    a[:3], b[:3] = 1.0, 0.0
    a[1:, 1] = np.nan
    gap, p = Bootstrap(n=4).difference(a, b)
    assert gap.value.tolist() == [1.0, 1.0]
    assert p.tolist() == [0.25, 1.0]  # three signs alike; one
    assert np.isnan([gap.low[1], gap.high[1]]).all()


def test_a_ratio_to_nothing_is_not_a_number():
    zero = np.zeros((10, 1), np.float32)
    assert np.isnan(Bootstrap(n=10).ratio(zero + 1, zero).value[0])


def test_p_values_of_no_difference_are_even():
    rng = np.random.default_rng(0)
    a, b = rng.random((400, 300)).astype(np.float32), rng.random((400, 300)).astype(np.float32)
    _, p = Bootstrap(n=400, resamples=500).difference(a, b)
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.04)


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, np.nan])).tolist() == [
        pytest.approx(0.03),
        pytest.approx(0.06),
        pytest.approx(0.06),
        pytest.approx(np.nan, nan_ok=True),
    ]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_helps(p: list[float]):
    raw = np.array(p)
    adjusted = holm(raw)
    assert (adjusted >= raw).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= 0).all()
