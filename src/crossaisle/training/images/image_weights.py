"""`pull_image_encoder`: converts the published image weights to `model.onnx` in the cache, once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from crossaisle.encoders.weights import IMAGE, ONNX_FILES, REGISTRY, pull
from crossaisle.training.torch_library import require


def pull_image_encoder() -> Path:
    """The folder with `model.onnx`; downloaded and converted if necessary, and the conversion needs torch."""
    folder = pull(IMAGE)
    target = folder / ONNX_FILES[0]
    if target.is_file():
        return folder
    require("converting picture weights to ONNX")
    from crossaisle.training.images.efficientnet import convert

    with tempfile.TemporaryDirectory(prefix=".convert-", dir=folder) as work:
        fresh = Path(work) / target.name
        convert(folder / REGISTRY[IMAGE].files[0].name, fresh)
        fresh.replace(target)
    return folder
