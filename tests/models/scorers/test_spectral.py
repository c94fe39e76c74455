"""SpectralEASE: the contract, and the paper's listing."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.history import Decay, Histories
from crossaisle.models.scorers.spectral import SpectralEASE
from tests.models.contract import ScorerContract
from tests.models.scorers.test_linear import by_hand
from tests.models.shops import tiny_shop


class TestSpectralEASE(ScorerContract):
    def make(self) -> SpectralEASE:
        return SpectralEASE(ridge=5.0, decay=Decay(half_life_days=60))


class TestSpectralEASEOfSets(ScorerContract):
    def make(self) -> SpectralEASE:
        return SpectralEASE(ridge=5.0, combine="max")


@pytest.mark.parametrize("users", [8, 200])
def test_all_dimensions_give_the_papers_weights(users: int) -> None:
    shop = tiny_shop(users=users)
    model = SpectralEASE(ridge=3.0, combine="max").fit(shop)
    matrix = shop.matrix().toarray().astype(np.float64)
    bought = np.flatnonzero(matrix.any(axis=0))
    one_each = model.score_rows(Histories.of([[int(i)] for i in bought]))
    np.testing.assert_allclose(one_each[:, bought], by_hand(matrix[:, bought], 3.0), atol=3e-3)


def test_fewer_dimensions_take_less_space_and_score_alike() -> None:
    shop = tiny_shop(users=60)
    whole, few = SpectralEASE(ridge=3.0).fit(shop), SpectralEASE(ridge=3.0, dimensions=8).fit(shop)
    assert few.factors_.shape == (shop.n_items, 8)
    a, b = (np.nan_to_num(m.score_rows(shop.histories())).ravel() for m in (whole, few))
    assert np.corrcoef(a, b)[0, 1] > 0.9


@pytest.mark.parametrize("n", [1, 2, 8])
def test_a_prepared_model_knows_scores_roughly_and_some_exactly(n: int) -> None:
    shop = tiny_shop(users=60)
    fitted, asked = SpectralEASE(ridge=3.0).fit(shop), shop.histories().take(range(n))
    exact = fitted.score_rows(asked)
    assert fitted.rough(asked) is None
    fitted.prepare()
    np.testing.assert_array_equal(fitted.score_rows(asked), exact)
    for _ in range(2):  # the second time sums are kept
        rough = fitted.rough(asked)
        assert rough is not None
        np.testing.assert_array_equal(np.isnan(rough.scores), np.isnan(exact))
        np.testing.assert_allclose(rough.scores, exact, atol=0.05 * float(np.nanmax(np.abs(exact))))
        rows = np.arange(0, shop.n_items, 3, dtype=np.int32)
        for at in range(n):
            np.testing.assert_allclose(rough.exact(at, rows), exact[at, rows], rtol=1e-4, atol=1e-6)
    # A second fit must not be asked about the factors of the first.
    fitted.fit(tiny_shop(users=40))
    assert fitted.rough(asked) is None


def test_vectors_of_people_who_are_expected_are_summed_once() -> None:
    shop = tiny_shop(users=60)
    fitted, histories = SpectralEASE(ridge=3.0).fit(shop), shop.histories()
    before = fitted.score_at(histories, [np.arange(shop.n_items, dtype=np.int32)] * len(histories))
    fitted.fit(shop)
    assert not fitted._folded._kept
    fitted.expect(histories)
    assert set(fitted._folded._kept) == set(histories.user.tolist())
    after = fitted.score_at(histories, [np.arange(shop.n_items, dtype=np.int32)] * len(histories))
    np.testing.assert_array_equal(np.stack(after), np.stack(before))
    ages = SpectralEASE(ridge=3.0, decay=Decay(half_life_days=60)).fit(shop)
    ages.expect(histories)
    assert not ages._folded._kept
