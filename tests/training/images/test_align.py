from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs  pip install 'crossaisle[train]'")

from crossaisle.errors import ConfigError
from crossaisle.training.images.align import AlignConfig, train_alignment


def test_pictures_and_texts_of_one_item_are_aligned() -> None:
    """Both sides are random maps of one hidden vector: held-out pairs must find each other."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(400, 8))
    images = (hidden @ rng.normal(size=(8, 20))).astype(np.float32)
    texts = (hidden @ rng.normal(size=(8, 12))).astype(np.float32)
    config = AlignConfig(space=8, epochs=30, batch=100, heads=2, learning_rate=1e-2, dropout=0.0)
    fitted = train_alignment(images[:300], texts[:300], range(300), config)
    scores = fitted.place("image", images[300:]) @ fitted.place("text", texts[300:]).T
    rank = (scores > np.diag(scores)[:, None]).sum(axis=1)
    assert (rank < 5).mean() > 0.9
    again = train_alignment(images[:300], texts[:300], range(300), config)
    np.testing.assert_array_equal(again.heads[0]["image"].weight, fitted.heads[0]["image"].weight)


def test_too_few_pairs() -> None:
    images, texts = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)
    texts[1:] = 0
    with pytest.raises(ConfigError, match=r"two items with both picture and title \(found 1\)"):
        train_alignment(images, texts, range(3))
