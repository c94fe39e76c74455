"""What the service answers, as types. The OpenAPI document is made from them; the client reads into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crossaisle.data.query import Placement
from crossaisle.decode import read as read
from crossaisle.recommend.explain import Explanation

DESCRIBED = {"use_attribute_docstrings": True}
"""Tells pydantic, which writes the OpenAPI document, to take the docstrings along."""


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
    why: str | None = None
    """One sentence; present when asked to explain."""
    evidence: Explanation | None = None
    """Where the score comes from; present when asked to explain."""


@dataclass(frozen=True, kw_only=True)
class InExperiment:
    """The experiment that decided how a list was made."""

    name: str
    arm: str | None
    """null where a list is interleaved from two arms."""


@dataclass(frozen=True, kw_only=True)
class RecommendedList:
    """The answer to one question."""

    __pydantic_config__ = DESCRIBED
    placement: Placement
    served: Placement
    """What was served: `trending` instead of the placement where there was no history to go by."""
    user: str | None
    items: tuple[Recommended, ...]
    notices: tuple[str, ...]
    cross_share: float | None
    """The share of the list outside the home categories; null without a history."""
    relevance_kept: float | None
    """Sum of scores over that of the list without quotas, share and diversity."""
    experiment: InExperiment | None = None
    """Present where an experiment decided."""

    @property
    def ids(self) -> list[str]:
        """Item ids, best first."""
        return [r.item_id for r in self.items]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What became of events."""

    __pydantic_config__ = DESCRIBED
    accepted: int
    duplicates: int
    """Events whose key was known already."""
    forgotten: int = 0
    """Not kept: no later than a deletion of their person. Present where there are any."""
    refused: int = 0
    """Bad lines of a stream."""
    errors: tuple[str, ...] = ()
    """What is wrong with the first of them."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """What the shop knows about an item now."""

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
    """Put in since the model was fitted."""
    image: str | None = None
    """Address of its picture; null where it has none, and where it is a file or was sent."""
    notices: tuple[str, ...] = ()
    """What to know: that nothing is like it, or that its picture does not count."""


@dataclass(frozen=True, kw_only=True)
class ProductPage:
    """Part of what a search found."""

    __pydantic_config__ = DESCRIBED
    total: int
    items: tuple[Product, ...]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """How many items were kept."""

    accepted: int


@dataclass(frozen=True, kw_only=True)
class CategorySize:
    """A category and the number of its items."""

    name: str
    items: int


@dataclass(frozen=True, kw_only=True)
class KeptEvent:
    """An event as it is kept."""

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
    """Present in the console's answer."""


@dataclass(frozen=True, kw_only=True)
class ShownList:
    """A list that a person was shown within an experiment."""

    __pydantic_config__ = DESCRIBED
    experiment: str
    arm: str
    """"" where interleaved."""
    user: str
    time: float
    items: tuple[str, ...]
    propensities: tuple[float, ...]
    """The probability of each item in its place, given the arm; empty where interleaved."""
    share: float
    """The probability of the arm."""
    ranked: tuple[str, ...] = ()
    """The ranking that an exploring arm drew from, as long as the list."""
    teams: tuple[int, ...] = ()
    """Which arm put each item there, where interleaved."""


@dataclass(frozen=True, kw_only=True)
class NumberedList(ShownList):
    """A line of the exposure log."""

    seq: int
    """Pass the last one as `after` to read on."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Everything that is kept about a person."""

    __pydantic_config__ = DESCRIBED
    user: str
    attributes: dict[str, Any]
    events: tuple[KeptEvent, ...]
    """Since the model was fitted, in the order in which they came; a page of them."""
    history: tuple[str, ...]
    """Item ids of the model's history."""
    shown: tuple[ShownList, ...] = ()
    """Lists shown within experiments; a page of them."""
    as_of: float
    total: int = 0
    """How many events there are."""
    next: int | None = None
    """Pass it as `after` for the next page of events; null where there is none."""
    shown_total: int = 0
    shown_next: int | None = None
    """The same for lists: pass it as `shown_after`."""


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """A person was deleted."""

    __pydantic_config__ = DESCRIBED
    events_deleted: int
    overwritten: bool = False
    """Whether no file of the store holds a trace any more. If not, it is done as soon as nobody reads in the
    store's log; with PostgreSQL, it is the server's business."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """What is served, what was before, and what can be activated."""

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
    """What the console shows."""

    events: tuple[KeptEvent, ...]
    load: dict[str, Any]
    gauges: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class CategoryLinks:
    """Which categories people shop together, of late."""

    __pydantic_config__ = DESCRIBED
    names: tuple[str, ...]
    users: tuple[float, ...]
    """People who had something of each; one counts half for every half-life since."""
    lift: tuple[tuple[float, ...], ...]
    """How much oftener two are shopped by one person than by chance; 1 = no link."""


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    """Who did what."""

    time: float
    who: str
    what: str


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """What the people of one arm did."""

    __pydantic_config__ = DESCRIBED
    name: str
    people: int
    mean: float | None
    """Of the metric, per person."""
    low: float | None
    """95 % confidence sequence: holds at every moment; null while there are too few people."""
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An arm against the first one."""

    __pydantic_config__ = DESCRIBED
    arm: str
    baseline: str
    difference: float | None
    """A/B: of the metric per person. Interleaving: the share that preferred the arm, minus the rest."""
    low: float | None
    """95 % confidence sequence."""
    high: float | None
    people: int
    decided: bool
    """Whether the interval lies on one side of zero: it may be stopped."""


@dataclass(frozen=True, kw_only=True)
class PolicyEstimate:
    """What the ranking of an exploring arm would earn per place without exploring."""

    __pydantic_config__ = DESCRIBED
    arm: str
    estimator: str
    """IPS, SNIPS or DR."""
    served: float
    """What was earned per place with exploring."""
    value: float | None
    low: float | None
    """95 % interval for one look, robust to several lists per person."""
    high: float | None
    rows: int
    effective: float
    """Rows of an unweighted sample that would say as much."""


@dataclass(frozen=True, kw_only=True)
class ExperimentResults:
    """An experiment and what it has shown."""

    __pydantic_config__ = DESCRIBED
    experiment: dict[str, Any]
    running: bool
    people: int
    """Whose window has closed: they count."""
    pending: int
    """Whose window is still open."""
    exposures: int
    arms: tuple[ArmResult, ...]
    comparisons: tuple[Comparison, ...]
    off_policy: tuple[PolicyEstimate, ...] = ()
    broken: str | None = None
    """Why a running experiment is not served: a model is gone or damaged."""


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
