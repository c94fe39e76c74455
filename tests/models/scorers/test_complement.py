"""ComplementSoftmax: the contract, and gradients against finite differences of the loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.special import ndtr

from crossaisle.data.history import Histories
from crossaisle.models.scorers.complement import ComplementSoftmax, _chances
from crossaisle.models.scorers.learning.networks import Adam, Learning
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop


class TestComplementSoftmax(ScorerContract):
    weighs_fit = weighs_query = False  # baskets are sets
    exact_evidence = False

    def make(self) -> ComplementSoftmax:
        return ComplementSoftmax(dimensions=16, hidden=16, networks=2, epochs=60, batch=8, learning_rate=0.02)

    def make_quick(self) -> ComplementSoftmax:
        return ComplementSoftmax(dimensions=4, hidden=4, networks=1, epochs=1, batch=8)


class TestSampled(TestComplementSoftmax):
    def make(self) -> ComplementSoftmax:
        return replace(super().make(), negatives=4)

    def make_quick(self) -> ComplementSoftmax:
        return replace(super().make_quick(), negatives=4)


class TestSplitAtRandom(TestComplementSoftmax):
    def make(self) -> ComplementSoftmax:
        return replace(super().make(), at_random=0.5, averaged=True)

    def make_quick(self) -> ComplementSoftmax:
        return replace(super().make_quick(), at_random=0.5, averaged=True)


class _First:
    """Draws the basket's first item, and leaves nothing out."""

    def random(self, size):  # type: ignore[no-untyped-def]
        return np.zeros(size)

    def normal(self, mean, deviation, size):  # type: ignore[no-untyped-def]
        return np.random.default_rng(3).normal(size=size)


class _Keep(Adam):
    """Keeps the gradient instead of following it."""

    def update(self, gradient, rate, rows=slice(None)):  # type: ignore[no-untyped-def]
        self.gradient = np.zeros_like(self.parameter)
        self.gradient[rows] = gradient


def test_gradients_match_finite_differences() -> None:
    codes = np.array([0, 0, 1, 1, 2, 2], np.int32)
    basket = sparse.csr_matrix(np.array([[1, 1, 1, 0, 1, 1]], np.float32))
    # Five items of their own and a word that items 1 and 4 share; item 5, not scored, has a word alone.
    dense = np.eye(6, 7, dtype=np.float32)
    dense[[1, 4, 5], 6], dense[5, 5] = 0.5, 0.0
    features = sparse.csr_matrix(dense)
    learning = Learning(
        features=features,
        scored=np.arange(5),
        codes=codes,
        bias=np.random.default_rng(4).normal(size=5).astype(np.float32),
        dimensions=3,
        dropout=0.0,
        hidden=4,
        hidden_dropout=0.0,
        rng=_First(),  # type: ignore[arg-type]
    )
    learning.outer[:] = np.random.default_rng(5).normal(size=learning.outer.shape)
    rules = learning._rules = [_Keep(rule.parameter) for rule in learning._rules]
    learning.step(basket, 0.1)

    def loss() -> float:
        """The query is category 0, the targets are items 2 and 4."""
        summed = (features @ learning.source)[:2].sum(0) / np.sqrt(2)
        normal = (summed - summed.mean()) / np.sqrt(summed.var() + 1e-6)
        before = normal @ learning.inner[:-1] + learning.inner[-1]
        meant = summed + (before * ndtr(before)) @ learning.outer[:-1] + learning.outer[-1]
        logits = meant @ (features @ learning.target)[2:5].T + learning.bias[2:]
        logits = logits.astype(np.float64)
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


def test_an_item_that_nobody_bought_speaks_through_its_words() -> None:
    shop = tiny_shop()
    model = ComplementSoftmax(dimensions=8, epochs=20, batch=8, max_items=7).fit(shop)
    beyond = int(np.flatnonzero(model.place_ < 0)[0])
    scores = model.score_rows(Histories.of([[beyond]]))[0]
    assert (~np.isnan(scores)).sum() == 7
    alone = ComplementSoftmax(dimensions=8, epochs=1, batch=8, max_items=7, words=False).fit(shop)
    assert np.isnan(alone.score_rows(Histories.of([[beyond]]))).all()


def test_a_later_fit_goes_on_from_the_first_and_knows_new_items() -> None:
    shop = tiny_shop(users=60)
    rows = np.flatnonzero(~np.isin(np.arange(len(shop.events)) % 10, (3, 7)))
    model = ComplementSoftmax(dimensions=8, hidden=8, networks=2, epochs=8, batch=8, max_items=9)
    first = replace(model).fit(shop.with_events(rows))
    further = replace(model).fit_after(first, shop)
    anew = replace(model).fit(shop)
    assert not np.array_equal(further.place_ >= 0, first.place_ >= 0), "the shop must bring in other items"
    np.testing.assert_array_equal(further.place_, anew.place_)
    both = np.flatnonzero((further.place_ >= 0) & (first.place_ >= 0))
    scores = [m.score_rows(shop.histories())[:, both].ravel() for m in (first, further, anew)]
    assert not np.array_equal(scores[1], scores[0])
    assert np.corrcoef(scores[1], scores[0])[0, 1] > np.corrcoef(scores[1], scores[2])[0, 1]
    np.testing.assert_array_equal(replace(model).fit_after(first, shop).source_, further.source_)


def test_a_later_fit_learns_anew_from_a_model_that_was_loaded_or_of_another_catalogue() -> None:
    shop = tiny_shop()
    model = ComplementSoftmax(dimensions=8, hidden=8, networks=1, epochs=2, batch=8)
    first = replace(model).fit(shop)
    loaded = replace(model).restore(first.state()[1], first.item_ids_)
    anew = replace(model).fit(shop).source_
    np.testing.assert_array_equal(replace(model).fit_after(loaded, shop).source_, anew)
    other = ComplementSoftmax(dimensions=8, hidden=4, networks=1, epochs=1, batch=8).fit(shop)
    np.testing.assert_array_equal(replace(model).fit_after(other, shop).source_, anew)


def test_chance_that_a_batch_buys_an_item() -> None:
    """Asked from a category, by the share of the basket that is of it; the rest is bought."""
    codes = np.array([0, 0, 1, 1, 2], np.int32)
    baskets = sparse.csr_matrix(np.array([[1, 1, 1, 0, 0], [0, 0, 1, 0, 1], [1, 1, 0, 0, 0]], np.float32))
    bought = np.array([1 / 3, 1 / 3, 2 / 3 + 1 / 2, 0.0, 1 / 2]) / 2  # the third has one category only
    np.testing.assert_allclose(_chances(baskets, codes, batch=1), bought, rtol=1e-6)
    np.testing.assert_allclose(_chances(baskets, codes, batch=3), 1 - (1 - bought) ** 3, rtol=1e-6)


def test_chance_that_a_batch_buys_an_item_beside_any_others() -> None:
    """Split at random, .35 of a basket are given on the average, and the rest is bought."""
    codes = np.array([0, 0, 1], np.int32)
    baskets = sparse.csr_matrix(np.array([[1, 0, 1], [0, 1, 1]], np.float32))
    half = np.array([0.5, 0.5, 1.0]) / 2
    np.testing.assert_allclose(_chances(baskets, codes, batch=1), half, rtol=1e-6)
    np.testing.assert_allclose(_chances(baskets, codes, 1, at_random=1.0), 1.3 * half, rtol=1e-6)
    np.testing.assert_allclose(_chances(baskets, codes, 1, at_random=0.5), 1.15 * half, rtol=1e-6)


def test_the_running_mean_takes_the_place_of_the_last_step() -> None:
    features = sparse.identity(3, np.float32, format="csr")
    learning = Learning(
        features=features,
        scored=np.arange(3),
        codes=np.array([0, 1, 1], np.int32),
        bias=np.zeros(3, np.float32),
        dimensions=2,
        dropout=0.0,
        hidden=2,
        hidden_dropout=0.0,
        rng=np.random.default_rng(0),
    )
    stood = []
    for share in (0.5, 0.5, 0.25):
        learning.step(sparse.csr_matrix(np.array([[1, 1, 0], [1, 0, 1]], np.float32)), 0.1)
        stood.append(learning.source.copy())
        learning.follow(share)
    mean = 0.75 * (stood[0] + stood[1]) / 2 + 0.25 * stood[2]
    learning.settle()
    np.testing.assert_allclose(learning.source, mean, rtol=1e-5)
    learning.step(sparse.csr_matrix(np.array([[1, 1, 0]], np.float32)), 0.1)
    assert not np.array_equal(learning.source, mean), "learning goes on from the mean"


def test_as_many_negatives_as_items_are_the_full_softmax() -> None:
    shop = tiny_shop()
    full = ComplementSoftmax(dimensions=8, epochs=3, batch=8, networks=1).fit(shop)
    sampled = replace(full, negatives=shop.n_items).fit(shop)
    histories = shop.histories(np.arange(4, dtype=np.int32))
    np.testing.assert_array_equal(full.score_rows(histories), sampled.score_rows(histories))
