"""A `Blend` on disk: `parts/<name>/*.npy` and a JSON value that says what they are."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.artifact import read_arrays, reading, write_arrays
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.errors import ArtifactError, ConfigError, shorten
from crossaisle.models.base import Arrays
from crossaisle.models.blend import Blend
from crossaisle.models.registry import make

HEAVIEST = 1e30
"""Of a weight: scores are float32."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


def save_blend(blend: Blend, folder: Path, *, half: bool = False) -> dict[str, Any]:
    """Writes the learned arrays and returns the settings, JSON-ready.

    `half` keeps the weights of sparse matrices as float16 (about 3 digits): a third less on disk.
    """
    parts = {}
    for name, scorer in blend.parts.items():
        if not _NAME.fullmatch(name):
            raise ConfigError(f"part name {name!r} must be lower-case letters, digits and _, to be a folder")
        settings, arrays = scorer.state()
        _check_numbers(name, arrays, scorer.gaps)
        write_arrays(folder / name, _halved(arrays) if half else arrays)
        parts[name] = {"kind": scorer.kind, "settings": settings}
    return {"parts": parts, "weights": blend.weights}


def _check_numbers(part: str, arrays: Arrays, gaps: Container[str]) -> None:
    """`ConfigError` for numbers that no model with them could be loaded with, before it replaces another."""
    for name, value in arrays.items():
        if value.dtype.kind == "f" and (np.isinf(value) if name in gaps else ~np.isfinite(value)).any():
            raise ConfigError(
                f"[model.parts.{part}]: the fit ended in NaN or infinite numbers ({name}): change its "
                f"settings, or leave the part out with leave_out = ['{part}']"
            )


def _halved(arrays: Arrays) -> Arrays:
    """Sparse weights as float16, except where one would overflow or all would vanish."""
    out = dict(arrays)
    for name, value in arrays.items():
        if name.endswith(".data") and value.dtype == np.float32:
            size = np.abs(value[value != 0])
            limits = np.finfo(np.float16)
            if not len(size) or (size.max() <= limits.max and np.median(size) >= limits.tiny):
                out[name] = value.astype(np.float16)
    return out


def load_blend(described: Mapping[str, Any], folder: Path, item_ids: Vocabulary) -> Blend:
    """The opposite of `save_blend`. Arrays that are used as they lie on the disk are memory-mapped."""
    with reading(folder):
        parts = {}
        for name, part in described["parts"].items():
            if not _NAME.fullmatch(name):
                raise ArtifactError(f"{folder}: {shorten(name)} is not the name of a part: fit again")
            with reading(folder / name):
                scorer = make(part["kind"], part["settings"])
                arrays = read_arrays(folder / name, mmap=True, gaps=scorer.gaps)
                parts[name] = scorer.restore(arrays, item_ids)
        weights = described["weights"]
        for placement, chosen in weights.items():
            if not all(isinstance(w, int | float) and abs(w) <= HEAVIEST for w in chosen.values()):
                raise ArtifactError(f"{folder}: weights of {shorten(placement)} must be numbers: fit again")
            if unknown := set(chosen) - set(parts):
                raise ArtifactError(
                    f"{folder}: weights name {shorten(unknown.pop())}, which is not a part: fit again"
                )
        return Blend(parts=parts, weights=weights)
