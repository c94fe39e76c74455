"""`ProposingStep`: proposes changes, lets the review decide what to apply, rewrites, and reports."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crossaisle.clean_config import Mode
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.report import Change, Proposal, Review, StepReport


@dataclass(frozen=True, kw_only=True)
class ProposingStep(ABC):
    """A step that may be wrong: proposals below `confidence` are only reported, for a person to decide."""

    mode: Mode
    confidence: float
    review: Review
    name: str

    @abstractmethod
    def proposals(self, products: Products) -> Iterable[Proposal]:
        """Which values may be misspellings of which."""

    @abstractmethod
    def applied(self, products: Products, chosen: Mapping[str, str]) -> tuple[Products, list[Change]]:
        """The products after applying `chosen` (before -> after)."""

    def facts(self, before: Products, after: Products) -> dict[str, Any]:
        """Further figures for the report, ready for JSON."""
        return {}

    def __call__(self, products: Products) -> tuple[Products, StepReport]:
        start = time.perf_counter()
        chosen, settled = self.review.settle(
            self.name, self.proposals(products), apply=self.mode == "on", confidence=self.confidence
        )
        done, changes = self.applied(products, chosen)
        report = StepReport(
            name=self.name,
            setting=self.mode,
            rows_in=len(products),
            rows_out=len(done),
            changes=changes,
            proposals=settled,
            learnt=chosen,
            facts=self.facts(products, done),
            seconds=time.perf_counter() - start,
        )
        return done, report
