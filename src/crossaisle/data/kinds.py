"""The meaning of event kinds: which ones express interest, how much, and which ones withdraw it.

Import, live service, refit and streams all take meanings from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from crossaisle.config import DataConfig, KindConfig, Role

Roles = npt.NDArray[np.int8]
ROLES: tuple[Role, ...] = get_args(Role)
VIEW, FAVOURITE, CART, RATING, PURCHASE, DISLIKE, RETURN, REMOVE, IGNORED = range(len(ROLES))
"""Codes of the roles. Roles of interest come first, from weakest to strongest."""
POSITIVE: tuple[Role, ...] = ROLES[: PURCHASE + 1]
WEIGHTS: dict[Role, float] = {"view": 0.2, "favourite": 0.5, "cart": 0.5, "rating": 1.0, "purchase": 1.0}
"""Default weights of events, unless `[data.kinds]` or validation sets others."""
LOW_RATING = 3.0
"""On a scale of 1 to 5 stars; anything below is a dislike."""
MOST_KNOWN = 4096
"""Maximum number of kinds whose meanings are cached."""
SCALES = (1.0, 5.0, 10.0, 100.0)
"""Upper ends of common rating scales."""

_WORDS: dict[Role, str] = {
    "view": """view viewed views click clicked clicks product_view product_viewed item_view view_item
        view_product view_content detail_page_view page_view pageview detail detail_view visit watch watched
        play played listen listened stream read media_play media_complete open opened touch browse
        browsed seen pv""",
    "favourite": """favourite favorite favourites favorites fav like liked likes star wishlist wish
        add_to_wishlist add_to_favorites add_to_favourites save saved save_for_later bookmark bookmarked share
        shared follow subscribe thumbs_up upvote""",
    "cart": """cart carts add_to_cart added_to_cart addtocart cart_add add_to_basket add_to_bag basket
        begin_checkout initiate_checkout checkout checkout_started add_shipping_info add_payment_info
        product_added""",
    "rating": "rating rate rated ratings review reviewed stars score",
    "purchase": """purchase purchased purchases buy bought order ordered orders order_completed
        purchase_complete order_placed transaction transactions sale sold sales checkout_completed payment
        paid conversion rent rented subscription""",
    "dislike": """dislike disliked dislikes not_interested hide hidden thumbs_down downvote block blocked
        report reported""",
    "return": """return returned returns refund refunded refunds cancel cancelled canceled cancellation
        purchase_cancelled order_cancelled order_refunded order_returned chargeback""",
    "remove": """remove_from_cart removed_from_cart removefromcart remove cart_remove remove_from_basket
        remove_from_bag delete_from_cart product_removed uncart remove_from_wishlist remove_from_favorites
        remove_from_favourites unlike unfavorite unfavourite unstar""",
    "ignored": """impression impressions shown exposure view_item_list view_search_results
        select_content search searched home_page_view category_page_view shopping_cart_page_view login
        session_start session_end scroll first_visit user_engagement recommendation view_cart
        logged_in logout sign_up""",
}
DEFAULTS: dict[str, Role] = {word: role for role, words in _WORDS.items() for word in words.split()}
"""Kind -> role, for the kind names common in shops, analytics and recommendation services."""
_SAME = {
    **dict.fromkeys(("basket", "bag", "trolley"), "cart"),
    **dict.fromkeys(("favorites", "favourites", "favorite", "favourite", "favs", "wish"), "wishlist"),
    **dict.fromkeys(("viewed", "views", "viewing"), "view"),
    **dict.fromkeys(("clicked", "clicks"), "click"),
    **dict.fromkeys(("removed", "deleted", "delete"), "remove"),
    **dict.fromkeys(("refunded", "refunds"), "refund"),
    **dict.fromkeys(("returned", "returns"), "return"),
    **dict.fromkeys(("cancelled", "canceled"), "cancel"),
    **dict.fromkeys(("orders", "ordered"), "order"),
    **dict.fromkeys(("purchased", "purchases"), "purchase"),
    "products": "product",
    "items": "item",
    "added": "add",
    "saved": "save",
    "liked": "like",
    "started": "start",
    "completed": "complete",
    "placed": "place",
    "searched": "search",
    "carts": "cart",
}
"""Word in a kind -> its synonym in `DEFAULTS`."""
_NOTHING = frozenset(
    {"to", "from", "of", "the", "a", "an", "in", "product", "item", "article", "sku", "detail"}
)
"""Words in a kind that do not distinguish it from others."""


class Deed(NamedTuple):
    """Phrases for reasons that describe users' actions; `{}` stands for the object."""

    past: str
    before: str
    """An action on the recommended item itself."""
    present: str
    """An action on a category."""
    whole: str
    """A whole history in which no part stands out."""


DEEDS: dict[int, Deed] = {
    VIEW: Deed("you looked at {}", "you looked at it before", "you look at {}", "what you usually look at"),
    FAVOURITE: Deed("you liked {}", "you liked it before", "you like {}", "what you like"),
    CART: Deed(
        "you put {} in the cart",
        "you put it in the cart before",
        "you put {} in the cart",
        "what you usually put in the cart",
    ),
    RATING: Deed("you liked {}", "you liked it before", "you like {}", "what you like"),
    PURCHASE: Deed("you bought {}", "you bought it before", "you buy {}", "what you usually buy"),
    -1: Deed("you chose {}", "you chose it before", "you choose {}", "what you usually choose"),
}
"""By role code; -1 if the actions differ or are unknown."""


def plain(name: str) -> str:
    """A name normalized for comparison: lower case, words joined by `_` ("Add to Cart" equals
    "add-to-cart")."""
    return re.sub(r"[\s\-./:]+", "_", name.strip().lower())


def _words(word: str) -> frozenset[str]:
    """The words that tell a kind from others, in any order: `wishlist_added` is `add_to_wishlist`."""
    found = frozenset(_SAME.get(one, one) for one in word.split("_"))
    return found - _NOTHING


BY_WORDS: dict[frozenset[str], Role] = {
    words: role for word, role in reversed(DEFAULTS.items()) if (words := _words(word))
}
"""Role by the words of a known kind, for those that are written otherwise."""


@dataclass(frozen=True)
class Meaning:
    """The meaning of one event kind."""

    role: Role
    weight: float
    """0 if it expresses no interest."""
    known: bool = True
    """False for a kind not configured anywhere: its events are stored, and ignored."""


@dataclass(frozen=True)
class Kinds:
    """Meanings of event kinds, by name. A data set, its models and its live events share one object."""

    given: Mapping[str, KindConfig] = field(default_factory=dict)
    """`[data.kinds]`, by normalized name."""
    chosen: Mapping[Role, float] = field(default_factory=dict)
    """Weights by role, tuned on validation."""
    low_rating: float = LOW_RATING
    """A rating below this is a dislike."""
    quantities: bool = False
    """Whether a purchase of n units counts 1 + ln(n) times."""
    largest: float = 1.0
    """The largest weight among the data's kinds; weights are given relative to it."""

    @classmethod
    def of(cls, config: DataConfig) -> Kinds:
        """From a configuration."""
        given = {plain(name): one for name, one in config.kinds.items()}
        low = LOW_RATING if config.low_rating is None else config.low_rating
        return cls(given=given, low_rating=low)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Kinds:
        """The inverse of `to_dict`."""
        given = {name: KindConfig(**one) for name, one in stored["given"].items()}
        return cls(**{**stored, "given": given})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **asdict(self),
            "given": {name: asdict(one) for name, one in self.given.items()},
            "chosen": dict(self.chosen),
        }

    def __hash__(self) -> int:
        given, chosen = frozenset(self.given.items()), frozenset(self.chosen.items())
        return hash((given, chosen, self.low_rating, self.quantities, self.largest))

    def meaning(self, name: str) -> Meaning:
        """The meaning of a kind; `IGNORED` for an unknown one."""
        known = self._known.get(name)
        if known is None:
            known = _meaning(self, name)
            if len(self._known) < MOST_KNOWN:  # names may come from anybody, so the cache is bounded
                self._known[name] = known
        return known

    @cached_property
    def _known(self) -> dict[str, Meaning]:
        return {}

    def relative_to(self, names: Sequence[str]) -> Kinds:
        """The same with weights relative to the largest among some kinds."""
        bare = replace(self, largest=1.0)
        largest = max((bare.meaning(name).weight for name in names), default=0.0)
        return replace(self, largest=largest or 1.0)

    def roles(
        self,
        names: Sequence[str],
        kind: npt.NDArray[np.integer],
        value: npt.NDArray[np.floating],
        quantity: npt.NDArray[np.floating],
    ) -> Roles:
        """int8 (n,): role of each event. `kind`: index into `names`; `value`: NaN if missing.

        A rating below `low_rating` is a dislike. A purchase of a negative quantity is a return, a cart event
        of a negative quantity a removal.
        """
        table = np.array([ROLES.index(self.meaning(name).role) for name in names] or [IGNORED], np.int8)
        role: Roles = table[kind]
        if RATING in table:
            role[(role == RATING) & (value < self.low_rating)] = DISLIKE
        below = quantity < 0
        if below.any():
            role[below & (role == PURCHASE)] = RETURN
            role[below & (role == CART)] = REMOVE
            role[below & ((role == VIEW) | (role == FAVOURITE))] = IGNORED
        return role

    def amounts(
        self,
        names: Sequence[str],
        kind: npt.NDArray[np.integer],
        units: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """float32 (n,): weights of events. `kind`: index into `names`; `units`: the quantities that still
        stand."""
        meanings = [self.meaning(name) for name in names]
        table = np.array([one.weight for one in meanings] or [0.0], np.float32)
        weights: npt.NDArray[np.float32] = table[kind]
        if not self.quantities or units is None:
            return weights
        bought = np.array([one.role == "purchase" for one in meanings], bool)[kind]
        several = 1 + np.log(np.maximum(units, 1))
        weights[bought] *= several[bought]
        return weights

    def is_interest(self, name: str, value: float | None, quantity: float | None) -> bool | None:
        """True if an event expresses interest, False if it withdraws some, None if neither."""
        role = self.meaning(name).role
        if quantity is not None and quantity < 0 and role in POSITIVE and role != "rating":
            return False if role in ("cart", "purchase") else None
        if role == "rating" and value is not None and value < self.low_rating:
            return False
        return None if role == "ignored" else role in POSITIVE

    def strongest(self, names: Sequence[str]) -> Role | None:
        """The strongest role of interest among some kinds, which is the one to predict."""
        found = [self.meaning(name) for name in names]
        roles = [POSITIVE.index(one.role) for one in found if one.weight > 0]
        return POSITIVE[max(roles)] if roles else None


def _meaning(kinds: Kinds, name: str) -> Meaning:
    word = plain(name)
    config = kinds.given.get(word)
    role = (DEFAULTS.get(word) or BY_WORDS.get(_words(word))) if config is None else config.means
    if role is None:
        return Meaning("ignored", 0.0, known=False)
    if role not in WEIGHTS:
        return Meaning(role, 0.0)
    weight = kinds.chosen.get(role, WEIGHTS[role])
    if config is not None and config.weight is not None:
        weight = config.weight
    return Meaning(role, weight / kinds.largest)


def low_rating(values: npt.NDArray[np.floating]) -> float:
    """The middle of the rating scale: 0.5 for a maximum up to 1, 3 up to 5, 5.5 up to 10, 50.5 up to 100."""
    known = values[np.isfinite(values)]
    if not len(known):
        return LOW_RATING
    top = next((scale for scale in SCALES if known.max() <= scale), float(known.max()))
    return 0.5 if top == 1.0 else (1.0 + top) / 2


def look_like_ratings(values: npt.NDArray[np.floating]) -> bool:
    """Whether numbers look like stars: 0 to 10 in whole or half steps, with two to eleven distinct values."""
    known = values[np.isfinite(values)]
    if not len(known) or 2 * len(known) < len(values) or known.min() < 0 or known.max() > 10:
        return False
    different = np.unique(known)
    return 2 <= len(different) <= 11 and bool((different * 2 == np.round(different * 2)).all())
