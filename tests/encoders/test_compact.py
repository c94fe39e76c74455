from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossaisle.artifact import read_arrays, write_arrays
from crossaisle.encoders.compact import KINDS, CompactVectors, Kind
from crossaisle.encoders.projection import Projection
from crossaisle.errors import ConfigError


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(("kind", "size"), [("float32", 256), ("int8", 68), ("binary", 8)])
def test_sizes_and_lists(vectors: np.ndarray, kind: Kind, size: int, tmp_path: Path) -> None:
    codes = CompactVectors.of(vectors, kind)
    assert codes.nbytes == len(vectors) * size
    queries = vectors[:20]
    exact = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :10]
    rows, scores = codes.search(queries, 10, vectors=vectors, rescore=20)
    overlap = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, exact, strict=True)])
    assert overlap >= {"float32": 1.0, "int8": 0.99, "binary": 0.95}[kind]
    assert (rows[:, 0] == np.arange(20)).all()
    np.testing.assert_allclose(scores[:, 0], 1.0, atol=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()
    write_arrays(tmp_path, codes.arrays())
    again = CompactVectors.from_arrays(read_arrays(tmp_path, mmap=True))
    assert again.kind == kind
    np.testing.assert_array_equal(again.search(queries, 10)[0], codes.search(queries, 10)[0])


def test_int8_scores_are_close_and_zeros_stay_zero(vectors: np.ndarray) -> None:
    rows = np.vstack([vectors, np.zeros((1, 64), np.float32)])
    codes = CompactVectors.of(rows, "int8")
    np.testing.assert_allclose(codes.scores(vectors[:5]), vectors[:5] @ rows.T, atol=0.02)
    assert not codes.scores(vectors[:5])[:, -1].any()


def test_short_catalogues_and_unknown_kinds(vectors: np.ndarray) -> None:
    rows, _ = CompactVectors.of(vectors[:3], "binary").search(vectors[:1], 10, vectors=vectors[:3])
    assert sorted(rows[0].tolist()) == [0, 1, 2]
    assert CompactVectors.of(vectors, "int8").search(vectors[:0], 4)[0].shape == (0, 4)
    with pytest.raises(ConfigError, match=f"kept as {', '.join(KINDS)}"):
        CompactVectors.of(vectors, "int4")  # type: ignore[arg-type]


def test_leading_axes_carry_most(vectors: np.ndarray) -> None:
    spread = vectors * np.geomspace(1, 0.01, 64).astype(np.float32)
    axes = Projection.fit(spread)
    whole, few = axes.apply(spread, 64), axes.apply(spread, 16)
    np.testing.assert_allclose(np.linalg.norm(few, axis=1), 1, atol=1e-5)
    # Any number of leading components is the projection to that number.
    cut = whole[:, :16] / np.linalg.norm(whole[:, :16], axis=1, keepdims=True)
    np.testing.assert_allclose(cut, few, atol=1e-5)
    assert np.abs(whole @ whole.T - few @ few.T).mean() < 0.05
    assert not axes.apply(np.zeros((1, 64), np.float32), 4).any()
    restored = Projection.from_arrays(axes.arrays())
    np.testing.assert_array_equal(restored.apply(spread, 4), axes.apply(spread, 4))
