"""`encode_ahead`: the texts of a catalogue into the cache of vectors, by as many workers as there are."""

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
    """Opens a text encoder in a worker, which fetches weights that its machine lacks."""

    name: str
    fingerprint: str
    """That of the one who asks: vectors of other weights must not get into the cache."""
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
        # Kept as float16, so half of it need not travel.
        return lambda texts: encoder.encode(texts).astype(np.float16)


@dataclass(frozen=True)
class Encoded:
    """What `encode_ahead` did."""

    texts: int
    """Distinct ones."""
    fresh: int
    """Of these, encoded now; the others were in the cache."""


def encode_ahead(
    texts: Sequence[str], executor: Executor, name: str = "minilm", *, progress: bool = False
) -> Encoded:
    """Puts the vectors of `texts` into the cache of the encoder `name`, each distinct text once.

    A later fit finds them there. What an interrupted call encoded is kept. Raises `ConfigError` where a
    worker has other weights.
    """
    encoder = pretrained(name)
    distinct = list(dict.fromkeys(text for text in texts if text.strip()))
    task = Reading(name, encoder.fingerprint, executor.threads)
    return Encoded(len(distinct), encoder.fill(distinct, executor, task, progress=progress))
