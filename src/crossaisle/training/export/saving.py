"""A finished training as a folder: a checkpoint, an ONNX file that serves without torch, the curves."""

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
    """Writes `out`, atomically: what `Backbone.load` reads and what `--encoder` reads, in one folder.

    `config.json`, `model.safetensors`, `tokenizer.json`, `1_Pooling/`, after a head also `2_Dense/`;
    `model.onnx` beside them; `history_map.npy` of a directed model; `curves.svg`; `train.json` with
    `facts`. `texts` of the catalogue are read to compare the ONNX file with the checkpoint: in int8
    where the vectors stay the same, else in float32. With a `fallback`, that is the model which is kept;
    curves and record are those of the training all the same.
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
    """What was exported; None, and a sentence why, where a model can only be kept as a checkpoint."""
    for name in ("int8", "float32"):
        try:
            found = export_onnx(backbone, work / name, texts=texts, int8=name == "int8")
        except CrossaisleError as error:  # a long training is not lost over its export
            say(f"note: no {name} model.onnx: {error}")
        else:
            return {"file": name, "mean_cosine": found.mean, "worst_cosine": found.worst}
    return None


def record(trained: Trained) -> dict[str, Any]:
    """How a training went, ready for JSON."""
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
    """SVG: the training loss, and NDCG@10 on validation with the kept step pointed out."""
    progress = trained.progress
    panels = [Curve("Training loss", progress.losses)]
    if progress.validations:
        panels.append(Curve("Validation NDCG@10 (sample)", progress.validations, mark=progress.best_step))
    return curves(panels)


def keep_pretrained(found: Pretrained, out: str | Path, facts: Mapping[str, Any]) -> None:
    """Writes `out`, atomically: the checkpoint that `train` goes on from, `curves.svg`, `pretrain.json`."""
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
