from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossaisle.encoders.images.alignment import Alignment, Fusion, Head
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


@pytest.mark.parametrize("fuse", ["sum", "concatenate", "gated"])
def test_every_fusion_places_items_that_lack_a_side(fuse: Fusion) -> None:
    rng = np.random.default_rng(0)
    eye = np.eye(4, dtype=np.float32)
    plain = Head(np.zeros(4, np.float32), np.ones(4, np.float32), eye, np.zeros(4, np.float32))
    alignment = Alignment(({"image": plain, "text": plain},))
    images = rng.normal(size=(5, 4)).astype(np.float32)
    texts = rng.normal(size=(5, 4)).astype(np.float32)
    images[0], texts[1], images[2], texts[2] = 0, 0, 0, 0
    placed = alignment.items(images, texts, fuse=fuse)
    np.testing.assert_allclose(np.linalg.norm(placed, axis=1), [1, 1, 0, 1, 1], atol=1e-6)
    here = alignment.place("text", texts)[0]
    np.testing.assert_allclose(placed[0][-4:], here, atol=1e-6)


def test_the_gate_listens_to_the_side_that_says_something() -> None:
    eye = np.eye(3, dtype=np.float32)
    plain = Head(np.zeros(3, np.float32), np.ones(3, np.float32), eye, np.zeros(3, np.float32))
    alignment = Alignment(({"image": plain, "text": plain},))
    same_picture = np.tile(np.array([[1, 0, 0]], np.float32), (4, 1))
    titles = np.array([[0, 1, 0], [0, 0, 1], [0, -1, 0], [0, 0, -1]], np.float32)
    placed = alignment.items(same_picture, titles, fuse="gated")
    assert (placed * titles).sum(axis=1).min() > 0.99
