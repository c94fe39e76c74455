"""In a shop where people buy milk again, an appliance that somebody has is not offered to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.query import Query
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.frequency import Frequency
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.durables import again_rates, lasting_categories
from crossaisle.recommend.recommender import Recommender

START = 1_700_000_000
DAY = 86_400


def shop(people: int = 30, *, appliances: int = 2) -> Dataset:
    """Everybody buys two foods every week, twice on each day, and some of six appliances once."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(people):
        for food in rng.choice(6, 2, replace=False):
            for week in range(5):
                rows += [(f"u{user}", f"food{food}", START + week * 7 * DAY, "purchase")] * 2
        for one in rng.choice(6, appliances, replace=False):
            rows += [(f"u{user}", f"machine{one}", START + int(rng.integers(30)) * DAY, "purchase")] * 2
    items = pl.DataFrame(
        {
            "item_id": [f"{kind}{i}" for kind in ("food", "machine") for i in range(6)],
            "title": [f"{kind} number {i}" for kind in ("food", "machine") for i in range(6)],
            "categories": ["Food"] * 6 + ["Appliances"] * 6,
        }
    )
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "time", "kind"], orient="row")
    return import_frames(items, events).dataset


def model_of(dataset: Dataset, *, repeats: bool = True) -> Recommender:
    parts = {"popularity": Popularity(), "frequency": Frequency()}
    weights = {name: {"frequency": 1.0, "popularity": 0.1} for name in ("for_you", "buy_again")}
    return Recommender(dataset, Blend(parts=parts, weights=weights).fit(dataset), repeats=repeats)


def had(dataset: Dataset, user: str) -> set[str]:
    return set(dataset.item_ids.ids(dataset.histories([dataset.user_ids.row(user)]).item))


def test_what_lasts_is_learnt_from_what_is_bought_again() -> None:
    dataset = shop()
    names = dataset.taxonomy.names(-1)
    assert [names[code] for code in lasting_categories(dataset)] == ["Appliances"]
    rates = again_rates(dataset, np.ones(len(dataset.events), bool), dataset.taxonomy.codes(-1))
    food, machines = names.index("Food"), names.index("Appliances")
    assert rates.highest[food] > 0.8
    # Two lines of one day are one purchase: none of these was bought again.
    assert rates.highest[machines] == pytest.approx(1.645**2 / (60 + 1.645**2))


def test_a_category_that_was_hardly_bought_shows_nothing() -> None:
    assert lasting_categories(shop(people=4)) == []


def test_a_machine_is_not_offered_to_who_has_it(tmp_path: Path) -> None:
    dataset = shop()
    model_of(dataset).save(tmp_path / "m")
    for recommender in (model_of(dataset), Recommender.load(tmp_path / "m")):
        assert len(recommender.lasting) == 1
        for user in dataset.user_ids.all:
            listed = set(recommender.recommend(Query(user=user, n=12)).ids)
            own = had(dataset, user)
            assert listed & own == {one for one in own if one.startswith("food")}
            assert len(listed) == 10
        again = recommender.recommend(Query(user="u1", placement="buy_again", n=12)).ids
        assert set(again) == had(dataset, "u1")


def test_one_that_was_only_looked_at_is_still_offered() -> None:
    dataset = shop()
    recommender = model_of(dataset)
    machine = dataset.item_ids.row("machine0")
    roles = {"bought": 4, "looked at": 0}
    for deed, role in roles.items():
        own = Histories.of([[machine]])
        own = Histories(own.indptr, own.item, own.day, own.user, own.now, role=np.array([role], np.int8))
        scores = recommender.score_batch(own)[0]
        assert np.isnan(scores[machine]) == (deed == "bought"), deed
        [at] = recommender.ranker.score_at(own, [np.array([machine, 0], np.int32)], "for_you")
        assert np.isnan(at[0]) == (deed == "bought"), deed


def test_where_nothing_is_bought_again_nothing_is_learnt() -> None:
    assert model_of(shop(), repeats=False).lasting == ()
