"""Types of the service's answers. The OpenAPI document is built from them; the client returns them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crossaisle.data.query import Placement
from crossaisle.decode import read as read
from crossaisle.recommend.answer import AppliedRule
from crossaisle.recommend.explain import Explanation

DESCRIBED = {"use_attribute_docstrings": True}
"""Makes pydantic use the docstrings as descriptions in the OpenAPI document."""


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
    """Other items of this title and brand, of any size, that fit; `one_per_title` leaves them out."""
    why: str | None = None
    """One sentence, if the request asked to explain and anything carries enough of the score to be named."""
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
    """The merchandiser's rules that changed this page: what each took out or moved."""
    rules_cost: float | None = None
    """Share of the sum of scores that rules cost, relative to the list without them; null if none holds."""
    experiment: InExperiment | None = None
    """Present if an experiment decided how the list was made."""

    @property
    def ids(self) -> list[str]:
        """Item ids, best first."""
        return [r.item_id for r in self.items]


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
    """Bad lines of NDJSON; of a page, events of unknown items."""
    errors: tuple[str, ...] = ()
    """What is wrong with the first refused lines."""
    notices: tuple[str, ...] = ()
    """Of unknown kinds and items, which are kept."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """The current state of an item."""

    __pydantic_config__ = DESCRIBED
    item_id: str
    title: str
    description: str
    brand: str
    category: str
    categories: tuple[tuple[str, ...], ...]
    price: float | None
    in_stock: bool
    attributes: dict[str, Any]
    new: bool
    """Whether it was added after the model was fitted."""
    available_from: float | None = None
    """Seconds since 1970: before, it is not for sale, and `in_stock` is false."""
    expires: float | None = None
    """Seconds since 1970: from then on it is not for sale any more."""
    image: str | None = None
    """Address of its picture, or the path here of one that was uploaded; null if it has none, or a file."""
    url: str | None = None
    """Address of its own page in the shop."""
    currency: str = ""
    """Of the price: a code such as EUR, or a sign; "" unknown."""
    notices: tuple[str, ...] = ()
    """Remarks: that nothing resembles the item, or that its picture is not used."""


@dataclass(frozen=True, kw_only=True)
class ProductPage:
    """A page of search results."""

    __pydantic_config__ = DESCRIBED
    total: int
    items: tuple[Product, ...]
    read_as: str | None = None
    """The words that were looked for instead, where some were misspelt."""
    complete: bool = True
    """Whether the items hold all words; where none does, those with most of them are given."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """How many items were stored."""

    accepted: int


@dataclass(frozen=True, kw_only=True)
class CategorySize:
    """A category and the number of its items."""

    name: str
    items: int


@dataclass(frozen=True, kw_only=True)
class KeptEvent:
    """An event as it is stored."""

    __pydantic_config__ = DESCRIBED
    key: str | None
    user: str
    item: str
    kind: str
    time: float
    """Seconds since 1970 (UTC)."""
    value: float | None
    quantity: float | None
    title: str | None = None
    """Present in the answer to the console."""
    role: str | None = None
    """What its kind means: view, favourite, cart, rating, purchase, dislike, return, remove or ignored.
    Present in the answer to the console."""


@dataclass(frozen=True, kw_only=True)
class ShownList:
    """A list that a user was shown within an experiment."""

    __pydantic_config__ = DESCRIBED
    experiment: str
    arm: str
    """"" if interleaved."""
    user: str
    time: float
    items: tuple[str, ...]
    propensities: tuple[float, ...]
    """The probability of each item in its place, given the arm; empty if interleaved."""
    share: float
    """The probability of the arm."""
    ranked: tuple[str, ...] = ()
    """The ranking an exploring arm drew from, cut to the length of the list."""
    teams: tuple[int, ...] = ()
    """Which arm placed each item, if interleaved."""


@dataclass(frozen=True, kw_only=True)
class NumberedList(ShownList):
    """An entry of the exposure log."""

    seq: int
    """Pass the last one as `after` for the next page."""


@dataclass(frozen=True, kw_only=True)
class UserRecord:
    """Everything stored about a user."""

    __pydantic_config__ = DESCRIBED
    user: str
    attributes: dict[str, Any]
    events: tuple[KeptEvent, ...]
    """Events since the model was fitted, in order of arrival; one page."""
    history: tuple[str, ...]
    """Item ids of the user's history in the model."""
    shown: tuple[ShownList, ...] = ()
    """Lists shown within experiments; one page."""
    as_of: float
    total: int = 0
    """Number of all events."""
    next: int | None = None
    """Pass it as `after` for the next page of events; null on the last page."""
    shown_total: int = 0
    shown_next: int | None = None
    """The same for shown lists: pass it as `shown_after`."""


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """The outcome of deleting a user."""

    __pydantic_config__ = DESCRIBED
    events_deleted: int
    overwritten: bool = False
    """Whether no file of the store holds a trace any more. If false, that happens as soon as nobody reads the
    store's log; with PostgreSQL it is up to the server."""


@dataclass(frozen=True, kw_only=True)
class StoredRule:
    """A merchandiser's rule, and what it matches now."""

    __pydantic_config__ = DESCRIBED
    id: str
    action: str
    items: tuple[str, ...]
    beside: tuple[str, ...]
    direction: str
    position: int | None
    weight: float | None
    placements: tuple[str, ...]
    since: str | None
    until: str | None
    reason: str
    matches: int
    """Number of items that `items` matches."""
    examples: tuple[str, ...]
    """Titles of some of them."""
    notices: tuple[str, ...]
    """Names that match nothing."""


@dataclass(frozen=True, kw_only=True)
class RulesInForce:
    """The merchandiser's rules that lists obey."""

    __pydantic_config__ = DESCRIBED
    source: str
    """`shop`: they were put into this service. `model`: they were saved with the model."""
    rules: tuple[StoredRule, ...]


@dataclass(frozen=True, kw_only=True)
class Models:
    """The served model, the previous one, and those that can be activated."""

    active: str
    previous: str
    known: tuple[str, ...]
    describes: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether the process answers, and with which model."""

    status: str
    model: str | None = None


@dataclass(frozen=True, kw_only=True)
class Console:
    """The data of the console."""

    events: tuple[KeptEvent, ...]
    load: dict[str, Any]
    gauges: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class CategoryLinks:
    """Which categories users have shopped together recently."""

    __pydantic_config__ = DESCRIBED
    names: tuple[str, ...]
    users: tuple[float, ...]
    """Users with an item of each category; a user's weight halves with every half-life since."""
    lift: tuple[tuple[float, ...], ...]
    """How many times as often as by chance one user shops both categories; 1 = no link."""


@dataclass(frozen=True, kw_only=True)
class ListTotals:
    """What the lists of one day, placement and arm led to."""

    __pydantic_config__ = DESCRIBED
    day: int
    """Since 1970 (UTC)."""
    placement: str
    experiment: str
    """"" outside experiments."""
    arm: str
    """"" outside experiments, and for interleaved lists."""
    lists: float
    """Lists shown."""
    clicks: float
    """Views of an item of a list, once per list and item."""
    carts: float
    purchases: float
    revenue: float
    """Of these purchases: value, or else price, by quantity."""


@dataclass(frozen=True, kw_only=True)
class EventTotals:
    """All events of one day and role."""

    __pydantic_config__ = DESCRIBED
    day: int
    role: str
    events: int
    value: float
    """Sum of value by quantity."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What recommendations led to, and all that happened."""

    __pydantic_config__ = DESCRIBED
    window_hours: float
    """An event counts as due to the latest list that showed its item to its user within so many hours."""
    currency: str
    today: int
    lists: tuple[ListTotals, ...]
    events: tuple[EventTotals, ...]


@dataclass(frozen=True, kw_only=True)
class PastItem:
    """An item that a visitor did something with."""

    __pydantic_config__ = DESCRIBED
    item_id: str
    title: str
    category: str
    time: float | None
    """Of the newest event, in seconds since 1970; null where only the order is known."""
    times: int
    roles: tuple[str, ...]
    """What was done, the newest first."""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """A visitor's latest deeds, and the list they get."""

    __pydantic_config__ = DESCRIBED
    user: str
    known: bool
    past: tuple[PastItem, ...]
    list: RecommendedList


@dataclass(frozen=True, kw_only=True)
class Shop:
    """What a page has to know of a shop."""

    __pydantic_config__ = DESCRIBED
    name: str
    currency: str
    items: int
    categories: bool
    """Whether items have categories, which `discover` and `goes_with` need."""
    examples: tuple[str, ...]
    """Users with a history, to look through the eyes of; for callers that may do everything."""
    scopes: tuple[str, ...]
    """What the caller may do: read, write, admin."""


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    """Who did what."""

    time: float
    who: str
    what: str


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """What the users of one arm did."""

    __pydantic_config__ = DESCRIBED
    name: str
    users: int
    mean: float | None
    """Mean of the metric per user."""
    low: float | None
    """95 % confidence sequence: holds at all times simultaneously; null while there are too few users."""
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An arm compared with the first one."""

    __pydantic_config__ = DESCRIBED
    arm: str
    baseline: str
    difference: float | None
    """A/B: of the metric per user. Interleaving: share of users who preferred the arm, minus the rest."""
    low: float | None
    """95 % confidence sequence."""
    high: float | None
    users: int
    decided: bool
    """Whether the interval excludes zero, so that the experiment may be stopped."""


@dataclass(frozen=True, kw_only=True)
class PolicyEstimate:
    """Estimate of what an exploring arm's ranking would earn per place without exploring."""

    __pydantic_config__ = DESCRIBED
    arm: str
    estimator: str
    """IPS, SNIPS or DR."""
    served: float
    """What it earned per place while exploring."""
    value: float | None
    low: float | None
    """95 % interval for one look, robust to several lists per user."""
    high: float | None
    rows: int
    effective: float
    """Effective sample size: rows of an unweighted sample with the same precision."""


@dataclass(frozen=True, kw_only=True)
class ExperimentResults:
    """An experiment and its results."""

    __pydantic_config__ = DESCRIBED
    experiment: dict[str, Any]
    running: bool
    users: int
    """Users whose window has closed. Only they count."""
    pending: int
    """Users whose window is still open."""
    exposures: int
    arms: tuple[ArmResult, ...]
    comparisons: tuple[Comparison, ...]
    off_policy: tuple[PolicyEstimate, ...] = ()
    broken: str | None = None
    """Why a running experiment is not served: a model is missing or damaged."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error (RFC 9457)."""

    __pydantic_config__ = DESCRIBED
    title: str
    status: int
    detail: str
    """What is wrong, where, and which rule."""
    type: str = "about:blank"
    errors: tuple[dict[str, str], ...] = field(default_factory=tuple)
    """Each broken rule, where there are several."""
