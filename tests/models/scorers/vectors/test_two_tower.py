"""TwoTower: the contract, numpy beside torch, new items, what it starts from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.errors import ConfigError
from crossaisle.models.scorers.vectors.two_tower import TwoTower
from tests.models.contract import ScorerContract
from tests.models.scorers.vectors.networks import SMALL
from tests.models.shops import tiny_shop

pytest.importorskip("torch")

import torch

from crossaisle.training.sequence.two_tower import TwoTowerNetwork
from crossaisle.training.sequence.windows import Windows


def small(**settings: Any) -> TwoTower:
    """A network that is learned in a fraction of a second."""
    return TwoTower(**{**SMALL, **settings})


class TestTwoTower(ScorerContract):
    scores_cold = True
    exact_evidence = False

    def make(self) -> TwoTower:
        return TwoTower(**SMALL)

    def make_quick(self) -> TwoTower:
        return small(epochs=1, stop=1)


def network(model: TwoTower, texts: np.ndarray, *, moved: bool = True) -> TwoTowerNetwork:
    made = TwoTowerNetwork(model, torch.from_numpy(texts)).eval()
    if moved:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return made


@pytest.mark.parametrize("weighed", [False, True])
def test_numpy_and_torch_agree(weighed: bool) -> None:
    model = small(dimensions=16, hidden=24, heads=3)
    rng = np.random.default_rng(0)
    texts = rng.standard_normal((30, 16)).astype(np.float32)
    made = network(model, texts)
    items = made.items(torch.from_numpy(texts)).detach().numpy()
    nothing = np.zeros(30, np.float32)
    model.restore(made.arrays() | {"vectors_": items, "bias_": nothing}, tiny_shop().item_ids)
    lists = [rng.integers(0, 30, n).tolist() for n in (2, 4, 6)]  # the last of each is the answer
    whole = Histories.of(lists)
    if weighed:
        whole = replace(whole, weight=rng.uniform(0.1, 1.0, len(whole.item)).astype(np.float32))
    batch = Windows.of(whole, np.arange(30), 5).batch(np.arange(3))
    with torch.no_grad():
        expected = made.scores(made.read(batch)).numpy()[np.cumsum([1, 3, 5]) - 1]
    asked = whole.keep(whole.age > 0)
    np.testing.assert_allclose(model.score_rows(asked), expected, rtol=1e-4, atol=1e-4)


def test_later_events_do_not_change_what_earlier_ones_come_to() -> None:
    made = network(small(), np.random.default_rng(0).standard_normal((9, 8)).astype(np.float32))
    short, long = (
        Windows.of(Histories.of([events]), np.arange(9), 5).batch(np.arange(1))
        for events in ([1, 2, 3], [1, 2, 3, 4, 5])
    )
    with torch.no_grad():
        np.testing.assert_allclose(made.read(short), made.read(long)[:2], atol=1e-5)


def test_starts_as_the_similarity_of_texts() -> None:
    texts = np.eye(6, dtype=np.float32)
    made = network(small(dimensions=6), texts, moved=False)
    batch = Windows.of(Histories.of([[4, 2, 0]]), np.arange(6), 5).batch(np.arange(1))
    with torch.no_grad():
        scores = made.scores(made.read(batch)).numpy()
    assert scores[0].argmax() == 4
    assert scores[1].argsort()[::-1][:2].tolist() == [2, 4]  # the newest first


def test_how_often_an_item_is_an_answer_is_taken_out() -> None:
    """Towers that see no difference between items owe nothing to those that are drawn more often."""
    made = network(small(), np.ones((4, 8), np.float32), moved=False)
    batch = Windows.of(Histories.of([[0, 1, 1, 1, 2]]), np.arange(4), 5).batch(np.arange(1))
    often = torch.tensor([0.1, 0.6, 0.2, 0.1])
    drawn = 1.0 - torch.exp(-often[[1, 2]] * 4)
    each = torch.log(drawn) + torch.log((1.0 / drawn).sum())
    expected = (3 * each[0] + each[1]) / 4
    assert float(made.loss(batch, often).detach()) == pytest.approx(float(expected), rel=1e-5)


def test_a_new_item_is_scored_by_its_text_like_any_other() -> None:
    shop = tiny_shop(users=60)
    model = small(epochs=8).fit(shop)
    milk5, paint5 = model.score([["milk0", "bread1", "milk2"]], ["milk5", "paint5"])[0]
    assert milk5 > paint5


def test_learns_what_comes_next_from_texts() -> None:
    """After milk comes bread and after bread comes milk: not the nearest text."""
    shop = tiny_shop(users=60)
    turn = np.array([0, 7, 2, 9, 4, 6, 1, 8], np.int32)
    events = replace(shop.events, item=np.concatenate([np.roll(turn, -u) for u in range(shop.n_users)]))
    model = small(epochs=20, stop=20, dropout=0.0).fit(replace(shop, events=events))
    milk, bread = model.score([["milk0"]], ["milk3", "bread3"])[0]
    assert bread > milk
    milk, bread = model.score([["bread1"]], ["milk3", "bread3"])[0]
    assert milk > bread


def test_needs_texts() -> None:
    with pytest.raises(ConfigError, match=r'encoder must name a text encoder or be "none"'):
        small(encoder="random")
