"""`LiveLimits`: what one shop keeps, scores at once and lets wait."""

from __future__ import annotations

from dataclasses import dataclass

from crossaisle.models.base import LARGE
from crossaisle.recommend.limits import RETRIEVED


@dataclass(frozen=True, kw_only=True)
class QueueLimits:
    """What may wait, and which queries are heavy: these have a queue of their own."""

    batch_queries: int = 32
    """Queries that are scored at once."""
    wait_share: float = 0.5
    """For this share of the time that a batch took, those it answered are waited for: they may ask
    again at once, and cost less together."""
    wait_seconds: float = 0.005
    """For no longer than this."""
    waiting_queries: int = 2048
    """Queries that may wait to be scored; more are refused with 503."""
    plain_places: int = 100
    """Places of a list, skipped ones among them: what one page holds. Longer lists are heavy."""
    diverse_places: int = 50
    """The same with diversity, where each place is compared with all candidates that are left."""
    plain_categories: int = 20
    """Categories that a plain query may name: each is looked up, each quota is kept to place by place."""
    plain_items: int = 1000
    """Item ids that a plain query may include or exclude, as many as a session may have."""
    waiting_heavy: int = 64
    """Heavy queries that wait or are being answered; more are refused with 503."""
    heavy_per_client: int = 8
    """Of these, at most this many are of one key (or address, where there is no key)."""
    waiting_tallies: int = 64
    """Different tallies that may wait; more are refused with 503."""
    quick_tally_seconds: float = 0.1
    """A tally that takes less is counted for each query."""
    tally_reuse: float = 10.0
    """One that takes longer is reused for this many times as long: counting takes a tenth of the time."""


@dataclass(frozen=True, kw_only=True)
class HistoryLimits:
    """What is kept of events in memory."""

    user_events: int = 5000
    """Live events of a user: what models read. Older ones hardly weigh anything, and an id that many people
    share (guests, a till) or a robot must not slow its lists down for ever."""
    batch_events: int = 50_000
    """Events of the store that are read at once."""
    count_seconds: float = 1.0
    """Between two counts of what is popular: events in between show then."""
    waiting_events: int = 8192
    """Events: where more wait to be counted, they are counted although nobody asks."""


@dataclass(frozen=True, kw_only=True)
class PictureLimits:
    """What pictures of items may take."""

    pixels: int = 16_000_000
    """Of one picture. Unpacked, these are 64 MB, four times over while they are prepared."""
    fetched_at_once: int = 8
    """Pictures."""
    waiting: int = 256
    """Pictures that may wait to be fetched or encoded; more are refused with 503."""
    wait_seconds: float = 30.0
    """Until a waiting picture is given up, so that a picture server that hangs blocks nobody."""
    per_request: int = 100
    """Pictures that one request may have fetched."""


@dataclass(frozen=True, kw_only=True)
class CapacityLimits:
    """What a shop may put in."""

    items: int = 1_000_000
    """Besides as many as its model has. Deleted ones count: their ids are kept."""
    json_bytes: int = 500_000_000
    """Of everything put in, as JSON; in memory it is several times as much."""


@dataclass(frozen=True, kw_only=True)
class InsightLimits:
    """What is remembered of lists, to tell what they led to."""

    window_hours: float = 24.0
    """After a list an event with one of its items counts as due to it for so long."""
    users: int = 20_000
    """Users whose latest lists are remembered, those shown lists most recently."""
    lists_per_user: int = 12
    """Lists: a page with four rows, three times."""
    same_seconds: float = 600.0
    """The same list, shown again within so many seconds, counts once."""
    write_seconds: float = 5.0
    """Between two writes of totals; as much may be missing after a crash."""
    coverage_seconds: float = 60.0
    """The same of which products were shown."""
    kept_days: int = 400
    """Days of which totals are in memory."""


@dataclass(frozen=True, kw_only=True)
class LiveLimits:
    """Of one shop in one process."""

    ranking_items: int = 1000
    """Items: the best ones kept of a ranking. A list that needs more than these is scored again."""
    nominated_items: int = 200
    """Items: as many are nominated by rough scores, to be scored exactly."""
    rankings: int = 5120
    """Rankings kept: of users, of items in view, and of what is popular."""
    large_items: int = LARGE
    """Items: in a shop with more than these, the best are retrieved instead of scoring all."""
    retrieved_items: int = RETRIEVED
    """Items that each part of a blend retrieves in a large shop."""
    trending_items: int = 4096
    """Items of a large shop that lists of what is popular are made from."""
    narrow_items: int = 5_000
    """Items of a large shop: where filters leave at most this many to be scored, all of them are."""
    settled_events: int = 2_000_000
    """Events of histories that are kept as they were settled, where there are several kinds: 20 bytes each.
    A list that is not kept asks for its history twice."""
    disapproval_seconds: float = 60.0
    """At least between two counts of what the shop has turned against: kept rankings may change with each."""
    scarce_events: int = 5
    """Events: items with fewer are those that exploring arms may give places to."""
    scarce_items: int = 1000
    """Such items that are considered, the newest."""
    replayed_queries: int = 2048
    """Recent queries replayed on a new model before it serves."""
    prepared_users: int = 2048
    """Users whose lists are precomputed after a start, those with the newest events first."""
    prepared_items: int = 1024
    """Items with the most events, for which the lists of what goes with them are precomputed afterwards."""
    idle_seconds: float = 0.05
    """Without a query before such a list is made: a user who clicks gets the next list without waiting."""
    queues: QueueLimits = QueueLimits()
    histories: HistoryLimits = HistoryLimits()
    pictures: PictureLimits = PictureLimits()
    capacity: CapacityLimits = CapacityLimits()
    insights: InsightLimits = InsightLimits()
