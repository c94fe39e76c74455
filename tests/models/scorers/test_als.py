"""ALS: the contract, and the fold-in against the normal equations written out."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.errors import MissingDependencyError
from crossaisle.models.scorers.als import ALS
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop

pytest.importorskip("implicit")


class TestALS(ScorerContract):
    def make(self) -> ALS:
        return ALS(factors=4, regularization=0.1)


def test_a_history_is_folded_in_by_the_normal_equations() -> None:
    model = ALS(factors=4, alpha=3.0, regularization=0.5, combine="sum").fit(tiny_shop())
    history = [0, 1, 1]
    items = model.factors_.astype(np.float64)
    confidence = np.ones(len(items))
    confidence[[0, 1]] = 1 + 3.0 * np.array([1, 2])
    had = np.isin(np.arange(len(items)), history)
    normal = items.T @ np.diag(confidence) @ items + 0.5 * np.eye(4)
    expected = items @ np.linalg.solve(normal, items.T @ (confidence * had))
    scores = model.score_rows(Histories.of([history]))[0]
    np.testing.assert_allclose(scores[model.known_], expected[model.known_], atol=1e-5)


def test_a_trained_users_vector_is_what_folding_in_gives() -> None:
    """What is served is what was trained: the library's own fold-in finds the same scores."""
    from implicit.cpu.als import AlternatingLeastSquares

    shop = tiny_shop(users=60)
    model = ALS(factors=4, combine="max").fit(shop)
    library = AlternatingLeastSquares(factors=4, regularization=model.regularization, use_cg=False)
    library.item_factors = model.factors_
    confidence = shop.matrix() * np.float32(1 + model.alpha)
    theirs = library.recalculate_user(np.arange(60), confidence) @ model.factors_.T
    ours = model.score_rows(shop.histories())
    np.testing.assert_allclose(ours[:, model.known_], theirs[:, model.known_], atol=1e-4)


def test_without_the_library_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "implicit", None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[als\]'"):
        ALS().fit(tiny_shop())
