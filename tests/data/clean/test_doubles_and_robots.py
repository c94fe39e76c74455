"""Duplicates, variants and groups; robots among users; attributes of users; ids."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from crossaisle.data.clean.doubles import joined, twins, variants
from crossaisle.data.clean.groups import Groupings
from crossaisle.data.clean.ids import matched
from crossaisle.data.clean.people import KEPT_VALUES, OTHER, band, cleaned, spelt
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.report import Review
from crossaisle.data.clean.robots import robots, tempo_of
from tests.data.clean.test_texts import ODD, shop

FILL = [f"Garden {a} {b} number {n}" for n, (a, b) in enumerate([("hose", "reel"), ("rake", "pro")] * 20)]


def pairs(titles: list[str], brands: list[str] | None = None) -> set[tuple[int, int]]:
    found = twins([*titles, *FILL], [*(brands or [""] * len(titles)), *[""] * len(FILL)])
    return {(d.one, d.other) for d in found if d.other < len(titles)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Melissa & Doug Train Puzzle", "melissa doug TRAIN puzzle"),
        ("Melissa & Doug Train Puzzle", "Train Puzzle by Melissa & Doug"),
        ("Olay Face Cream, 1.7 oz", "Olay Face Cream 1.7-Ounce (Pack of 1)"),
        ("Clarks Womens Caslynn Wedge Sandal", "Clarks Womens Casylynn Wedge Sandal"),
        ("Stila Eye Liner Pencil Brown", "Stila Eyeliner Pencil Brown"),
    ],
)
def test_titles_that_say_the_same_are_twins(one: str, other: str) -> None:
    assert pairs([one, other]) == {(0, 1)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Lego City Camper 60057", "Lego City Camper 60058"),
        ("OPI Nail Polish Shade Rosy", "OPI Nail Polish Shade Ruby"),
        ("Olay Face Cream, 1.7 oz", "Olay Face Cream, 2.7 oz"),
        ("Shampoo for dry hair", "Shampoo for oily hair"),
    ],
)
def test_titles_that_differ_in_something_are_not(one: str, other: str) -> None:
    assert pairs([one, other]) == set()


def test_another_brand_is_another_product() -> None:
    assert pairs(["Face Cream Rich", "Face Cream Rich"], ["Olay", "Nivea"]) == set()
    assert pairs(["Face Cream Rich", "Face Cream Rich"], ["Olay", ""]) == {(0, 1)}


def test_variants_differ_in_colour_size_and_pack_only() -> None:
    titles = ["Runner Shoe red XL", "Runner Shoe blue M", "Runner Boot red", "Shirt red", "Shirt blue"]
    found = {(d.one, d.other) for d in variants(titles, ["Acme"] * 3 + ["", ""])}
    assert found == {(0, 1)}


def test_groups_are_the_shops_own_or_found() -> None:
    products = shop(
        ["Cream Rich Face", "cream rich face", "Other Thing Here", *ODD], ["Olay"] * 2 + [""] * (1 + len(ODD))
    )
    step = Groupings(mode="on", confidence=0.9, review=Review())
    after, report = step(products)
    assert after.frame["group"].to_list() == ["i0", "i0", *[None] * (1 + len(ODD))]
    assert report.facts["groups"] == 1
    again, second = step(after)
    assert again.frame.equals(after.frame)
    assert not second.changes
    given = Products(
        products.frame.with_columns(group=pl.Series(["g", None, "g", *[None] * len(ODD)])), products.paths
    )
    assert step(given)[0].frame["group"].to_list()[:3] == ["g", None, "g"]
    refused = Review({("groups", "i1"): ("i0", False)})
    kept = Groupings(mode="on", confidence=0.9, review=refused)(products)[0]
    assert kept.frame["group"].null_count() == len(products)


def test_joined_names_the_first_of_each_group() -> None:
    found = list(twins(["a b c", "c b a", "x y z", "b c a"], [""] * 4))
    assert joined(4, found).tolist() == [0, 0, 2, 0]


MINUTE = 60_000_000


def log(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """40 people with uneven sessions by day, then a crawler and somebody who buys a lot, slowly."""
    rng = np.random.default_rng(seed)
    user, item, micros = [], [], []
    for person in range(40):
        for day in range(20):
            gaps = rng.lognormal(0.5, 1.2, 8).cumsum()
            start = day * 1440 + rng.integers(8 * 60, 21 * 60)
            user += [person] * 8
            item += rng.integers(0, 60, 8).tolist()
            micros += ((start + gaps) * MINUTE).astype(int).tolist()
    user += [40] * 2000
    item += np.arange(2000).tolist()
    micros += (np.arange(2000) * 5_000_000).tolist()
    user += [41] * 600
    item += rng.integers(0, 400, 600).tolist()
    micros += np.sort(
        rng.integers(0, 20, 600) * 1440 * MINUTE + rng.lognormal(8, 1, 600).astype(int) * 1000
    ).tolist()
    return np.array(user), np.array(item), np.array(micros)


def test_a_crawler_is_told_from_people() -> None:
    user, item, micros = log()
    found = robots(tempo_of(user, item, micros, 42, 2000))
    assert list(found) == [40]
    assert "breadth: 100 % of all items" in found[40]
    assert "regularity" in found[40]


def test_baskets_at_one_moment_are_one_moment() -> None:
    user, item = np.zeros(300, int), np.arange(300)
    tempo = tempo_of(user, item, np.zeros(300, np.int64), 2, 300)
    assert tempo.moments.tolist() == [1, 0]
    assert robots(tempo) == {}


def test_no_events_are_no_robots() -> None:
    nothing = np.zeros(0, np.int64)
    assert robots(tempo_of(nothing, nothing, nothing, 0, 0)) == {}


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("35-44", "35-44"),
        ("15-24K", "15000-24000"),
        ("Under 15K", "<15000"),
        ("250K+", "250000+"),
        ("65 and over", "65+"),
        ("$1,000 to $2,000", "1000-2000"),
    ],
)
def test_bands_have_one_spelling(text: str, after: str) -> None:
    ends = band(text)
    assert ends is not None
    assert spelt(*ends) == after
    assert spelt(*(band(after) or (None, None))) == after


def test_attributes_of_users() -> None:
    n = 20_000
    many = [f"v{i % 10_000 if i % 2 else i % 40}" for i in range(n)]
    users = pl.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(n)],
            "age": ["19-24", "Unknown"] * (n // 2),
            "city": many,
            "email": [f"{i}@x" for i in range(n)],
            "points": range(n),
        }
    )
    after, report = cleaned(users, "on")
    assert after["user_id"].equals(users["user_id"])
    assert after["points"].equals(users["points"])
    assert after["email"].equals(users["email"])
    assert after["age"].null_count() == n // 2
    assert after["city"].n_unique() == KEPT_VALUES + 1
    assert OTHER in after["city"]
    assert report.facts["city"]["kind"] == "many values"
    assert report.facts["email"]["kind"] == "names"
    assert cleaned(after, "on")[0].equals(after)
    assert cleaned(users, "report")[0].equals(users)


def test_ids_are_matched_by_form_by_letters_and_by_elimination() -> None:
    known = ["abc-1", "123", "Shampoo Classic", "家务用品", *(f"k{i}" for i in range(100))]
    used = {f"k{i}" for i in range(100)}
    found = {
        p.before: p
        for p in matched({"ABC-1": 2, "00123": 1, "Shampo Classic": 3, "保管产品": 5}, known, used)
    }
    assert {name: p.after for name, p in found.items()} == {
        "ABC-1": "abc-1",
        "00123": "123",
        "Shampo Classic": "Shampoo Classic",
        "保管产品": "家务用品",
    }
    assert found["保管产品"].confidence == 0.9


def test_an_ambiguous_id_is_matched_to_neither_candidate() -> None:
    assert matched({"ABC": 1}, ["abc", "Abc", "x"], {"x"}) == []
    assert matched({"1000001": 1}, ["1000002", "1000003"], {"1000003"}) == []
