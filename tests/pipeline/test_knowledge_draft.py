"""Rules drafted from trips: what is planted is found, and chance is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.knowledge.naming import named
from crossaisle.errors import ConfigError, DataError
from crossaisle.pipeline.knowledge.draft import discoveries, draft, mantel_haenszel

CATEGORIES = 12
PASTA, SAUCE, MILK = 0, 1, 2


def trips(n: int = 6_000, *, linked: bool = True, seed: int = 0, mark: str = "-1") -> Dataset:
    """Trips of very different sizes. Every other trip with pasta gets sauce as well; milk is a staple."""
    rng = np.random.default_rng(seed)
    eager = rng.beta(1.0, 4.0, n)[:, None]  # large trips hold everything
    holds = rng.random((n, CATEGORIES)) < eager
    holds[:, MILK] = rng.random(n) < 0.6
    if linked:
        holds[:, SAUCE] |= holds[:, PASTA] & (rng.random(n) < 0.5)
    trip, category = np.nonzero(holds)
    names = ["Pasta", "Sauce", "Milk", *(f"Other{i}" for i in range(CATEGORIES - 3))]
    ids = [name + mark for name in names]
    items = pl.DataFrame({"item_id": ids, "title": ids, "categories": names})
    events = pl.DataFrame(
        {
            "user_id": [f"u{t % 500}" for t in trip.tolist()],
            "item_id": [ids[c] for c in category.tolist()],
            "time": [1_600_000_000 + int(t) * 60 for t in trip.tolist()],
            "basket_id": [f"t{t}" for t in trip.tolist()],
        }
    )
    return import_frames(items, events).dataset


def test_what_was_planted_is_found_and_nothing_else() -> None:
    found = draft(trips())
    pairs = {(rule.source, rule.target) for rule in found.rules if rule.kind == "goes with"}
    assert {tuple(sorted(pair)) for pair in pairs} == {("Pasta", "Sauce")}
    assert found.rules[0].source == "Milk"
    share = np.asarray(trips().basket_matrix().mean(axis=0)).ravel()[MILK]
    assert found.rules[0].strength == pytest.approx(share, abs=0.005)
    assert 0 < found.held <= found.pairs == CATEGORIES * (CATEGORIES - 1)


def test_what_is_drafted_can_be_read_where_an_item_is_called_as_its_category() -> None:
    shop = trips(mark="")
    rules = draft(shop).rules
    assert rules[0].source == "category:Milk"
    found, rejected = named(rules, shop)
    assert len(found) == len(rules)
    assert rejected == []
    assert found[-1].rule.text == "Pasta goes with Sauce"


def test_trip_size_alone_links_nothing() -> None:
    """Without strata nearly all of these pairs have a lift far above 1."""
    shop = trips(linked=False)
    matrix = shop.basket_matrix().toarray()
    together = matrix.T @ matrix / len(matrix)
    lift = together / np.outer(np.diag(together), np.diag(together))
    assert np.median(lift[~np.eye(CATEGORIES, dtype=bool)]) > 1.4
    assert [rule for rule in draft(shop).rules if rule.kind == "goes with"] == []


def test_lifts_are_directed() -> None:
    rng = np.random.default_rng(0)
    rare = rng.random(20_000) < 0.03
    common = (rng.random(20_000) < 0.3) | (rare & (rng.random(20_000) < 0.6))
    table = np.array([[[(rare & common).sum()]], [[(rare & ~common).sum()]], [[(~rare & common).sum()]],
                      [[(~rare & ~common).sum()]]], np.float64)  # fmt: skip
    forth, error = mantel_haenszel(table)
    back, _ = mantel_haenszel(table[[0, 2, 1, 3]])
    assert np.exp(forth[0]) == pytest.approx(0.72 / 0.3, rel=0.08)
    assert np.exp(back[0]) > 1.5 * np.exp(forth[0])
    # With one stratum it is the plain relative risk and its usual error (Katz et al., 1978).
    a, b, c, d = table.ravel()
    assert forth[0] == pytest.approx(np.log(a / (a + b) / (c / (c + d))))
    assert error[0] == pytest.approx(np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)))


def test_false_discoveries_are_bounded() -> None:
    assert discoveries(np.array([0.001, 0.02, 0.03, 0.9]), 0.05).tolist() == [True, True, True, False]
    assert discoveries(np.array([0.04, 0.9]), 0.05).tolist() == [False, False]
    assert discoveries(np.empty(0), 0.05).tolist() == []


def test_the_surest_pairs_come_first_and_their_number_is_limited() -> None:
    few = draft(trips(), most=1)
    assert len([rule for rule in few.rules if rule.kind == "goes with"]) == 1
    assert few.held == 2


def test_without_trips_it_says_what_to_do() -> None:
    shop = trips(50)
    events = replace(shop.events, basket=np.full(len(shop.events), -1, np.int32))
    with pytest.raises(DataError, match="give basket_id"):
        draft(replace(shop, events=events))
    with pytest.raises(ConfigError, match="level must lie between -1"):
        draft(shop, level=3)
