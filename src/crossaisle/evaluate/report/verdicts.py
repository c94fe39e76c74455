"""Where the model beats the best single one, with intervals that hold for all claims together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from crossaisle.evaluate.results import Comparison, Evaluation

Word = Literal["better", "worse", "no clear difference"]


@dataclass(frozen=True)
class Verdict:
    """One slice: the model beside the rival that is strongest there, so that no rival is a straw man."""

    slice_: str
    rival: str
    value: float
    rival_value: float
    difference: float
    low: float
    high: float
    """Of the difference: 95 % for all verdicts of a report together (Bonferroni)."""
    n: int

    @property
    def word(self) -> Word:
        """What the interval allows to say."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no clear difference"

    @property
    def change(self) -> float | None:
        """The difference as a share of the rival's value; None where that is 0."""
        return self.difference / self.rival_value if self.rival_value else None


def verdicts(
    evaluation: Evaluation, model: str, others: Sequence[str], slices: Sequence[str], *, metric: str, k: int
) -> dict[str, Verdict]:
    """slice -> verdict. Empty without `others`."""
    if not others:
        return {}
    level = 1 - 0.05 / max(1, len(slices))
    rows = evaluation.compare(model, others, slices=slices, metric=metric, k=k, level=level)
    best: dict[str, Comparison] = {}
    for row in rows:
        if row["slice"] not in best or row["baseline_value"] > best[row["slice"]]["baseline_value"]:
            best[row["slice"]] = row
    return {
        name: Verdict(
            name,
            row["baseline"],
            row["value"],
            row["baseline_value"],
            row["difference"],
            row["low"],
            row["high"],
            row["n"],
        )
        for name, row in best.items()
    }
