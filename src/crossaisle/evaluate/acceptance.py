"""The guard against negative transfer: a trained model is used only if it is provably better."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.evaluate.significance import Bootstrap


@dataclass(frozen=True)
class Verdict:
    """Whether a trained or transferred model replaces what there was without it."""

    model: str
    fallback: str
    accepted: bool
    value: float
    """Mean of the model on validation."""
    fallback_value: float
    difference: float
    low: float
    """95 % interval of the difference, paired bootstrap over cases."""
    high: float
    p: float
    """Two-sided, of the paired difference."""
    n: int
    """Validation cases."""

    @property
    def serves(self) -> str:
        """The model that serves."""
        return self.model if self.accepted else self.fallback

    @property
    def statement(self) -> str:
        """One sentence for reports and logs."""
        gap = f"{self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}] on {self.n:,} validation cases"
        if self.accepted:
            return f"{self.model} is used: better than {self.fallback} by {gap}"
        return f"{self.fallback} is used: {self.model} is not provably better ({gap})"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with `serves` and `statement`."""
        return asdict(self) | {"serves": self.serves, "statement": self.statement}


def guard(
    model: str,
    values: Floats,
    fallback: str,
    fallback_values: Floats,
    *,
    level: float = 0.05,
    resamples: int = 1000,
    seed: int = 0,
) -> Verdict:
    """Accepts `model` only if its mean is higher and a paired test says so at `level`.

    `values`, `fallback_values`: one figure per validation case, float (n,), higher is better, in the
    same order; cases that are NaN in either do not count. A model whose scores are NaN or without
    cases is never accepted.
    """
    mine, theirs = np.asarray(values, np.float32), np.asarray(fallback_values, np.float32)
    if mine.shape != theirs.shape or mine.ndim != 1:
        raise ValueError(
            f"a paired test needs one value per case of both (found {mine.shape}, {theirs.shape})"
        )
    known = ~np.isnan(mine) & ~np.isnan(theirs)
    mine, theirs, n = mine[known], theirs[known], int(known.sum())
    if not n:
        nothing = float("nan")
        return Verdict(model, fallback, False, nothing, nothing, nothing, nothing, nothing, 1.0, 0)
    bootstrap = Bootstrap(n=n, resamples=resamples, seed=seed)
    gap, p = bootstrap.difference(mine[:, None], theirs[:, None])
    better = bool(gap.value[0] > 0 and p[0] < level and gap.low[0] > 0)
    return Verdict(
        model,
        fallback,
        better,
        float(mine.mean()),
        float(theirs.mean()),
        float(gap.value[0]),
        float(gap.low[0]),
        float(gap.high[0]),
        float(p[0]),
        n,
    )
