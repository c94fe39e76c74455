"""Which events followed a list."""

from __future__ import annotations

from crossaisle.data.kinds import Kinds
from crossaisle.serve.limits.live import InsightLimits
from crossaisle.serve.live.insights.attribution import Attribution, Source
from crossaisle.serve.store.records import Event

NOW, HOUR = 1_700_000_000.0, 3600.0
YOU, NEW = Source("for_you"), Source("discover", "test", "varied")


def event(item: str, kind: str = "view", hours: float = 1.0, user: str = "ann", **more: float) -> Event:
    return Event(None, user, item, kind, NOW + hours * HOUR, **more)


def due(attribution: Attribution, *events: Event) -> list[tuple[str, str, str]]:
    return [(d.source.placement, d.step, d.event.item) for d in attribution.due(events, Kinds())]


def test_an_event_goes_to_the_latest_list_with_its_item() -> None:
    one = Attribution()
    assert one.shown("ann", YOU, ["a", "b"], NOW)
    assert one.shown("ann", NEW, ["b", "c"], NOW + 60)
    found = due(one, event("a"), event("b"), event("c", "purchase"), event("d"), event("a", user="bob"))
    assert found == [
        ("for_you", "clicks", "a"),
        ("discover", "clicks", "b"),
        ("discover", "purchases", "c"),
    ]


def test_each_step_counts_once_and_within_the_window() -> None:
    one = Attribution(InsightLimits(window_hours=24))
    one.shown("ann", YOU, ["a"], NOW)
    assert due(one, event("a"), event("a"), event("a", "add_to_cart"), event("a", "order")) == [
        ("for_you", step, "a") for step in ("clicks", "carts", "purchases")
    ]
    one.shown("bob", YOU, ["a"], NOW)
    assert due(one, event("a", hours=24.1, user="bob"), event("a", hours=-1, user="bob")) == []
    # What takes interest back, and kinds that nobody named, follow nothing.
    back = event("a", "purchase", user="bob", quantity=-1.0)
    assert due(one, back, event("a", "remove_from_cart", user="bob"), event("a", "purchse", user="bob")) == []


def test_the_same_list_again_counts_once() -> None:
    one = Attribution(InsightLimits(same_seconds=600))
    assert one.shown("ann", YOU, ["a", "b"], NOW)
    assert not one.shown("ann", YOU, ["a", "b"], NOW + 599)
    assert one.shown("ann", YOU, ["b", "a"], NOW + 599)
    assert one.shown("ann", NEW, ["a", "b"], NOW + 599)
    assert one.shown("ann", YOU, ["a", "b"], NOW + 601)


def test_memory_is_bounded_and_a_user_is_forgotten() -> None:
    one = Attribution(InsightLimits(users=2, lists_per_user=2))
    for user in ("ann", "bob", "cid"):
        one.shown(user, YOU, ["a"], NOW)
    assert one.users() == ["bob", "cid"]
    for item in ("b", "c"):
        one.shown("cid", YOU, [item], NOW)
    assert due(one, event("a", user="cid"), event("c", user="cid")) == [("for_you", "clicks", "c")]
    one.forget("cid")
    assert one.users() == ["bob"]
    assert due(one, event("b", user="cid")) == []
