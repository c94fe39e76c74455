from __future__ import annotations

import numpy as np

from crossaisle.studies.fashion import HELD_OUT, apply, deal, hits, ridge


def test_products_are_dealt_out_once() -> None:
    test, validation, training = deal(1500, seed=3)
    assert (len(test), len(validation), len(training)) == (HELD_OUT, HELD_OUT, 500)
    np.testing.assert_array_equal(np.sort(np.concatenate([test, validation, training])), np.arange(1500))


def test_hits_and_ties() -> None:
    own = np.arange(40)
    same = np.eye(40, dtype=np.float32)
    assert hits(same, same, own).mean() == 1.0
    assert hits(np.roll(same, 1, axis=0), same, own).mean() == 0.0  # own title: in a tie of 39
    assert hits(np.ones((40, 2), np.float32), np.ones((40, 2), np.float32), own).mean() == 0.0


def test_ridge_finds_a_linear_map() -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(300, 6)).astype(np.float32)
    texts = (images @ rng.normal(size=(6, 4))).astype(np.float32)
    found = apply(ridge(images, texts, 1e-3), images)
    np.testing.assert_allclose(found, texts - texts.mean(axis=0), atol=0.02)
