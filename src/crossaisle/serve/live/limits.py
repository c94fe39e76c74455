"""`LiveLimits`: what may be kept, scored at once and waited for, of one shop."""

from __future__ import annotations

from dataclasses import dataclass

from crossaisle.models.base import LARGE
from crossaisle.recommend.ranker import RETRIEVED


@dataclass(frozen=True, kw_only=True)
class LiveLimits:
    """Of one shop in one process."""

    ranking_items: int = 1000
    """Items: the best ones kept of a ranking. A list that needs more than these is scored again."""
    rankings: int = 5120
    """Rankings kept: of users, of items in view, and of what is popular."""
    large_items: int = LARGE
    """Items: in a shop with more than these, the best are retrieved instead of scoring all."""
    retrieved_items: int = RETRIEVED
    """Items that each part of a blend retrieves in a large shop."""
    trending_items: int = 4096
    """Items of a large shop that lists of what is popular are made from."""
    narrow_items: int = 20_000
    """Items of a large shop: where filters leave at most this many to be scored, all of them are."""
