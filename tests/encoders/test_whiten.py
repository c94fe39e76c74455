from __future__ import annotations

import numpy as np

from crossaisle.encoders.whiten import Whitening


def correlated(n: int = 500, d: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(n, d)) * [5, 1, 1, 1, 1, 0.5] + [9, 0, 0, 0, 0, 0]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_directions_become_equal_and_rows_unit() -> None:
    vectors = correlated()
    whitening = Whitening.fit(vectors, eps=1e-9)
    spread = (vectors - whitening.mean_) @ whitening.matrix_
    np.testing.assert_allclose(np.cov(spread.T, bias=True), np.eye(6), atol=1e-2)
    out = whitening.apply(vectors)
    assert out.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, atol=1e-5)
    before, after = np.abs(vectors @ vectors.T).mean(), np.abs(out @ out.T).mean()
    assert after < before / 2


def test_eps_keeps_empty_directions_quiet() -> None:
    vectors = correlated()
    vectors[:, 5] = 0
    out = Whitening.fit(vectors).apply(vectors)
    assert np.abs(out[:, 5]).max() < 1e-3


def test_rows_without_text_stay_zero_and_count_for_nothing() -> None:
    vectors = correlated()
    padded = np.vstack([vectors, np.zeros((100, 6), np.float32)])
    out = Whitening.fit(padded).apply(padded)
    np.testing.assert_allclose(out[:500], Whitening.fit(vectors).apply(vectors), atol=1e-5)
    assert not out[500:].any()
    nothing = np.zeros((3, 6), np.float32)
    assert not Whitening.fit(nothing).apply(nothing).any()


def test_arrays_bring_it_back() -> None:
    vectors = correlated()
    whitening = Whitening.fit(vectors)
    again = Whitening.from_arrays(whitening.arrays())
    np.testing.assert_array_equal(again.apply(vectors), whitening.apply(vectors))
