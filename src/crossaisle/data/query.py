"""`Query`: everything that can be asked of a recommender, in one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import Literal, get_args

from crossaisle.errors import ConfigError, nearest

Placement = Literal["for_you", "discover", "goes_with", "similar", "buy_again", "trending"]
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)


@dataclass(frozen=True, kw_only=True)
class Query:
    """One request. Unset controls take the default of the placement.

    `for_you`: anything from the history. `discover`: only categories new to the user.
    `goes_with`: items that complement the item or cart in view, from other categories only.
    `similar`: substitutes for the item in view. `buy_again`: items the user had before.
    `trending`: popular now, the same for everybody.
    """

    placement: Placement = "for_you"
    user: str | None = None
    """External user id; an unknown one is served `trending`, and the answer says so."""
    history: tuple[str, ...] | None = None
    """Item ids, oldest first, that stand for the user's history (a session). None: the stored one."""
    items: tuple[str, ...] = ()
    """The item in view, or the cart, for `goes_with` and `similar`."""
    n: int = 10
    """Items to return; fewer where no more fit."""
    offset: int = 0
    """Places of the list that are skipped: with the same `n`, offsets 0, n, 2n, ... are its pages. Each page
    keeps to the share and quotas hold over all; no item is on two pages."""
    cross_share: float | Literal["auto"] | None = None
    """Share of the list from categories outside the user's home categories: 0 to 1, "auto" (the share
    the user's own history shows) or None (scores decide)."""
    include_categories: tuple[str, ...] = ()
    exclude_categories: tuple[str, ...] = ()
    include_items: tuple[str, ...] = ()
    """Only these items, by id; empty: all. Those that the shop does not have cannot be shown: a notice says
    so."""
    exclude_items: tuple[str, ...] = ()
    """Never these items, by id; those that the shop does not have are ignored."""
    quota: int | None = None
    """At most this many items of one category."""
    quotas: Mapping[str, int] = field(default_factory=dict)
    """The same for single categories by name; wins over `quota`."""
    min_price: float | None = None
    max_price: float | None = None
    exclude_seen: bool | None = None
    """Leave out items of the history. Default: True, except `buy_again` and repeat-buying shops."""
    in_stock: bool = True
    diversity: float | None = None
    """0 (relevance only) to 1: maximal marginal relevance over item texts. None: 0, or what an arm sets."""
    explain: bool = False
    page: int | None = None
    """Length of the pages that the list is made in; None: `n`. For those who ask for several at once."""

    @property
    def depth(self) -> int:
        """How many places are ranked: those skipped, and those asked for."""
        return self.n + self.offset

    @property
    def page_length(self) -> int:
        """How many places are arranged at once, from what the places before them left."""
        return self.n if self.page is None else self.page

    def __post_init__(self) -> None:
        if self.placement not in PLACEMENTS:
            raise ConfigError(f"unknown placement {self.placement!r}{nearest(self.placement, PLACEMENTS)}")
        for name, least in (("n", 1), ("offset", 0), ("page", 1), ("quota", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name} must be at least {least} (found {value})")
        self._check_share_and_diversity()
        self._check_prices()
        if self.placement in ("goes_with", "similar") and not self.items:
            raise ConfigError(f"placement {self.placement!r} needs at least one item in view")

    def _check_share_and_diversity(self) -> None:
        share = self.cross_share
        if isinstance(share, str) and share != "auto":
            raise ConfigError(f"cross_share must be a number from 0 to 1, or 'auto' (found {share!r})")
        for name, value in (("cross_share", share), ("diversity", self.diversity)):
            if isinstance(value, int | float) and not 0.0 <= value <= 1.0:
                raise ConfigError(f"{name} must lie between 0 and 1 (found {value})")

    def _check_prices(self) -> None:
        low, high = self.min_price, self.max_price
        for name, price in (("min_price", low), ("max_price", high)):
            if price is not None and isnan(price):
                raise ConfigError(f"{name} must be a number (found {price})")
        if low is not None and high is not None and low > high:
            raise ConfigError(f"min_price must not exceed max_price (found {low} > {high})")
