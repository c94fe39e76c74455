"""`Query`: one request to a recommender, with all its options.

The controls of a list are declared only here. The HTTP parameters and bodies, the command line options and
the controls of experiments are all built from `CONTROLS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Annotated, Any, Literal, TypedDict, get_args, get_origin, get_type_hints

from crossaisle.data.query_types import as_declared
from crossaisle.errors import ConfigError, shorten

Placement = Literal["for_you", "discover", "goes_with", "similar", "buy_again", "trending"]
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)
NOT_TAKEN: Mapping[Placement, tuple[str, ...]] = {
    "discover": ("cross_share", "calibration"),
    "trending": ("cross_share", "calibration", "exclude_seen"),
}
"""Placement -> controls it does not accept; `trending` accepts them if there is a user or a history."""
_WHY_NOT = {
    "discover": "all its items are of categories that the history does not have",
    "trending": "without a user or a history it is the same for everyone",
}
RANKED: Mapping[str, bool] = {"in_stock": False, "exclude_seen": False, "one_per_title": False}
"""Different defaults when ranking a list that another system retrieved, so that no item is lost."""
NOT_RANKED = ("n", "offset", "include_items")
"""Controls not accepted when ranking such a list, as the list itself determines them."""
CrossShare = float | Literal["auto"]
Method = Literal["mmr", "dpp"]


@dataclass(frozen=True)
class Control:
    """Metadata of a control: what it does, and which values it accepts."""

    help: str
    """One line, for the command line and the OpenAPI document."""
    minimum: float | None = None
    maximum: float | None = None
    names: Literal["category", "item"] | None = None
    """What the entries of a list of names are."""

    def check(self, name: str, value: Any) -> None:
        """Raises `ConfigError` for a number out of range."""
        if isinstance(value, Mapping):
            for key, one in value.items():
                self.check(f"{name}[{shorten(key)}]", one)
        elif isinstance(value, int | float) and not self._holds(value):
            raise ConfigError(f"{name} must {self._range} (found {value})")

    def _holds(self, value: Any) -> bool:
        return (self.minimum is None or value >= self.minimum) and (
            self.maximum is None or value <= self.maximum
        )

    @property
    def _range(self) -> str:
        if self.maximum is None:
            return f"be at least {self.minimum}"
        return f"lie between {self.minimum} and {self.maximum}"


@dataclass(frozen=True, kw_only=True)
class Query:
    """One request. Unset controls take the default of the placement.

    `for_you`: anything from the history. `discover`: only categories new to the user.
    `goes_with`: items that complement the item or cart in view, from other categories only; where users have
    baskets, what this user bought before counts, too, unless `habits` is off.
    `similar`: substitutes for the item in view. `buy_again`: items the user had before.
    `trending`: popular now, the same for everyone.
    """

    placement: Placement = "for_you"
    user: str | None = None
    """External user id. An unknown user is served `trending`, and the answer says so."""
    history: tuple[str, ...] | None = None
    """Item ids, oldest first, to use as the user's history (a session). None: the stored history."""
    items: tuple[str, ...] = ()
    """The item in view, or the cart, for `goes_with` and `similar`."""

    n: Annotated[int, Control("Items to return; fewer if not enough match.", minimum=1)] = 10
    offset: Annotated[
        int,
        Control("Places to skip: with the same n, offsets 0, n, 2n, ... give page after page.", minimum=0),
    ] = 0
    cross_share: Annotated[
        CrossShare | None,
        Control(
            "Share of the list from outside the user's usual categories: 0 to 1, or auto "
            "(the share in the user's own history).",
            minimum=0,
            maximum=1,
        ),
    ] = None
    include_categories: Annotated[
        tuple[str, ...], Control("Only items of these categories.", names="category")
    ] = ()
    exclude_categories: Annotated[
        tuple[str, ...], Control("No items of these categories.", names="category")
    ] = ()
    include_items: Annotated[tuple[str, ...], Control("Only these items.", names="item")] = ()
    exclude_items: Annotated[tuple[str, ...], Control("None of these items.", names="item")] = ()
    quota: Annotated[
        int | None,
        Control(
            "At most this many items per category. Default: no limit; in discover, 2 per page as "
            "long as that fills the page.",
            minimum=1,
        ),
    ] = None
    quotas: Annotated[
        Mapping[str, int],
        Control("At most this many items of a given category; overrides quota.", minimum=0),
    ] = field(default_factory=dict)
    min_price: Annotated[float | None, Control("Lowest price.", minimum=0)] = None
    max_price: Annotated[float | None, Control("Highest price.", minimum=0)] = None
    in_stock: Annotated[bool, Control("Only items in stock.")] = True
    exclude_seen: Annotated[
        bool | None,
        Control(
            "Leave out items that are in the user's history. Default: yes, except in buy_again "
            "and in shops whose customers buy the same items again."
        ),
    ] = None
    habits: Annotated[
        bool, Control("In goes_with, count what the user bought before as well as what is in view.")
    ] = True
    """If False, `goes_with` depends only on the product, not on the user who views it."""
    diversity: Annotated[
        float | None,
        Control("0 (relevance only) to 1 (as varied as possible). Default: 0.", minimum=0, maximum=1),
    ] = None
    """Computed from item texts. None: 0, or the value set by an experiment arm."""
    diversify_by: Annotated[
        Method,
        Control(
            "mmr: vary each item from the most similar one above it; dpp: from all those above it together."
        ),
    ] = "mmr"
    calibration: Annotated[
        float | None,
        Control(
            "0 (relevance only) to 1 (categories in the proportions of the user's history). Not "
            "with diversify_by=dpp.",
            minimum=0,
            maximum=1,
        ),
    ] = None
    one_per_title: Annotated[
        bool,
        Control(
            "Show items with the same title and brand only once, whatever their size; "
            "more_like_it counts the others."
        ),
    ] = True
    max_per_brand: Annotated[int | None, Control("At most this many items of a brand.", minimum=1)] = None
    adult: Annotated[bool, Control("Also show items that rules keep for adults.")] = False
    explain: Annotated[bool, Control("Say why each item is in the list.")] = False
    page: int | None = None
    """Page length used when the list is built; None: `n`. For callers that request several pages at once."""

    @property
    def depth(self) -> int:
        """Number of places ranked: those skipped and those returned."""
        return self.n + self.offset

    @property
    def page_length(self) -> int:
        """Number of positions arranged at once, given what earlier pages left over."""
        return self.n if self.page is None else self.page

    @property
    def reorders(self) -> bool:
        """Whether a page is selected by more than scores, from more candidates than it holds."""
        return bool(self.diversity or self.calibration)

    def __post_init__(self) -> None:
        for name, kind, default in _FIELDS:
            if (value := getattr(self, name)) is not default:
                object.__setattr__(self, name, as_declared(name, kind, value))
        for name, control in _CHECKED.items():
            control.check(name, getattr(self, name))
        if self.page is not None and self.page < 1:
            raise ConfigError(f"page must be at least 1 (found {self.page})")
        if self.calibration and self.diversify_by == "dpp":
            raise ConfigError(
                "calibration works with diversify_by 'mmr', not with 'dpp': change one of the two"
            )
        low, high = self.min_price, self.max_price
        if low is not None and high is not None and low > high:
            raise ConfigError(f"min_price must not exceed max_price (found {low} > {high})")
        if self.placement in ("goes_with", "similar") and not self.items:
            raise ConfigError(f"placement {self.placement!r} needs at least one item in view")
        for name in self.not_taken:
            if getattr(self, name) is not None and not (name == "calibration" and self.calibration == 0):
                raise ConfigError(
                    f"{self.placement} takes no {name}, because {_WHY_NOT[self.placement]}: leave it out"
                )

    def about(self, **ids: Any) -> Query:
        """The same query for another `user` or other `items` in view, where it has a user or items.

        No check depends on their values, so nothing is validated again.
        """
        made = object.__new__(Query)
        made.__dict__.update(self.__dict__, **ids)
        return made

    @property
    def not_taken(self) -> tuple[str, ...]:
        """Controls rejected for this placement because they would have no effect."""
        anybody = self.user is not None or self.history is not None
        return () if self.placement == "trending" and anybody else NOT_TAKEN.get(self.placement, ())


class QueryControls(TypedDict, total=False):
    """The controls of a `Query` as keyword arguments, for type checkers; a test keeps it in step with
    `Query`."""

    n: int
    offset: int
    cross_share: CrossShare | None
    include_categories: Sequence[str]
    exclude_categories: Sequence[str]
    include_items: Sequence[str]
    exclude_items: Sequence[str]
    quota: int | None
    quotas: Mapping[str, int]
    min_price: float | None
    max_price: float | None
    in_stock: bool
    exclude_seen: bool | None
    habits: bool
    diversity: float | None
    diversify_by: Method
    calibration: float | None
    one_per_title: bool
    max_per_brand: int | None
    adult: bool
    explain: bool


@dataclass(frozen=True, kw_only=True)
class ControlField:
    """A field of `Query` that is a control."""

    type: Any
    default: Any
    control: Control


def _declared() -> dict[str, ControlField]:
    hints = get_type_hints(Query, include_extras=True)
    found = {}
    for one in fields(Query):
        if get_origin(hints[one.name]) is Annotated:
            kind, control = get_args(hints[one.name])
            default = one.default if one.default_factory is MISSING else one.default_factory()
            found[one.name] = ControlField(type=kind, default=default, control=control)
    return found


CONTROLS: dict[str, ControlField] = _declared()
"""All list controls by name, in order of declaration."""
_CHECKED = {name: one.control for name, one in CONTROLS.items() if one.control.minimum is not None}
_FIELDS = [
    (one.name, kind, one.default)
    for one, kind in zip(fields(Query), get_type_hints(Query).values(), strict=True)
]
"""Name, type and default of each field; MISSING for fields with a default factory."""
