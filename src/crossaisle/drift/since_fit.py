"""`SinceFit`: how much a model has been updated since its last full fit."""

from __future__ import annotations

from typing import NamedTuple

MUCH = 0.1
"""Share of events since the fit from which on weights, rankers and pruned matrices should be refitted."""


class SinceFit(NamedTuple):
    """Updates added to a model since its last full fit."""

    fitted_on: int
    """Number of events at the last full fit."""
    events: int = 0
    """Number of events added since."""
    updates: int = 0
    """Number of updates that added them."""

    def later(self, events: int) -> SinceFit:
        """The state after one more update."""
        return self._replace(events=self.events + events, updates=self.updates + 1)

    @property
    def share(self) -> float:
        """Events since the fit as a share of all events."""
        return self.events / max(self.fitted_on + self.events, 1)

    @property
    def advice(self) -> str:
        """One line on when to refit."""
        so_far = f"{self.events:,} of {self.fitted_on + self.events:,} events came after the last full fit"
        if self.share < MUCH:
            return f"{so_far} ({self.share:.1%}); fit again from {MUCH:.0%} on, or where `drift` says so"
        return f"{so_far} ({self.share:.1%}): fit again without --incremental"
