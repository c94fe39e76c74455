"""ComplementSoftmax: the contract, and gradients against finite differences of the loss."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from crossaisle.data.history import Histories
from crossaisle.models.complement import ComplementSoftmax, _Adam
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop


class TestComplementSoftmax(ScorerContract):
    exact_evidence = False

    def make(self) -> ComplementSoftmax:
        return ComplementSoftmax(dimensions=16, epochs=60, batch=8, learning_rate=0.02)


class _Keep(_Adam):
    """Keeps the gradient instead of following it."""

    def update(self, gradient, rate, rows=slice(None)):  # type: ignore[no-untyped-def]
        self.gradient = np.zeros_like(self.parameter)
        self.gradient[rows] = gradient


def test_gradients_match_finite_differences() -> None:
    codes = np.array([0, 0, 1, 1, 2], np.int32)
    basket = sparse.csr_matrix(np.array([[1, 1, 1, 0, 1]], np.float32))
    model = ComplementSoftmax(dimensions=3, dropout=0.0)
    rng = np.random.default_rng(3)
    model.source_, model.target_ = (rng.normal(size=(5, 3)).astype(np.float32) for _ in range(2))
    model.bias_ = rng.normal(size=5).astype(np.float32)
    rules = [_Keep(p) for p in (model.source_, model.target_, model.bias_)]
    members = [codes == c for c in range(3)]

    class First:
        """Draws the basket's first item: the query is category 0, the targets are items 2 and 4."""

        def random(self, size):  # type: ignore[no-untyped-def]
            return np.zeros(size)

    model._step(basket, codes, members, rules, 0.1, First())  # type: ignore[arg-type]

    def loss() -> float:
        logits = (model.source_[:2].sum(0) / np.sqrt(2)) @ model.target_.T + model.bias_
        logits = logits[2:].astype(np.float64)
        return float(-np.mean(logits[[0, 2]]) + np.log(np.exp(logits).sum()))

    for rule in rules:
        for index in np.ndindex(rule.parameter.shape):
            old = rule.parameter[index]
            values = []
            for step in (1e-2, -1e-2):
                rule.parameter[index] = old + step
                values.append(loss())
            rule.parameter[index] = old
            assert abs((values[0] - values[1]) / 2e-2 - rule.gradient[index]) < 2e-3


def test_it_is_directed() -> None:
    shop = tiny_shop()
    model = ComplementSoftmax(dimensions=8, epochs=20, batch=8).fit(shop)
    milk, bread = shop.item_ids.row("milk0"), shop.item_ids.row("bread0")
    there = model.score_rows(Histories.of([[milk]]))[0, bread]
    back = model.score_rows(Histories.of([[bread]]))[0, milk]
    assert there != back


def test_items_beyond_max_items_are_not_scored() -> None:
    shop = tiny_shop()
    model = ComplementSoftmax(dimensions=8, epochs=1, max_items=7).fit(shop)
    assert (~np.isnan(model.score_rows(shop.histories([0])))).sum() == 7
