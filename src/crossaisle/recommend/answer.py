"""What a recommender answers: a list of recommendations, and what was done to make it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import polars as pl

from crossaisle.data.merchandising.rules import Action
from crossaisle.data.query import Placement
from crossaisle.recommend.explain import Explanation

TOO_FEW = ": no more items match the placement and its filters"
"""How the notice of a page ends that is shorter than was asked for."""


@dataclass(frozen=True)
class Recommendation:
    """One item of a list."""

    rank: int
    """1 = first of the whole list."""
    item_id: str
    title: str
    category: str
    """Primary category path, "" where unknown."""
    price: float | None
    score: float
    evidence: Explanation | None = None
    """Where the score comes from; present when the query asked to explain."""
    more_like_it: int = 0
    """Number of other matching items of this title and brand, of any size, left out by `one_per_title`."""
    in_place_of: str = ""
    """Id of the best item of its family, where the user had this one: place, score and evidence are of it."""

    @property
    def row(self) -> tuple[int, str, str, str, float | None, float, str | None]:
        """Rank, id, title, category, price, score and the sentence of the explanation: a row of a table."""
        why = self.evidence.text if self.evidence else None
        return self.rank, self.item_id, self.title, self.category, self.price, self.score, why


@dataclass(frozen=True)
class AppliedRule:
    """What a merchandiser's rule did to a page of a list."""

    id: str
    action: Action
    items: tuple[str, ...]
    """Ids of the items that it removed from the page, or moved."""
    reason: str = ""


@dataclass(frozen=True)
class RecommendationList:
    """The answer to one query: its page of the list."""

    placement: Placement
    served: Placement
    """What was served: `trending` instead of the placement where there was no history to go by."""
    user: str | None
    items: tuple[Recommendation, ...]
    notices: tuple[str, ...] = ()
    """What the caller should know: an unknown user, items passed over, a short list."""
    cross_share: float | None = None
    """The share of these items outside the home categories; None without a history."""
    relevance_kept: float | None = None
    """Sum of scores, from the first place of the list on, over that of the best list without what arranges
    it: quotas, caps on titles and brands, share, diversity."""
    rules: tuple[AppliedRule, ...] = ()
    """A merchandiser's rules that changed this page."""
    rules_cost: float | None = None
    """The share of the sum of scores, from the first place of the list on, that rules cost beside the list
    without them; below 0 where a pin makes a short list longer; None where no rule holds."""

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Recommendation]:
        return iter(self.items)

    @property
    def ids(self) -> list[str]:
        """Item ids, best first."""
        return [r.item_id for r in self.items]

    @property
    def notice(self) -> str:
        """All notices in one line, "" without any."""
        return "; ".join(self.notices)

    def __str__(self) -> str:
        """A table, with what the caller should know below it."""
        return "\n".join([str(self.to_polars()), *self.notices])

    def _repr_html_(self) -> str:
        """The same in a notebook."""
        return self.to_polars()._repr_html_() + "".join(f"<p>{escape(one)}</p>" for one in self.notices)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def to_polars(self) -> pl.DataFrame:
        """One row per recommendation; `why` is the sentence of the explanation, null without one."""
        schema = {
            "rank": pl.Int32,
            "item_id": pl.String,
            "title": pl.String,
            "category": pl.String,
            "price": pl.Float64,
            "score": pl.Float32,
            "why": pl.String,
        }
        rows = [r.row for r in self.items]
        return pl.DataFrame(rows, schema=schema, orient="row")
