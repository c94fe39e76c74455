"""SequenceTransformer: the contract, the forward pass beside torch's, new items, loading without torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossaisle.config import KindConfig
from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.history import Histories
from crossaisle.data.kinds import Kinds
from crossaisle.errors import ConfigError
from crossaisle.models import registry
from crossaisle.models.blend import Blend
from crossaisle.models.persistence import load_blend, save_blend
from crossaisle.models.scorers.sequence import SequenceTransformer
from crossaisle.models.scorers.vectors import history_vectors
from tests.models.contract import ScorerContract
from tests.models.scorers.vectors.networks import SMALL
from tests.models.shops import FIRST_DAY, tiny_shop

pytest.importorskip("torch")


def small(**settings: Any) -> SequenceTransformer:
    """A network that is learned in a fraction of a second."""
    return SequenceTransformer(**{**SMALL, **settings})


class TestSequenceTransformer(ScorerContract):
    scores_cold = True
    exact_evidence = False

    def make(self) -> SequenceTransformer:
        return SequenceTransformer(**SMALL)

    def make_quick(self) -> SequenceTransformer:
        return small(epochs=1, stop=1)


@pytest.mark.parametrize("weighed", [False, True])
def test_numpy_and_torch_agree(weighed: bool) -> None:
    import torch

    from crossaisle.training.sequence.network import Block

    model = small(dimensions=16, hidden=24, heads=4)
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((30, 16)).astype(np.float32)
    block = Block(model, torch.from_numpy(vectors)).eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    arrays = block.arrays() | {
        "vectors_": block.vectors.detach().numpy(),
        "bias_": block.bias.detach().numpy(),
    }
    model.restore(arrays, tiny_shop().item_ids)
    lists = [rng.integers(0, 30, n) for n in (1, 3, 5)]
    items, there = np.zeros((3, 5), np.int64), np.zeros((3, 5), bool)
    weight = np.ones((3, 5), np.float32)
    for row, events in enumerate(lists):
        items[row, 5 - len(events) :], there[row, 5 - len(events) :] = events, True
    if weighed:
        weight[there] = rng.uniform(0.1, 1.0, there.sum())
    with torch.no_grad():
        read = block.vectors[torch.from_numpy(items)]
        meaning = block(read, torch.from_numpy(there), torch.from_numpy(weight))
        expected = block.scores(meaning).numpy()[np.cumsum([1, 3, 5]) - 1]
    histories = replace(Histories.of(lists), weight=weight[there] if weighed else None)
    np.testing.assert_allclose(model.score_rows(histories), expected, rtol=1e-4, atol=1e-4)


def test_only_the_newest_events_are_read() -> None:
    shop = tiny_shop()
    model = small().fit(shop)
    long = [7, 8, 0, 1, 2, 3, 4]
    np.testing.assert_allclose(
        model.score_rows(Histories.of([long])), model.score_rows(Histories.of([long[-5:]])), rtol=1e-5
    )
    events, _ = model.evidence(Histories.of([long]), 6)
    assert (events[:2] == 0).all()
    assert (events[2:] != 0).all()


def test_evidence_goes_by_what_the_score_loses_without_each_event() -> None:
    model = small().fit(tiny_shop(users=60))
    history = [0, 7, 2, 12]
    events, _ = model.evidence(Histories.of([history]), 8)
    whole = model.score_rows(Histories.of([history]))[0, 8]
    without = [model.score_rows(Histories.of([history[:i] + history[i + 1 :]]))[0, 8] for i in range(4)]
    falls = whole - np.array(without)
    np.testing.assert_allclose(events / np.abs(events).sum(), falls / np.abs(falls).sum(), atol=1e-4)
    assert events[:3].sum() > 0 > events[3]  # a spade speaks against bread


def test_order_counts() -> None:
    model = small().fit(tiny_shop())
    one, other = model.score_rows(Histories.of([[0, 1, 8], [8, 1, 0]]))
    assert not np.allclose(one, other)


def test_learns_what_comes_next() -> None:
    """Every user buys milk0, bread1, milk2, ... in turn: after each comes the next."""
    shop = tiny_shop()
    turn = np.array([0, 7, 2, 9, 4, 6, 1, 8], np.int32)
    events = replace(shop.events, item=np.concatenate([np.roll(turn, -u) for u in range(shop.n_users)]))
    model = small(epochs=20, dimensions=16, gentle=1.0, dropout=0.0).fit(replace(shop, events=events))
    scores = model.score_rows(Histories.of([[int(i)] for i in turn]))
    np.testing.assert_array_equal(scores.argmax(axis=1), np.roll(turn, -1))


TURN = [0, 7, 2, 9, 4, 6, 1, 8]
"""What everybody buys in turn: milk0, bread1, milk2, ..."""


def shop_of_buyers_who_look_around(view: float, *, dislikes: bool = False, users: int = 60) -> Dataset:
    """Purchases go by `TURN`; before each, users look at two things of the garden some times.

    `dislikes`: in between, each user turns against something that nobody looked at.
    """
    plain, rng = tiny_shop(users=users), np.random.default_rng(0)
    user, item, kind = [], [], []
    for who in range(users):
        for place in range(8):
            looks = rng.choice([12, 13], rng.integers(2, 6)).tolist()
            item += [*looks, TURN[(who + place) % 8], 20 + place % 3]
            kind += [*[1] * len(looks), 0, 2]
        user += [who] * (len(item) - len(user))
    n, hour = len(item), np.arange(len(item)) + FIRST_DAY * 24
    events = Events(
        user=np.array(user, np.int32),
        item=np.array(item, np.int32),
        time=hour.astype(np.int64) * 3600,
        kind=np.array(kind, np.int8),
        value=np.full(n, np.nan, np.float32),
        quantity=np.ones(n, np.float32),
        basket=np.full(n, -1, np.int32),
    )
    given = {"view": KindConfig(means="view", weight=view)}
    shop = replace(plain, events=events, kinds=("purchase", "view", "dislike"), meanings=Kinds(given=given))
    return shop.with_events(np.array(kind) < (3 if dislikes else 2)).settled()


@pytest.mark.slow
def test_kinds_count_in_what_is_learned_and_in_what_is_read() -> None:
    """Most of what comes next is looked at, and what is bought next is known from the last purchase alone."""
    settings: dict[str, Any] = {"epochs": 8, "stop": 8, "dimensions": 16, "gentle": 1.0, "dropout": 0.0}
    slight, alike = (
        small(**settings, length=8).fit(shop_of_buyers_who_look_around(view, users=40))
        for view in (0.02, 1.0)
    )
    asked = replace(
        Histories.of([[12, bought, 13, 12] for bought in TURN]),
        weight=np.tile(np.array([0.02, 1.0, 0.02, 0.02], np.float32), 8),
    )
    np.testing.assert_array_equal(slight.score_rows(asked).argmax(axis=1), np.roll(TURN, -1))
    margin, usual = (
        scores[np.arange(8), np.roll(TURN, -1)] - scores[:, [12, 13]].max(axis=1)
        for scores in (slight.score_rows(asked), alike.score_rows(replace(asked, weight=None)))
    )
    assert margin.mean() > usual.mean() + 1.0  # log odds of the next purchase against the likeliest view
    # Of the events that are read, too: where the purchase is next to nothing, so is what follows from it.
    slighted = replace(asked, weight=np.tile(np.array([1.0, 0.02, 1.0, 1.0], np.float32), 8))
    follows = slight.score_rows(slighted)[:, TURN].std(axis=0)
    assert (follows < 0.5 * slight.score_rows(asked)[:, TURN].std(axis=0)).all()


def test_what_users_turned_against_is_not_learned_from() -> None:
    with_dislikes, without = (
        small(encoder="random").fit(shop_of_buyers_who_look_around(0.2, dislikes=dislikes))
        for dislikes in (True, False)
    )
    for name in SequenceTransformer.learned:
        np.testing.assert_array_equal(getattr(with_dislikes, name), getattr(without, name))


def test_items_nobody_bought_are_placed_by_their_text() -> None:
    shop = tiny_shop(users=60)
    model = small().fit(shop)
    milk5, paint5 = model.score([["milk0", "bread1", "milk2"]], ["milk5", "paint5"])[0]
    assert milk5 > paint5


def test_without_a_text_and_without_events_there_is_no_score() -> None:
    model = small(encoder="random").fit(tiny_shop())
    assert np.isnan(model.score([["milk0"]], ["milk5"])).all()
    assert not np.isnan(model.score([["milk0"]], ["milk1"])).any()


def test_stops_where_it_was_best_and_does_so_again() -> None:
    model = small(epochs=6)
    shop = tiny_shop(users=60)
    model.fit(shop)
    assert model.stop is not None
    assert 1 <= model.stop <= 6
    again = replace(model)
    assert again.stop == model.stop
    again.fit(shop)
    assert again.stop == model.stop


def test_a_large_shop_finds_the_same_items(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = tiny_shop()
    model = small().fit(shop)
    histories = shop.histories([0, 1, 2])
    usual = model.retrieve(histories, 5)
    monkeypatch.setattr(history_vectors, "LARGE", 10)
    settings, arrays = model.state()
    assert arrays["codes_"].dtype == np.int8
    large = registry.make("sequence", settings).restore(arrays, shop.item_ids)
    for expected, found in zip(usual, large.retrieve(histories, 5), strict=True):
        assert len(np.intersect1d(expected, found)) >= 4


def test_dimensions_are_shared_by_the_heads() -> None:
    with pytest.raises(ConfigError, match=r"multiple of heads \(found 9 and 2\)"):
        small(dimensions=9)


def test_serves_without_torch(tmp_path: Path) -> None:
    shop = tiny_shop()
    blend = Blend(parts={"sequence": small().fit(shop)}, weights={"for_you": {"sequence": 1.0}})
    described = save_blend(blend, tmp_path)
    histories = shop.histories([0, 1])
    expected = load_blend(described, tmp_path, shop.item_ids).score_rows(histories)
    np.save(tmp_path / "expected.npy", expected)
    script = f"""
import sys
sys.modules["torch"] = None
import numpy as np
from pathlib import Path
from typing import Any
from crossaisle.models.persistence import load_blend
from tests.models.scorers.vectors.networks import SMALL
from tests.models.shops import FIRST_DAY, tiny_shop
shop, folder = tiny_shop(), Path({str(tmp_path)!r})
blend = load_blend({described!r}, folder, shop.item_ids)
np.testing.assert_array_equal(blend.score_rows(shop.histories([0, 1])), np.load(folder / "expected.npy"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
