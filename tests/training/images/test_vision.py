"""Image models with random weights become folders that look at pictures without torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs pip install 'crossaisle[train]'")
pytest.importorskip("onnxscript", reason="needs pip install 'crossaisle[train]'")
pytest.importorskip("PIL", reason="needs pip install 'crossaisle[image]'")

from crossaisle import cli
from crossaisle.encoders.images.image_encoder import VisionEncoder, open_image_encoder
from crossaisle.errors import FetchError
from crossaisle.training.images.vision import PREPROCESSOR, export_vision
from tests.encoders.tiny_pictures import png
from tests.training.conftest import tiny_bert, tiny_clip, tiny_vit


@pytest.mark.parametrize("make", [tiny_clip, tiny_vit])
def test_an_exported_model_sees_what_the_model_sees(make: object, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel

    folder = make(tmp_path / "model")  # type: ignore[operator]
    assert export_vision(folder, tmp_path / "out") > 0.999
    encoder = open_image_encoder(str(tmp_path / "out"))
    assert isinstance(encoder, VisionEncoder)
    encoder.cache = tmp_path / "cache"
    vectors = encoder.encode([png((200, 0, 0)), None, b"damaged", png((0, 0, 200))])
    assert vectors.shape == (4, encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 0, 0, 1], atol=1e-3)
    assert list(encoder.problems) == [2]

    model = AutoModel.from_pretrained(folder).eval()
    pixels = np.full((32, 32, 3), 255.0, np.float32)
    pixels[:, 4:28] = (200, 0, 0)  # 12 x 16 in a white square
    tensor = torch.from_numpy(((pixels / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None].astype(np.float32))
    with torch.no_grad():
        if hasattr(model, "get_image_features"):
            wanted = model.get_image_features(pixel_values=tensor).pooler_output[0].numpy()
        else:
            wanted = model(pixel_values=tensor).last_hidden_state[0, 0].numpy()
    assert vectors[0] @ (wanted / np.linalg.norm(wanted)) > 0.99  # but for the edge, which is smoothed


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_clip(tmp_path / "clip")
    assert cli.run(["models", "export", str(folder), "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean_cosine"] > 0.999


def test_what_is_no_image_model_is_said(tmp_path: Path) -> None:
    bert = tiny_bert(tmp_path / "bert")
    with pytest.raises(FetchError, match="how pixels are to be scaled"):
        export_vision(bert, tmp_path / "out")
    (bert / PREPROCESSOR).write_text(
        json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": 32})
    )
    with pytest.raises(FetchError, match="is not an image model"):
        export_vision(bert, tmp_path / "out")
    with pytest.raises(FetchError, match="no such folder"):
        export_vision("nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_settings_are_one_line(tmp_path: Path) -> None:
    export_vision(tiny_vit(tmp_path / "vit"), tmp_path / "out")
    (tmp_path / "out" / "picture.json").write_text("{}")
    with pytest.raises(FetchError, match="export the model again"):
        open_image_encoder(str(tmp_path / "out")).encode([png((1, 2, 3))])
