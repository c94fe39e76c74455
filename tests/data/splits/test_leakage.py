"""A leak of every kind is planted into a split that has none, and found."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.splits.cases import Split
from crossaisle.data.splits.leakage import Leak, check_leaks, leaks, titles_in
from crossaisle.data.splits.split import PROTOCOLS, split
from crossaisle.errors import DataError
from tests.evaluate.shops import shop as made
from tests.models.shops import tiny_shop

OPTIONS = {
    "cold_categories": {"share": 0.2},
    "cold_items": {"share": 0.2},
    "cold_users": {"share": 0.2},
    "temporal": {"fraction": 0.2},
    "baskets": {"test": 8},
}


def basketed() -> Dataset:
    data = tiny_shop(users=60)
    return replace(
        data, events=replace(data.events, basket=(np.arange(len(data.events)) // 2).astype(np.int32))
    )


def parts(protocol: str) -> tuple[Dataset, Split]:
    data = basketed()
    return data, split(data, protocol, **OPTIONS.get(protocol, {}))


def with_train(found: Split, extra: Events) -> Split:
    train = found.train
    return replace(found, train=replace(train, events=Events.joined(train.events, extra)))


def event(data: Dataset, user: int, item: int, time: int, basket: int = -1) -> Events:
    one = data.events.take(np.array([0]))
    return replace(
        one,
        user=np.array([user], np.int32),
        item=np.array([item], np.int32),
        time=np.array([time]),
        basket=np.array([basket], np.int32),
    )


def rules(found: Split, data: Dataset | None = None) -> set[tuple[str, str]]:
    return {(leak.rule, leak.where) for leak in leaks(found, data)}


def test_items_that_only_the_test_keeps_are_told():
    """Every item has two users; one of them only with the second user's last event."""
    first, second = list(range(120)), [*range(119), 119]
    rows = [(0, item, float(day)) for day, item in enumerate(first)]
    rows += [(1, item, float(day)) for day, item in enumerate(second)]
    data = made(rows, ["A"] * 120)
    found = split(data, "leave_last_out")
    (leak,) = (leak for leak in leaks(found, data) if leak.rule == "catalogue of the test")
    assert (leak.count, leak.where, leak.hard) == (1, "test", False)
    (line,) = check_leaks(found, data)
    assert "only because of the test: 1, such as item i119" in line
    assert "every item has 2 users or more" in line


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_protocol_leaks(protocol: str):
    data, found = parts(protocol)
    assert len(found.test)
    assert leaks(found, data) == ()
    assert check_leaks(found, data) == ("leakage check: nothing of the held-out events is in training",)


def test_an_event_after_the_cut():
    data, found = parts("temporal")
    cut = int(found.validation.histories.now[0] * 86_400)
    planted = with_train(found, event(data, 3, 1, cut))
    assert rules(planted) == {("after the cut", "validation")}
    with pytest.raises(
        DataError, match=r"after the cut \(validation\): 1, such as item milk1 of user u3 at 2016"
    ):
        check_leaks(planted)
    assert leaks(with_train(found, event(data, 3, 1, cut - 1))) == ()


def test_a_users_own_future():
    data, found = parts("leave_last_out")
    user = int(found.validation.histories.user[0])
    moment = int(found.validation.histories.now[0] * 86_400)
    assert rules(with_train(found, event(data, user, 1, moment + 60))) == {("own future", "validation")}


def test_a_history_that_knows_what_came_later():
    _, found = parts("leave_last_out")
    histories = found.test.histories
    day = histories.day.copy()
    day[int(histories.indptr[1]) - 1] = histories.now[0] + 1
    planted = replace(found, test=replace(found.test, histories=replace(histories, day=day)))
    assert rules(planted) == {("late history", "test")}


def test_a_cold_user_in_training_and_one_in_both_sets():
    data, found = parts("cold_users")
    user = int(found.validation.histories.user[0])
    assert rules(with_train(found, event(data, user, 1, 1_500_000_000))) == {("user in both", "validation")}
    both = replace(found, validation=found.test)
    assert ("user in both", "validation and test") in rules(both)


def test_a_cold_item_or_category_in_training():
    data, found = parts("cold_items")
    item = int(found.validation.target[0])
    assert rules(with_train(found, event(data, 1, item, 1_500_000_000))) == {("item in both", "validation")}
    data, found = parts("cold_categories")
    item = int(found.validation.target[0])
    sibling = next(i for i in range(item // 6 * 6, item // 6 * 6 + 6) if i != item)
    assert rules(with_train(found, event(data, 1, sibling, 1_500_000_000))) == {
        ("category in both", "validation")
    }


def test_a_basket_that_is_torn():
    data, found = parts("baskets")
    held = np.setdiff1d(data.events.basket, found.past.events.basket)
    torn = np.flatnonzero(data.events.basket == held[0])[0]
    extra = data.events.take(np.array([torn]))
    assert ("basket in both", "validation") in rules(with_train(found, extra), data)


def test_an_event_that_the_data_has_twice_is_told_and_stops_nothing():
    plain = tiny_shop(users=60)
    twice = replace(plain, events=Events.joined(plain.events, plain.events))
    found = split(twice, "random", share=0.2)
    (first, *_) = leaks(found, twice)
    assert (first.rule, first.hard) == ("held-out event", False)
    assert check_leaks(found, twice)[0].startswith("leakage check: held-out event (validation): ")


def test_the_title_of_the_answer_in_what_is_known_of_the_user():
    data, found = parts("leave_last_out")
    titles = data.items["title"].to_list()
    last = {int(u): titles[t] for u, t in zip(found.test.histories.user, found.test.target, strict=True)}
    texts = [f"bought {last[u].upper()} last" if u in last else "" for u in range(data.n_users)]
    told = data.users.with_columns(pl.Series("note", texts))
    planted = replace(found, past=replace(found.past, users=told))
    (leak,) = leaks(planted)
    assert (leak.rule, leak.where) == ("title in a feature", "test")
    assert leak.count == len(found.test)
    assert "'note' of user" in leak.example
    # the same texts dealt out among other users tell nothing
    moved = data.users.with_columns(pl.Series("note", texts[7:] + texts[:7]))
    assert leaks(replace(found, past=replace(found.past, users=moved))) == ()


def test_titles_that_everybody_has_are_no_leak():
    answers = [["white bread"]] * 30
    assert titles_in(["loves white bread"] * 30, answers) == []
    assert titles_in([f"wants thing {i}" for i in range(30)], [[f"thing {i}"] for i in range(30)])
    assert titles_in([""] * 30, answers) == []


def test_order_alone_is_enough():
    data = made([(u, i, None) for u in range(9) for i in range(4)], ["a", "a", "b", "b"])
    assert leaks(split(data, "leave_last_out"), data) == ()


def test_a_leak_in_words():
    assert str(Leak("own future", "test", 1200, "item x")) == "own future (test): 1,200, such as item x"
