"""Out-of-memory handling: repeats the work in halves, and reports it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch

from crossaisle.data.history import Floats
from crossaisle.errors import CrossaisleError
from crossaisle.progress import Say

_LOG = logging.getLogger(__name__)
_RAISED = (torch.OutOfMemoryError, MemoryError, RuntimeError)


class Halved(Protocol):
    """The state of a training that concerns batch size."""

    step: int
    halvings: int
    """How often the batch was halved because memory ran out."""


def ran_out(error: Exception) -> bool:
    """Whether an exception of the library means out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)


def halving(step: Callable[[], float], state: Halved, batch: int, note: Say) -> float:
    """A training step; when memory runs out, from then on with half the examples at a time
    (`state.halvings`)."""
    while True:
        try:
            return step()
        except _RAISED as error:
            if not ran_out(error):
                raise
            if batch >> (state.halvings + 1) < 2:
                raise CrossaisleError(
                    "memory ran out with two examples at a time: use a smaller backbone, or train.moves=head"
                ) from error
            state.halvings += 1
            size = batch >> state.halvings
            note(f"step {state.step + 1}: memory ran out; {size} examples at a time from here on")


def in_halves(read: Callable[[Sequence[Sequence[int]]], Floats], texts: Sequence[Sequence[int]]) -> Floats:
    """`read` applied to texts, one row each; if memory runs out, to one half after the other."""
    try:
        return read(texts)
    except _RAISED as error:
        if len(texts) < 2 or not ran_out(error):
            raise
    middle = len(texts) // 2
    _LOG.warning("memory ran out reading %d texts at once; %d at a time for these", len(texts), middle)
    return np.concatenate([in_halves(read, texts[:middle]), in_halves(read, texts[middle:])])
