import numpy as np
import pytest

from crossaisle.evaluate.acceptance import guard


def figures(gap: float, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    base = rng.random(n).astype(np.float32)
    return base + gap + rng.normal(0, 0.1, n).astype(np.float32), base


def test_a_better_model_serves():
    verdict = guard("tuned", *_named(0.05))
    assert verdict.accepted
    assert verdict.serves == "tuned"
    assert verdict.low > 0
    assert verdict.statement.startswith("tuned is used: better than plain by +0.04")


@pytest.mark.parametrize("gap", [-0.05, 0.0])
def test_a_worse_or_equal_model_does_not(gap: float):
    verdict = guard("tuned", *_named(gap))
    assert not verdict.accepted
    assert verdict.serves == "plain"
    assert verdict.statement.startswith("plain is used: tuned is not provably better")


def test_more_is_not_enough_without_proof():
    verdict = guard("tuned", *_named(0.01, n=20))
    assert verdict.difference > 0
    assert not verdict.accepted


def test_the_same_figures_are_no_improvement():
    values = np.linspace(0, 1, 50, dtype=np.float32)
    assert not guard("tuned", values, "plain", values).accepted


def test_cases_without_a_figure_do_not_count_and_none_at_all_accepts_nothing():
    mine, theirs = figures(0.05)
    mine[:100] = np.nan
    assert guard("tuned", mine, "plain", theirs).n == 400
    nothing = guard("tuned", np.full(5, np.nan, np.float32), "plain", theirs[:5])
    assert (nothing.accepted, nothing.n) == (False, 0)


def test_figures_must_pair_up():
    with pytest.raises(ValueError, match="one value per case of both"):
        guard("tuned", np.zeros(3, np.float32), "plain", np.zeros(4, np.float32))


def _named(gap: float, n: int = 500) -> tuple[np.ndarray, str, np.ndarray]:
    mine, theirs = figures(gap, n)
    return mine, "plain", theirs
