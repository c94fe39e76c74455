"""Lists and what is in them."""

from __future__ import annotations

from dataclasses import dataclass

from crossaisle.api_types.described import DESCRIBED
from crossaisle.data.query import Placement
from crossaisle.recommend.answer import AppliedRule
from crossaisle.recommend.explain import Explanation
from crossaisle.recommend.rank import Unplaced


@dataclass(frozen=True, kw_only=True)
class Recommended:
    """One place of a list."""

    __pydantic_config__ = DESCRIBED
    rank: int
    """1 = first."""
    item_id: str
    title: str
    category: str
    """Primary category path, "" where unknown."""
    price: float | None
    score: float
    brand: str = ""
    image: str | None = None
    """Address of its picture, or the path here of one that was uploaded; null if it has none, or a file."""
    url: str | None = None
    """Address of its own page in the shop."""
    currency: str = ""
    """Of the price: a code such as EUR, or a sign; "" unknown."""
    more_like_it: int = 0
    """Number of other matching items of this title and brand, of any size, left out by `one_per_title`."""
    why: str | None = None
    """One sentence, if the request asked to explain and something accounts for enough of the score."""
    evidence: Explanation | None = None
    """Where the score comes from; present if the request asked to explain."""


@dataclass(frozen=True, kw_only=True)
class InExperiment:
    """The experiment that decided how the list was made."""

    name: str
    arm: str | None
    """null if the list is interleaved from two arms."""


@dataclass(frozen=True, kw_only=True)
class RecommendedList:
    """The answer to one request for a list."""

    __pydantic_config__ = DESCRIBED
    placement: Placement
    served: Placement
    """The placement that was served: `trending` if there was no history to go by."""
    user: str | None
    items: tuple[Recommended, ...]
    notices: tuple[str, ...]
    cross_share: float | None
    """Share of the list from outside the user's usual categories; null without a history."""
    relevance_kept: float | None
    """Sum of scores, relative to the list without quotas, caps on titles and brands, share and
    diversity."""
    rules: tuple[AppliedRule, ...] = ()
    """The merchandiser's rules that changed this page: what each removed or moved."""
    rules_cost: float | None = None
    """Share of the sum of scores that rules cost, relative to the list without them; null if none holds."""
    experiment: InExperiment | None = None
    """Present if an experiment decided how the list was made."""

    @property
    def ids(self) -> list[str]:
        """Item ids, best first."""
        return [r.item_id for r in self.items]


@dataclass(frozen=True, kw_only=True)
class RankedList(RecommendedList):
    """Items that another system found, ranked; experiments do not affect it."""

    __pydantic_config__ = DESCRIBED
    unplaced: tuple[Unplaced, ...] = ()
    """The items that have no place in the list, in the order they were sent."""


@dataclass(frozen=True, kw_only=True)
class VisitorItem:
    """What a page shows of an item."""

    item_id: str
    title: str
    category: str | None
    brand: str
    price: float | None
    currency: str
    image: str | None
    """Address of its picture elsewhere; null if it has none."""
    url: str | None
    why: str | None = None
    """One sentence, if asked for and there is something to say."""


@dataclass(frozen=True, kw_only=True)
class VisitorList:
    """A row for one visitor."""

    __pydantic_config__ = DESCRIBED
    placement: Placement
    served: Placement
    items: tuple[VisitorItem, ...]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What happened to the events of a request."""

    __pydantic_config__ = DESCRIBED
    accepted: int
    duplicates: int
    """Events whose key was already known."""
    forgotten: int = 0
    """Events no later than the deletion of their user, so not stored. Present if there are any."""
    refused: int = 0
    """Invalid lines of NDJSON; from a page, events of unknown items."""
    errors: tuple[str, ...] = ()
    """What is wrong with the first refused lines."""
    notices: tuple[str, ...] = ()
    """About events of unknown kinds and items, which are kept."""
