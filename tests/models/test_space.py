"""Search spaces name settings that exist, and hold values that the scorer takes."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from crossaisle.data.history import Decay
from crossaisle.models.defaults import with_settings
from crossaisle.models.registry import SCORERS
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.linear import SLIT
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.space import AnyDecay, Choice, Range, half_way, nested, searched, value_of

KINDS = [kind for kind, cls in SCORERS.items() if cls.space]


@pytest.mark.parametrize("has_time", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_every_end_of_a_space_is_a_setting_that_the_scorer_takes(kind: str, has_time: bool) -> None:
    part = SCORERS[kind]()
    for name, values in searched(part.space, part.settings(), has_time=has_time).items():
        ends = values.values if isinstance(values, Choice) else (values.low, values.high)
        for end in ends:
            changed = with_settings({"it": part}, {"it": nested({name: end})})["it"]
            assert value_of(changed.settings(), name) == end


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_lies_in_the_space(kind: str) -> None:
    """A search that cannot come back to where it starts is of the wrong range."""
    part = SCORERS[kind]()
    for name, values in part.space.items():
        start = part.settings()[name]
        if isinstance(values, Range) and start is not None:
            assert values.low <= start <= values.high, name
        elif isinstance(values, Choice) and start is not None:
            assert start in values.values, name
        elif isinstance(values, AnyDecay):
            assert start == asdict(getattr(part, name))


def test_a_decay_goes_by_days_where_there_are_times_and_by_order_where_it_did() -> None:
    by_order, by_day = SLIT(), ItemKNN(decay=Decay(half_life_days=30.0))
    assert "decay.events" in searched(by_order.space, by_order.settings(), has_time=True)
    assert "decay.half_life_days" in searched(by_day.space, by_day.settings(), has_time=True)
    assert "decay.events" in searched(by_day.space, by_day.settings(), has_time=False)
    popularity = Popularity()
    assert searched(popularity.space, popularity.settings(), has_time=False) == {}


def test_values_beside_a_start() -> None:
    assert half_way(Range(low=1.0, high=100.0), 30.0) == [10.0, 90.0]
    assert half_way(Range(low=1.0, high=100.0), 80.0) == [26.67, 100.0]
    assert half_way(Range(low=1, high=9, whole=True), 1) == [3]
    assert half_way(Range(low=1.0, high=10_000.0), None) == [10.0, 1000.0]
    assert half_way(Choice(("a", "b", "c")), "b") == ["a", "c"]


def test_dotted_names_become_tables() -> None:
    assert nested({"ridge": 3.0, "decay.events": 2.0}) == {"ridge": 3.0, "decay": {"events": 2.0}}
