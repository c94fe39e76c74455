from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.errors import ArtifactError, ConfigError
from crossaisle.training.export.onnx import compare, export_onnx
from crossaisle.training.text.backbone import Backbone
from tests.training.conftest import WORDS

TEXTS = [" ".join(WORDS[(i + j) % len(WORDS)] for j in range(1 + i % 5)) for i in range(24)]


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_the_exported_model_gives_the_same_vectors(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    backbone = Backbone.load(request.getfixturevalue(kind))
    fidelity = export_onnx(backbone, tmp_path / "out", texts=TEXTS, int8=False)
    assert fidelity.worst > 0.9999
    assert fidelity.texts == len(set(TEXTS))
    served = OnnxEncoder(tmp_path / "out")
    np.testing.assert_allclose(served.encode(["", *TEXTS]), backbone.encode(["", *TEXTS]), atol=1e-4)
    assert backbone.pooling in served.fingerprint


@pytest.mark.slow
def test_int8_is_smaller_and_close(bert: Path, tmp_path: Path) -> None:
    backbone = Backbone.load(bert)
    export_onnx(backbone, tmp_path / "whole", texts=TEXTS, int8=False)
    fidelity = export_onnx(backbone, tmp_path / "int8", texts=TEXTS, floor=0.9)
    found = OnnxEncoder(tmp_path / "int8").encode(TEXTS)
    assert compare(found, backbone.encode(TEXTS)).mean == pytest.approx(fidelity.mean, abs=0.01)
    saved = json.loads((tmp_path / "int8" / "export.json").read_text())
    assert saved == {"int8": True, "mean": fidelity.mean, "worst": fidelity.worst, "texts": fidelity.texts}
    assert b"DynamicQuantizeLinear" in (tmp_path / "int8" / "model.onnx").read_bytes()
    assert b"DynamicQuantizeLinear" not in (tmp_path / "whole" / "model.onnx").read_bytes()


def test_a_model_that_int8_ruins_is_refused(bert: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"not saved: mean cosine of int8 .* below 0\.9999999"):
        export_onnx(Backbone.load(bert), tmp_path / "out", texts=TEXTS, floor=0.9999999)
    assert not (tmp_path / "out").exists()


def test_fidelity_needs_texts(bert: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give some texts"):
        export_onnx(Backbone.load(bert), tmp_path / "out", texts=["", " "])
