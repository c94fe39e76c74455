"""SequenceTransformer: the contract, the forward pass beside torch's, new items, loading without torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.errors import ConfigError
from crossaisle.models import registry
from crossaisle.models.blend import Blend
from crossaisle.models.persistence import load_blend, save_blend
from crossaisle.models.scorers import sequence
from crossaisle.models.scorers.sequence import SequenceTransformer
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop

pytest.importorskip("torch")


SMALL: dict[str, Any] = {
    "encoder": "none",
    "dimensions": 8,
    "hidden": 8,
    "length": 5,
    "dropout": 0.1,
    "learning_rate": 1e-2,
    "epochs": 4,
}


def small(**settings: Any) -> SequenceTransformer:
    """A network that is learned in a fraction of a second."""
    return SequenceTransformer(**{**SMALL, **settings})


class TestSequenceTransformer(ScorerContract):
    weighs_fit = weighs_query = False  # the order of a history is all it reads
    scores_cold = True
    exact_evidence = False

    def make(self) -> SequenceTransformer:
        return SequenceTransformer(**SMALL)

    def make_quick(self) -> SequenceTransformer:
        return small(epochs=1, stop=1)


def test_numpy_and_torch_agree() -> None:
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
    for row, events in enumerate(lists):
        items[row, 5 - len(events) :], there[row, 5 - len(events) :] = events, True
    with torch.no_grad():
        meaning = block(block.vectors[torch.from_numpy(items)], torch.from_numpy(there))
        expected = block.scores(meaning).numpy()[np.cumsum([1, 3, 5]) - 1]
    np.testing.assert_allclose(model.score_rows(Histories.of(lists)), expected, rtol=1e-4, atol=1e-4)


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
    monkeypatch.setattr(sequence, "LARGE", 10)
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
from tests.models.shops import tiny_shop
shop, folder = tiny_shop(), Path({str(tmp_path)!r})
blend = load_blend({described!r}, folder, shop.item_ids)
np.testing.assert_array_equal(blend.score_rows(shop.histories([0, 1])), np.load(folder / "expected.npy"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
