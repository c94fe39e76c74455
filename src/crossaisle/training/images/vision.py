"""`export_vision`: exports an image model of transformers to a folder that encodes pictures without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from crossaisle.artifact import writing
from crossaisle.config import HUB_NAME
from crossaisle.encoders.base import unit_rows
from crossaisle.encoders.images.image_encoder import SETTINGS, VisionEncoder
from crossaisle.errors import ArtifactError, FetchError
from crossaisle.fetch import hub_folder
from crossaisle.training.export.onnx import KIND, OPSET, compare, quietly
from crossaisle.training.text.backbone import read_checkpoint
from crossaisle.training.torch_library import require

PREPROCESSOR = "preprocessor_config.json"
_CHECKED = 4  # pictures of noise with which the file is compared to the model


def export_vision(name: str | Path, out: str | Path) -> float:
    """Writes `model.onnx` and `picture.json` for `VisionEncoder`, atomically; returns the mean cosine of both
    models.

    `name`: a folder with a checkpoint, or "owner/name" on the hub. The vector of CLIP and SigLIP is their
    image embedding, that of ViT-like models the first token, that of convolutional ones the mean over the
    picture. timm checkpoints need timm installed. Raises `FetchError` and `ArtifactError`.
    """
    require("exporting an image model")
    from transformers import AutoModel

    folder = _folder(str(name))
    model = read_checkpoint(folder, AutoModel)
    settings = _preparation(folder, model.config)
    size = settings["size"]
    look = _Look(model).eval()
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(_CHECKED, 3, size, size)).astype(np.float32)
    try:
        with torch.no_grad():
            wanted = look(torch.from_numpy(pixels)).float().numpy()
    except (TypeError, ValueError, AttributeError) as error:
        raise FetchError(f"{folder}: {type(model).__name__} is no image model ({error})") from error
    settings["dimension"] = int(wanted.shape[1])
    with writing(out, KIND) as fresh:
        _to_onnx(look, torch.from_numpy(pixels[:2]), fresh / "model.onnx")
        (fresh / SETTINGS).write_text(json.dumps(settings, indent=1), encoding="utf-8")
        fidelity = compare(VisionEncoder(fresh).vectors(pixels), unit_rows(wanted))
        if not fidelity.mean >= 0.999:
            raise ArtifactError(
                f"{out}: not saved: mean cosine of ONNX to the model's vectors is {fidelity.mean:.4f}, "
                "below .999: report this model's architecture"
            )
    return fidelity.mean


class _Look(nn.Module):
    """Pixels float (n, 3, size, size) -> vectors (n, d)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        if hasattr(self.model, "get_image_features"):
            found = self.model.get_image_features(pixel_values=pixels)
            pooled: Tensor = getattr(found, "pooler_output", found)
            return pooled
        hidden: Tensor = self.model(pixel_values=pixels).last_hidden_state
        return hidden.mean(dim=(2, 3)) if hidden.ndim == 4 else hidden[:, 0]


def _folder(name: str) -> Path:
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if HUB_NAME.fullmatch(name):
        return hub_folder(name, patterns=("config.json", "*.safetensors", PREPROCESSOR))
    raise FetchError(f"{name}: no such folder (an image model is a folder or 'owner/name' on the hub)")


def _preparation(folder: Path, config: Any) -> dict[str, Any]:
    """The `size`, `mean` and `std` that the model expects."""
    file = folder / PREPROCESSOR
    try:
        given = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise FetchError(f"{file}: is no JSON ({error})") from error
    timm = getattr(config, "pretrained_cfg", None) or {}
    mean, std = given.get("image_mean", timm.get("mean")), given.get("image_std", timm.get("std"))
    if mean is None or std is None:
        raise FetchError(f"{folder}: neither {PREPROCESSOR} nor config.json says how pixels are to be scaled")
    inner = getattr(config, "vision_config", config)
    size = given.get("crop_size") or given.get("size") or getattr(inner, "image_size", None)
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge")
    size = size or timm.get("input_size", (None, None))[1]
    if not isinstance(size, int):
        raise FetchError(
            f"{folder}: neither {PREPROCESSOR} nor config.json says how large pictures are to be"
        )
    return {"size": size, "mean": list(mean), "std": list(std)}


def _to_onnx(look: nn.Module, pixels: Tensor, file: Path) -> None:
    try:
        with quietly(), torch.no_grad():
            torch.onnx.export(
                look,
                (pixels,),
                str(file),
                input_names=["pixels"],
                output_names=["vectors"],
                dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}},
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        first = str(error).strip().splitlines()[0]
        raise ArtifactError(f"{file.parent}: the model cannot be exported to ONNX ({first})") from error
