"""Results of experiments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossaisle.api_types.described import DESCRIBED


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """What the users of one arm did."""

    __pydantic_config__ = DESCRIBED
    name: str
    users: int
    mean: float | None
    """Mean of the metric per user."""
    low: float | None
    """95 % confidence sequence, valid at all times simultaneously; null while there are too few users."""
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An arm compared with the first one."""

    __pydantic_config__ = DESCRIBED
    arm: str
    baseline: str
    difference: float | None
    """A/B: of the metric per user. Interleaving: share of users who preferred the arm, minus the rest."""
    low: float | None
    """95 % confidence sequence."""
    high: float | None
    users: int
    decided: bool
    """Whether the interval excludes zero, so that the experiment may be stopped."""


@dataclass(frozen=True, kw_only=True)
class PolicyEstimate:
    """Estimated value per list position of an exploring arm's ranking, had it been shown without
    exploration."""

    __pydantic_config__ = DESCRIBED
    arm: str
    estimator: str
    """IPS, SNIPS or DR."""
    served: float
    """Value per list position while exploring."""
    value: float | None
    low: float | None
    """95 % interval, valid for a single look, robust to several lists per user."""
    high: float | None
    rows: int
    effective: float
    """Effective sample size: rows of an unweighted sample with the same precision."""


@dataclass(frozen=True, kw_only=True)
class ExperimentResults:
    """An experiment and its results so far."""

    __pydantic_config__ = DESCRIBED
    experiment: dict[str, Any]
    running: bool
    users: int
    """Users whose window has closed; only these are counted."""
    pending: int
    """Users whose window is still open."""
    exposures: int
    arms: tuple[ArmResult, ...]
    comparisons: tuple[Comparison, ...]
    off_policy: tuple[PolicyEstimate, ...] = ()
    broken: str | None = None
    """Why a running experiment cannot be served: a model is missing or damaged."""
