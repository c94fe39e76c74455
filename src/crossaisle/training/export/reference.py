"""sentence-transformers, the usual way to run such models: the reference in comparisons."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from crossaisle.data.history import Floats
from crossaisle.errors import MissingDependencyError


class SentenceTransformerEncoder:
    """A checkpoint folder run by sentence-transformers in float32 (Reimers and Gurevych, EMNLP 2019)."""

    def __init__(self, folder: Path, *, max_tokens: int = 64, batch_size: int = 64) -> None:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise MissingDependencyError("sentence-transformers", "train", "the comparison of encoding speed")
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(str(folder), device="cpu")
        self._model.max_seq_length = max_tokens
        self.batch_size = batch_size

    def encode(self, texts: Sequence[str]) -> Floats:
        """float32 (len(texts), d), rows of unit length."""
        found = self._model.encode(
            list(texts), batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(found, np.float32)

    def choose_threads(self, texts: Sequence[str], cores: int) -> int:
        """Sets one thread or one per core, whichever encodes `texts` faster; on a busy machine that is
        one."""
        seconds = {}
        for threads in {1, cores}:
            torch.set_num_threads(threads)
            self.encode(texts[:8])
            start = time.perf_counter()
            self.encode(texts)
            seconds[threads] = time.perf_counter() - start
        best = min(seconds, key=lambda threads: seconds[threads])
        torch.set_num_threads(best)
        return best
