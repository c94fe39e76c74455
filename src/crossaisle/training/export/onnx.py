"""`export_onnx`: exports a text encoder to a folder that can be served without torch."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from crossaisle.artifact import writing
from crossaisle.data.history import Floats
from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.encoders.weights import POOLING, TOKENIZER, write_prefix
from crossaisle.errors import ArtifactError, ConfigError
from crossaisle.training.text.backbone import Backbone

KIND = "encoder"
"""The kind in the manifest of an exported folder."""
FLOOR = 0.98
"""Minimum mean cosine between the vectors of an int8 model and float32; below it, nothing is saved."""
OPSET = 20


@dataclass(frozen=True)
class Fidelity:
    """How close the vectors of a compressed model are to those of the original."""

    mean: float
    """Mean cosine over the texts."""
    worst: float
    """Lowest cosine over the texts."""
    texts: int


def export_onnx(
    backbone: Backbone,
    out: str | Path,
    *,
    texts: Sequence[str],
    int8: bool = True,
    floor: float = FLOOR,
) -> Fidelity:
    """Writes `model.onnx`, `tokenizer.json` and `1_Pooling/config.json` for `OnnxEncoder`, atomically.

    `int8` stores weights as 8-bit integers with one scale per channel, and quantizes activations at run time
    ("dynamic"). Weights use 7 of the 8 bits, because without VNNI instructions the sums of products would
    overflow 16 bits (`reduce_range` of onnxruntime). Both models encode `texts`; `ArtifactError` if their
    mean cosine is below `floor`, or below .999 for float32.
    """
    spoken = [text for text in dict.fromkeys(texts) if text.strip()]
    if not spoken:
        raise ConfigError("export: give some texts of the catalogue: fidelity is checked on them")
    with tempfile.TemporaryDirectory() as work, writing(out, KIND) as folder:
        plain = Path(work) / "model.onnx"
        _to_onnx(backbone, plain)
        if int8:
            _quantize(plain, folder / "model.onnx")
        else:
            shutil.copyfile(plain, folder / "model.onnx")
        backbone.tokenizer.save(str(folder / TOKENIZER))
        _write_pooling(backbone, folder / POOLING)
        write_prefix(folder, backbone.prefix)
        found = OnnxEncoder(folder, max_tokens=backbone.max_tokens).encode(spoken)
        fidelity = compare(found, backbone.encode(spoken))
        least = floor if int8 else max(floor, 0.999)
        if not fidelity.mean >= least:
            raise ArtifactError(
                f"{out}: not saved: mean cosine of {'int8' if int8 else 'ONNX'} to float32 vectors is "
                f"{fidelity.mean:.4f} on {fidelity.texts} texts, below {least}: "
                + ("serve this model in float32 (int8 off)" if int8 else "report this model's architecture")
            )
        (folder / "export.json").write_text(json.dumps({"int8": int8, **asdict(fidelity)}, indent=1))
    return fidelity


def compare(found: Floats, wanted: Floats) -> Fidelity:
    """Row-wise cosines of two float32 (n, d) with rows of unit length."""
    cosines = np.einsum("nd,nd->n", found, wanted)
    return Fidelity(float(cosines.mean()), float(cosines.min()), len(cosines))


class _Hidden(nn.Module):
    """Token ids and mask -> hidden states: the part that is exported; pooling is done outside.

    A projection of the pooled vector is applied to every token instead, as pooling is linear.
    """

    def __init__(self, model: Any, projection: nn.Linear | None) -> None:
        super().__init__()
        self.model, self.projection = model, projection

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden: Tensor = self.model(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False
        ).last_hidden_state
        return hidden if self.projection is None else cast(Tensor, self.projection(hidden))


def _to_onnx(backbone: Backbone, file: Path) -> None:
    """Exports with both axes dynamic: any number of texts, of any length up to the model's limit."""
    limit = int(getattr(backbone.model.config, "max_position_embeddings", 512))
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("width", max=limit)}
    ids = torch.full((3, min(7, limit)), backbone.pad_id)
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    training = backbone.training
    backbone.eval()
    try:
        with quietly(), torch.no_grad():
            torch.onnx.export(
                _Hidden(backbone.model, backbone.projection).eval(),
                (ids, mask),
                str(file),
                input_names=["input_ids", "attention_mask"],
                output_names=["hidden"],
                dynamic_shapes={"input_ids": axes, "attention_mask": axes},
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        first = str(error).strip().splitlines()[0]
        raise ArtifactError(
            f"{type(backbone.model).__name__} cannot be exported to ONNX ({first})"
        ) from error
    finally:
        backbone.train(training)


def _quantize(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quietly():
        quantize_dynamic(source, target, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)


def _write_pooling(backbone: Backbone, file: Path) -> None:
    keys = {
        "first": "pooling_mode_cls_token",
        "last": "pooling_mode_lasttoken",
        "mean": "pooling_mode_mean_tokens",
    }
    file.parent.mkdir(exist_ok=True)
    settings: dict[str, Any] = {key: name == backbone.pooling for name, key in keys.items()}
    file.write_text(json.dumps({"word_embedding_dimension": backbone.dimension, **settings}, indent=1))


@contextmanager
def quietly() -> Iterator[None]:
    """Silences the exporter's warnings about its own internals."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
