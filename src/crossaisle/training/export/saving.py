"""Saves a finished training as a folder: checkpoint, ONNX file for serving without torch, and curves."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.artifact import writing
from crossaisle.errors import CrossaisleError
from crossaisle.evaluate.files import write_json, write_text
from crossaisle.evaluate.report.curves import Curve, curves
from crossaisle.progress import Say, silent
from crossaisle.training.export.onnx import KIND, export_onnx
from crossaisle.training.text.backbone import Backbone
from crossaisle.training.text.pretrain import Pretrained
from crossaisle.training.text.trainer import Trained

CURVES, RECORD, HISTORY_MAP = "curves.svg", "train.json", "history_map.npy"


def keep(
    trained: Trained,
    out: str | Path,
    facts: Mapping[str, Any],
    texts: Sequence[str],
    *,
    fallback: Backbone | None = None,
    say: Say = silent,
) -> None:
    """Writes `out` atomically, in a form that both `Backbone.load` and `--encoder` can read.

    `config.json`, `model.safetensors`, `tokenizer.json`, `1_Pooling/`, with a trained head also `2_Dense/`;
    next to them `model.onnx`; `history_map.npy` for a directed model; `curves.svg`; `train.json` with
    `facts`. `texts` of the catalogue are encoded to compare the ONNX file with the checkpoint: it is int8 if
    the vectors stay the same, else float32. If a `fallback` is given, that model is saved instead, but with
    the curves and the record of the training.
    """
    backbone = trained.backbone if fallback is None else fallback
    with writing(out, KIND) as folder, tempfile.TemporaryDirectory() as work:
        exported = _export(backbone, Path(work), texts, say)
        if exported is not None:
            shutil.copyfile(Path(work) / exported["file"] / "model.onnx", folder / "model.onnx")
        backbone.save(folder)
        if trained.history_map is not None and fallback is None:
            np.save(folder / HISTORY_MAP, trained.history_map, allow_pickle=False)
        write_text(folder / CURVES, picture(trained))
        write_json(folder / RECORD, {**facts, **record(trained), "onnx": exported})


def _export(backbone: Backbone, work: Path, texts: Sequence[str], say: Say) -> dict[str, Any] | None:
    """Facts about the export; None, with a sentence saying why, if the model can only be saved as a
    checkpoint."""
    for name in ("int8", "float32"):
        try:
            found = export_onnx(backbone, work / name, texts=texts, int8=name == "int8")
        except CrossaisleError as error:  # a failed export must not lose a long training
            say(f"note: no {name} model.onnx: {error}")
        else:
            return {"file": name, "mean_cosine": found.mean, "worst_cosine": found.worst}
    return None


def record(trained: Trained) -> dict[str, Any]:
    """The course of a training, ready for JSON."""
    progress = trained.progress
    return {
        "steps": progress.step,
        "best_step": progress.best_step,
        "best_ndcg": progress.best,
        "losses": progress.losses,
        "validations": progress.validations,
        "notes": trained.notes,
    }


def picture(trained: Trained) -> str:
    """SVG: training loss, and NDCG@10 on validation with the selected step marked."""
    progress = trained.progress
    panels = [Curve("Training loss", progress.losses)]
    if progress.validations:
        panels.append(Curve("Validation NDCG@10 (sample)", progress.validations, mark=progress.best_step))
    return curves(panels)


def keep_pretrained(found: Pretrained, out: str | Path, facts: Mapping[str, Any]) -> None:
    """Writes `out` atomically: the checkpoint from which `train` continues, `curves.svg`, `pretrain.json`."""
    progress = found.progress
    panels = [
        Curve("Training loss", progress.losses),
        Curve("Held-out perplexity", progress.validations, mark=progress.best_step),
    ]
    with writing(out, KIND) as folder:
        found.backbone.save(folder)
        write_text(folder / CURVES, curves(panels))
        rest = {"losses": progress.losses, "validations": progress.validations, "notes": found.notes}
        write_json(folder / "pretrain.json", {**facts, "best_step": progress.best_step, **rest})
