"""Recommendation lists and their items."""

from __future__ import annotations

from dataclasses import dataclass

from crossaisle.api_types.described import DESCRIBED
from crossaisle.data.query import Placement
from crossaisle.recommend.answer import AppliedRule
from crossaisle.recommend.explain import Explanation
from crossaisle.recommend.rank import Unplaced


@dataclass(frozen=True, kw_only=True)
class Recommended:
    """One item of a list."""

    __pydantic_config__ = DESCRIBED
    rank: int
    """1 = first."""
    item_id: str
    title: str
    category: str
    """Primary category path; "" if unknown."""
    price: float | None
    score: float
    brand: str = ""
    image: str | None = None
    """URL of its picture, or its path on this service if it was uploaded; null if it has none, or only a
    file."""
    url: str | None = None
    """URL of its product page in the shop."""
    currency: str = ""
    """Currency of the price: a code such as EUR, or a sign; "" if unknown."""
    more_like_it: int = 0
    """Number of other eligible items with this title and brand, in any size; `one_per_title` leaves them
    out."""
    why: str | None = None
    """One sentence; present if an explanation was requested and a reason contributes enough to the score."""
    evidence: Explanation | None = None
    """Contributions to the score; present if an explanation was requested."""


@dataclass(frozen=True, kw_only=True)
class InExperiment:
    """The experiment that decided how the list was made."""

    name: str
    arm: str | None
    """null if the list is interleaved from two arms."""


@dataclass(frozen=True, kw_only=True)
class RecommendedList:
    """The response to a request for one list."""

    __pydantic_config__ = DESCRIBED
    placement: Placement
    served: Placement
    """The placement that was actually served: `trending` if there was no history."""
    user: str | None
    items: tuple[Recommended, ...]
    notices: tuple[str, ...]
    cross_share: float | None
    """Share of the list from outside the user's usual categories; null without a history."""
    relevance_kept: float | None
    """Sum of scores relative to that of the list without quotas, caps on titles and brands, cross-category
    share and diversity."""
    rules: tuple[AppliedRule, ...] = ()
    """The merchandiser's rules that changed this page: what each removed or moved."""
    rules_cost: float | None = None
    """Share of the sum of scores lost to rules, relative to the list without them; null if no rule
    applies."""
    experiment: InExperiment | None = None
    """Present if an experiment decided how the list was made."""

    @property
    def ids(self) -> list[str]:
        """Item ids, best first."""
        return [r.item_id for r in self.items]


@dataclass(frozen=True, kw_only=True)
class RankedList(RecommendedList):
    """A list retrieved by another system and ranked here; experiments do not affect it."""

    __pydantic_config__ = DESCRIBED
    unplaced: tuple[Unplaced, ...] = ()
    """The items left out of the list, in the order in which they were sent."""


@dataclass(frozen=True, kw_only=True)
class VisitorItem:
    """The parts of an item that a page shows to visitors."""

    item_id: str
    title: str
    category: str | None
    brand: str
    price: float | None
    currency: str
    image: str | None
    """URL of its picture elsewhere; null if it has none."""
    url: str | None
    why: str | None = None
    """One sentence; present if requested and there is a reason to give."""


@dataclass(frozen=True, kw_only=True)
class VisitorList:
    """A list for one visitor."""

    __pydantic_config__ = DESCRIBED
    placement: Placement
    served: Placement
    items: tuple[VisitorItem, ...]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What happened to the events in a request."""

    __pydantic_config__ = DESCRIBED
    accepted: int
    duplicates: int
    """Events whose idempotency key was already known."""
    forgotten: int = 0
    """Events from before their user's deletion, therefore not stored. Present if there are any."""
    refused: int = 0
    """Invalid lines of NDJSON; for events from a page, those of unknown items."""
    errors: tuple[str, ...] = ()
    """What is wrong with the first refused lines."""
    notices: tuple[str, ...] = ()
    """Notices of unknown event kinds and items, which are stored all the same."""
