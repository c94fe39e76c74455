"""`Trials`: what other settings of a part are worth, measured in this process or on workers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from crossaisle.errors import ConfigError
from crossaisle.models.base import Scorer
from crossaisle.pipeline.improving.workbench import Question, Workbench, fingerprint_of


@dataclass(frozen=True)
class Trials:
    """Fits a part with other settings and asks what it is worth alone, in the process where it is opened."""

    bench: Workbench
    part: Scorer
    """As it was: part of the blend, so its fit is kept."""
    question: Question

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"bench": replace(self.bench, fits_={}, scored_={})}

    def __call__(self) -> Callable[[Scorer], tuple[float, str, float]]:
        bench, part = self.bench, self.part
        best, kept = -1.0, part

        def tried(other: Scorer) -> tuple[float, str, float]:
            """Quality, NaN where there is none; why there is none; seconds."""
            nonlocal best, kept
            start, note = time.perf_counter(), ""
            try:
                quality = bench.alone(other, self.question)
            except (ValueError, ConfigError) as error:
                quality, note = float("nan"), str(error)[:200]
            # Only the best so far is asked again; the part as it was is one of the blend.
            better = quality > best
            for gone in (kept,) if better else (other,):
                if fingerprint_of(gone) != fingerprint_of(part):
                    bench.forget(gone)
            if better:
                best, kept = quality, other
            return quality, note, time.perf_counter() - start

        return tried
