from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossaisle.encoders.images.image_encoder import ImageEncoder, colours, open_image_encoder, prepare
from crossaisle.encoders.loading import open_encoder
from crossaisle.errors import ConfigError, FetchError
from tests.encoders.tiny_pictures import picture_encoder, png

Image = pytest.importorskip("PIL.Image", reason="needs  pip install 'crossaisle[image]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_encoder(tmp_path_factory.mktemp("tiny-image"))


def test_damaged_pictures_are_set_aside(folder: Path, tmp_path: Path) -> None:
    encoder = ImageEncoder(folder, cache=tmp_path)
    given = [
        png((200, 0, 0)),
        None,
        b"damaged",
        "http://shop.example/a.png",
        png((0, 0, 200)),
        png((200, 0, 0)),
    ]
    vectors = encoder.encode(given)
    assert vectors.shape == (6, encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 0, 0, 0, 1, 1], atol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[5])
    assert vectors[0] @ vectors[4] < 0.9
    assert sorted(encoder.problems) == [2, 3]
    assert "not a readable" in encoder.problems[2]
    assert "may not be fetched" in encoder.problems[3]


def test_no_picture_is_looked_at_twice(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [png((200, 0, 0)), png((0, 200, 0))]
    first = ImageEncoder(folder, cache=tmp_path).encode(pictures)
    again = ImageEncoder(folder, cache=tmp_path)
    monkeypatch.setattr(ImageEncoder, "frames", lambda *_: pytest.fail("looked again"))
    np.testing.assert_array_equal(again.encode(pictures), first)


def test_preparation() -> None:
    pixels = prepare(Image.new("RGB", (60, 80), (0, 0, 0)))
    assert pixels.shape == (3, 224, 224)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(
        pixels[:, 100, [0, 112]], [[1.0, -127 / 128]] * 3
    )  # white margin, black middle
    red, blue = (colours(Image.new("RGB", (60, 80), c)) for c in ((250, 0, 0), (0, 0, 250)))
    np.testing.assert_allclose(np.linalg.norm(red) ** 2, 2)
    assert red @ blue == 0


def test_missing_and_foreign_weights(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path))
    with pytest.raises(FetchError, match="run  crossaisle models pull efficientnet-lite0"):
        open_image_encoder()
    with pytest.raises(FetchError, match=r"nor a folder with model\.onnx"):
        open_image_encoder(str(tmp_path))
    (tmp_path / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(FetchError, match="could not be loaded"):
        open_image_encoder(str(tmp_path)).encode([png((1, 2, 3))])
    with pytest.raises(ConfigError, match="reads pictures, not texts"):
        open_encoder("efficientnet-lite0")
