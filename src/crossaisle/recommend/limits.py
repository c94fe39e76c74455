"""`ListLimits`: how many candidates lists are made from."""

from __future__ import annotations

from dataclasses import dataclass

RETRIEVED = 500
"""Items that each part of a blend retrieves in a large shop."""


@dataclass(frozen=True, kw_only=True)
class ListLimits:
    """Of one recommender."""

    prefix: int = 1000
    """Candidates: a list is made from this many best ones, from all only where that would change it."""
