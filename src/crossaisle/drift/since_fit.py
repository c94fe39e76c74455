"""`SinceFit`: how far a model has come from its last full fit."""

from __future__ import annotations

from typing import NamedTuple

MUCH = 0.1
"""Share of events that came since the fit, from which on weights, rankers and what was kept should be fitted
again."""


class SinceFit(NamedTuple):
    """What updates have added to a model."""

    fitted_on: int
    """Events of the last full fit."""
    events: int = 0
    """Events since."""
    updates: int = 0
    """In so many updates."""

    def later(self, events: int) -> SinceFit:
        """After one more update."""
        return self._replace(events=self.events + events, updates=self.updates + 1)

    @property
    def share(self) -> float:
        """Events since the fit, as a share of all."""
        return self.events / max(self.fitted_on + self.events, 1)

    @property
    def advice(self) -> str:
        """One line on when to fit again."""
        so_far = f"{self.events:,} of {self.fitted_on + self.events:,} events came after the last full fit"
        if self.share < MUCH:
            return f"{so_far} ({self.share:.1%}); fit again from {MUCH:.0%} on, or where `drift` says so"
        return f"{so_far} ({self.share:.1%}): fit again without --incremental"
