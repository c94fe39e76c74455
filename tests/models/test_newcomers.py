"""Items that nobody has bought yet are lent the scores of those whose texts are nearest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.query import Query
from crossaisle.models.newcomers import LEAST, LENDING, NEIGHBOURS, Newcomers, links_to
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.pipeline.fit import fit
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import tiny_shop

SHOP = tiny_shop(users=60)
COLD = SHOP.item_ids.rows(["milk5", "bread5", "spade5", "paint5"])
LENT = Newcomers.of([TfidfSimilarity().fit(SHOP)], SHOP)
assert LENT is not None


def test_neighbours_share_the_largest_similarity() -> None:
    likeness = np.array([0.8, 0.05, 0.4, 0.4, 0.2, 0.2, 0.2], np.float32)
    links = links_to([(np.arange(7, dtype=np.int32), likeness)], 7)
    assert links.sum() == pytest.approx(0.8)
    assert links.nnz == NEIGHBOURS
    assert 1 not in links.indices  # below LEAST
    assert LEAST > 0.05
    assert links_to([(np.empty(0, np.int32), np.empty(0, np.float32))], 7).nnz == 0
    assert links_to([], 7).shape == (0, 7)


def test_only_items_without_events_are_lent_anything_and_only_others_lend() -> None:
    np.testing.assert_array_equal(LENT.rows, np.sort(COLD))
    assert not np.isin(LENT.links.indices, COLD).any()
    assert LENT.lenders(int(SHOP.item_ids.row("milk0"))) == []
    [first, *_] = LENT.lenders(int(SHOP.item_ids.row("milk5")))
    assert SHOP.item_ids.id(first[0]).startswith("milk")


def test_the_larger_of_the_own_and_the_lent_score_counts() -> None:
    scores = np.zeros((2, SHOP.n_items), np.float32)
    scores[0, SHOP.item_ids.rows([f"milk{i}" for i in range(5)])] = 2.0
    scores[1] = np.nan
    milk5, paint5 = SHOP.item_ids.rows(["milk5", "paint5"])
    scores[0, paint5] = 0.7
    filled = LENT.fill(scores.copy())
    assert 0.0 < filled[0, milk5] <= 2.0 * LENDING
    assert filled[0, paint5] == pytest.approx(0.7)
    assert np.isnan(filled[1]).all()
    others = np.setdiff1d(np.arange(SHOP.n_items), COLD)
    np.testing.assert_array_equal(filled[:, others], scores[:, others])


def test_a_fitted_shop_offers_what_nobody_has_bought_and_explains_it(tmp_path: Path) -> None:
    """Behaviour alone gives a new product no score; and a saved model serves what was fitted."""
    fitted = fit(SHOP, split_config=SplitConfig(), model_config=ModelConfig(encoder="none")).past
    weights = {name: {"item_knn": 1.0, "tfidf": 0.01} for name in fitted.blend.weights}
    model = fitted.with_weights(weights)
    model.save(tmp_path / "model")
    for one in (model, Recommender.load(tmp_path / "model")):
        query = Query(history=("milk0", "bread1", "milk2"), n=20, explain=True, exclude_seen=True)
        answer = one.recommend(query)
        [new] = [item for item in answer if item.item_id == "milk5"]
        garden = [item for item in answer if item.item_id.startswith(("spade", "paint"))]
        assert all(new.score > item.score for item in garden)
        for item in answer:
            assert item.evidence is not None
            assert item.evidence.score == pytest.approx(item.score, rel=1e-4)
        assert new.evidence is not None
        assert new.evidence.text.startswith("New")
        assert new.evidence.text.count("fresh milk number 2") == 1  # what it is like is a cause, too
    without = Recommender(model.dataset, model.blend, repeats=model.repeats)
    own = without.score_batch(SHOP.histories([0]))[0, COLD]
    assert (model.score_batch(SHOP.histories([0]))[0, COLD] >= own).all()


def test_nobody_is_lent_anything_where_all_or_none_are_new_or_no_text_is_read() -> None:
    silent = SHOP.with_events(np.zeros(len(SHOP.events), bool))
    texts = TfidfSimilarity().fit(SHOP)
    assert Newcomers.of([texts], silent) is None
    assert Newcomers.of([ItemKNN().fit(SHOP)], SHOP) is None
    everywhere = replace(
        SHOP.events, item=np.arange(len(SHOP.events), dtype=np.int32) % np.int32(SHOP.n_items)
    )
    assert Newcomers.of([texts], replace(SHOP, events=everywhere)) is None
