"""A picture encoder small enough to write by hand, and pictures of one colour."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from crossaisle.encoders.images.image_encoder import WIDTHS

Image = pytest.importorskip("PIL.Image", reason="needs  pip install 'crossaisle[image]'")
onnx = pytest.importorskip("onnx", reason="needs  pip install 'crossaisle[train]'")


def picture_encoder(path: Path) -> Path:
    """A picture encoder whose vectors are maps of the mean colour."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(size=(3, width)).astype(np.float32), f"w{i}")
        for i, width in enumerate(WIDTHS[:2])
    ]
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w0"], ["final"]),
        helper.make_node("MatMul", ["flat", "w1"], ["stages"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["b", 3, 224, 224])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", width])
            for name, width in zip(("final", "stages"), WIDTHS, strict=False)
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path / "model.onnx"))
    return path


def png(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (12, 16), colour).save(out, "PNG")
    return out.getvalue()


def vision_encoder(path: Path, *, width: int = 16, seed: int = 0) -> Path:
    """The same as other image models are exported: one output, and a file of settings."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(seed).normal(size=(3, width)).astype(np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["out"]),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["b", 3, 16, 16])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["b", width])
    graph = helper.make_graph(nodes, "tiny", [pixels], [out], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path / "model.onnx"))
    settings = {"size": 16, "mean": [0.5] * 3, "std": [0.25] * 3, "dimension": width}
    (path / "picture.json").write_text(json.dumps(settings))
    return path
