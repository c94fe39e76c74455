"""Items that many users dislike, in a fit and live."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import from_frames
from crossaisle.data.query import Query
from crossaisle.models.blend import Blend
from crossaisle.models.disapproval import REASON, Disapproval, believed_from
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender

START = 1_700_000_000
TITLES = {
    "enamel": "enamel mug blue",
    "oak": "oak board",
    "steel": "enamel mug steel",
    "tin": "enamel mug tin",
    "soap": "olive soap",
}


def shop(against: int = 30, *, kind: str = "dislike", bought: int = 0) -> Dataset:
    """Forty people, of whom some bought the steel mug, and others are against it."""
    rows: list[tuple[Any, ...]] = [
        (f"p{n}", "enamel" if n % 2 else "oak", START, "purchase") for n in range(40)
    ]
    rows += [(f"p{n}", "steel", START + 5000, "purchase") for n in range(bought)]
    rows += [(f"p{n}", "steel", START + 9000, kind) for n in range(40 - against, 40)]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "time", "kind"], orient="row")
    items = pl.DataFrame({"item_id": list(TITLES), "title": list(TITLES.values())})
    return from_frames(items, events)


def model_of(made: Dataset) -> Recommender:
    parts = {"popularity": Popularity(), "tfidf": TfidfSimilarity(average=True)}
    weights = {"for_you": {"popularity": 0.1, "tfidf": 1.0}}
    return Recommender(made, Blend(parts=parts, weights=weights).fit(made))


def scores_of(made: Dataset) -> dict[str, float]:
    answer = model_of(made).recommend(Query(history=("enamel",), n=5))
    return {one.item_id: one.score for one in answer}


@pytest.mark.parametrize("kind", ["dislike", "return"])
def test_what_thirty_people_dislike_is_not_offered_for_its_words(kind: str) -> None:
    scores, before = scores_of(shop(kind=kind)), scores_of(shop(0))
    assert before["steel"] == pytest.approx(before["tin"])
    assert scores["steel"] == pytest.approx(before["steel"] * 10 / 40)
    assert scores["tin"] == pytest.approx(before["tin"])


def test_without_a_negative_event_nothing_is_lost() -> None:
    made = shop(0)
    assert Disapproval.of(made) is None
    assert model_of(made).ranker.disapproval is None


def test_those_who_kept_it_speak_for_it() -> None:
    found = Disapproval.of(shop(3, bought=30))
    assert found is not None
    steel = list(TITLES).index("steel")
    assert found.share[steel] == pytest.approx(3 / (33 + 10))
    assert np.delete(found.share, steel).tolist() == [0.0] * 4
    assert found.lost(steel, "for_you") > 0
    assert found.lost(steel, "trending") == found.lost(steel, "buy_again") == 0


def test_scores_below_nothing_are_left_as_they_are() -> None:
    scores = np.array([[-1.0, 2.0, np.nan]], np.float32)
    Disapproval(np.array([0.5, 0.5, 0.5], np.float32)).lower(scores, "for_you")
    np.testing.assert_array_equal(scores, np.array([[-1.0, 1.0, np.nan]], np.float32))


def test_reasons_add_up_and_name_what_is_lost() -> None:
    model = model_of(shop(10))
    listed = model.recommend(Query(history=("enamel",), n=5, explain=True))
    steel = next(one for one in listed if one.item_id == "steel")
    told = model.explain(["enamel"], "steel")
    assert told.score == pytest.approx(steel.score, rel=1e-5)
    assert sum(one.amount for one in told.contributions) + told.other == pytest.approx(told.score, rel=1e-5)
    [lost] = [one for one in told.contributions if one.reasons.keys() == {REASON}]
    assert lost.amount == pytest.approx(-told.score, rel=1e-5)  # 10 of 10 + 10: half is lost
    assert told.text == model_of(shop(0)).explain(["enamel"], "steel").text


def test_how_many_must_say_so_follows_from_how_items_differ() -> None:
    rng = np.random.default_rng(0)
    said = np.full(400, 40.0)
    alike = rng.binomial(40, 0.1, 400).astype(float)
    apart = rng.binomial(40, rng.beta(0.5, 4.5, 400)).astype(float)
    assert believed_from(alike, said) > 60
    assert believed_from(apart, said) == pytest.approx(5.0, rel=0.4)
    assert believed_from(apart[:10], said[:10]) == 10.0
    assert believed_from(np.zeros(400), said) == 10.0
