from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossaisle.encoders.align import Alignment, Head
from crossaisle.errors import ArtifactError


@pytest.fixture
def alignment() -> Alignment:
    rng = np.random.default_rng(0)

    def head(d: int) -> Head:
        weight = rng.normal(size=(d, 4)).astype(np.float32)
        return Head(np.zeros(d, np.float32), np.ones(d, np.float32), weight, np.ones(4, np.float32))

    return Alignment(tuple({"image": head(6), "text": head(5)} for _ in range(2)))


def test_items_with_one_side_only(alignment: Alignment) -> None:
    images, texts = np.eye(4, 6, dtype=np.float32), np.eye(4, 5, dtype=np.float32)
    images[[1, 3]] = 0
    texts[[2, 3]] = 0
    placed = alignment.items(images, texts)
    np.testing.assert_allclose(np.linalg.norm(placed, axis=1), [1, 1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(placed[1], alignment.place("text", texts)[1], atol=1e-6)
    np.testing.assert_allclose(placed[2], alignment.place("image", images)[2], atol=1e-6)


def test_save_and_load(alignment: Alignment, tmp_path: Path) -> None:
    alignment.save(tmp_path / "a")
    rows = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
    loaded = Alignment.load(tmp_path / "a")
    np.testing.assert_array_equal(loaded.place("image", rows), alignment.place("image", rows))
    (tmp_path / "a" / "1-text-bias.npy").write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match="damaged alignment"):
        Alignment.load(tmp_path / "a")
    with pytest.raises(ArtifactError, match="holds no alignment"):
        Alignment.load(tmp_path)
