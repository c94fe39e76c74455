"""How a recommender is made, replaced and answers."""

from __future__ import annotations

import json
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from crossaisle.data.merchandising.rules import RuleSet
from crossaisle.data.query import Query
from crossaisle.drift.since_fit import SinceFit
from crossaisle.drift.summary import Summary
from crossaisle.errors import ConfigError
from crossaisle.models.blend import Blend
from crossaisle.models.newcomers import Newcomers
from crossaisle.models.ranking.pool import Pool
from crossaisle.models.ranking.ranker import LearnedRanker
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.limits import ListLimits
from crossaisle.recommend.recommender import Recommender
from tests.recommend.shop import FITTED, SHOP


def test_what_was_decided_about_a_shop_is_carried_along() -> None:
    """By name of each setting, so that one that is added is not forgotten."""
    parts = {"popularity": Popularity(), "tfidf": TfidfSimilarity(), "item_knn": ItemKNN()}
    decided: dict[str, Any] = {
        "repeats": True,
        "tuned": False,
        "newcomers": Newcomers(
            np.array([0], np.int32), sparse.csr_matrix((1, SHOP.n_items), dtype=np.float32)
        ),
        "lasting": (1,),
        "histories": FITTED.histories,
        "limits": ListLimits(prefix=1),
        "reference": Summary.of_model(SHOP),
        "rules": RuleSet.of([{"id": "a", "action": "never", "items": ["Milk"]}], "f"),
        "since_fit": SinceFit(100, 5, 1),
        "folder": Path("models/a"),
        "rankers": {"for_you": LearnedRanker(placement="for_you", pool=Pool(), parts=(), texts=())},
    }
    settings = {name for name in signature(Recommender).parameters if name not in ("dataset", "blend")}
    assert decided.keys() == settings
    shop = Recommender(SHOP, Blend(parts=parts).fit(SHOP), **decided)
    same = shop.replaced(blend=replace(shop.blend, remember=True))
    assert same.blend.remember
    for name, value in decided.items():
        carried = getattr(same, name)
        assert carried is value or carried == value, name
    assert shop.replaced(rankers={}).rankers == {}
    kept = SHOP.events.item != SHOP.item_ids.row("milk1")
    other = shop.replaced(dataset=SHOP.with_events(kept))
    assert (other.repeats, other.tuned, other.limits) == (True, False, shop.limits)
    assert other.rankers == shop.rankers
    assert other.since_fit is None
    assert other.newcomers is not None
    assert SHOP.item_ids.row("milk1") in other.newcomers.rows  # what is read off the data is read again
    assert other.lasting != shop.lasting
    assert len(other.histories.item) == kept.sum()


def test_popularity_is_required() -> None:
    with pytest.raises(ConfigError, match="needs a Popularity part"):
        Recommender(SHOP, Blend(parts={"item_knn": ItemKNN()}).fit(SHOP))


def test_parts_must_belong_to_the_shop() -> None:
    renamed = replace(SHOP, item_ids=type(SHOP.item_ids)(f"other{i}" for i in range(SHOP.n_items)))
    with pytest.raises(ConfigError, match="part 'popularity' was fitted on other items than data set 'tiny'"):
        Recommender(SHOP, Blend(parts={"popularity": Popularity()}).fit(renamed))


def test_answers_as_dict_and_table() -> None:
    answer = FITTED.recommend(Query(user="u0", n=3, explain=True))
    told = json.loads(json.dumps(answer.to_dict()))
    assert told["items"][0]["item_id"] == answer.ids[0]
    assert told["items"][0]["evidence"]["contributions"]
    table = answer.to_polars()
    assert table.columns == ["rank", "item_id", "title", "category", "price", "score", "why"]
    assert table["item_id"].to_list() == answer.ids
    assert table["why"].null_count() == 0
    assert FITTED.recommend(Query(placement="trending", n=2)).to_polars()["why"].null_count() == 2
    assert table["price"].to_list() == [item.price for item in answer]  # 58.99, not 58.990002
    noted = replace(answer, notices=("one < two",))
    assert str(noted).startswith("shape: ")
    assert str(noted).endswith("\none < two")
    assert "<table" in noted._repr_html_()
    assert "<p>one &lt; two</p>" in noted._repr_html_()
