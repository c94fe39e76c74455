"""`encode_ahead`: fills the vector cache with a catalogue's texts, using all workers of an executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.encoders.cache import pretrained
from crossaisle.encoders.loading import open_encoder
from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.errors import ConfigError
from crossaisle.execution.executor import Executor


@dataclass(frozen=True)
class Reading:
    """A task that opens a text encoder in a worker, which downloads weights missing on its machine."""

    name: str
    fingerprint: str
    """Fingerprint of the caller's encoder: vectors from other weights must not enter its cache."""
    threads: int | None

    def __call__(self) -> Callable[[Sequence[str]], Floats]:
        encoder = open_encoder(self.name)
        if encoder.fingerprint != self.fingerprint:
            raise ConfigError(
                f"encoder {self.name}: a worker has other weights or settings than this machine "
                f"({encoder.fingerprint}, here {self.fingerprint}): give all machines the same folder"
            )
        if isinstance(encoder, OnnxEncoder) and self.threads is not None:
            encoder.threads = self.threads
        # they are stored as float16 anyway, and half the size to transfer
        return lambda texts: encoder.encode(texts).astype(np.float16)


@dataclass(frozen=True)
class Encoded:
    """Outcome of `encode_ahead`."""

    texts: int
    """Number of distinct texts."""
    fresh: int
    """Number of these encoded now; the others were cached."""


def encode_ahead(
    texts: Sequence[str], executor: Executor, name: str = "minilm", *, progress: bool = False
) -> Encoded:
    """Puts the vectors of `texts` into the cache of the encoder `name`, each distinct text once.

    A later fit finds them there. Vectors from an interrupted call are kept. Raises `ConfigError` if a worker
    has different weights.
    """
    encoder = pretrained(name)
    distinct = list(dict.fromkeys(text for text in texts if text.strip()))
    task = Reading(name, encoder.fingerprint, executor.threads)
    return Encoded(len(distinct), encoder.fill(distinct, executor, task, progress=progress))
