"""Rankers learned on validation: kept where they gain, saved with the model, and served as measured."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.history import Histories
from crossaisle.data.query import Query
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.splits.split import temporal_split
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.errors import ArtifactError
from crossaisle.models.ranking import trees
from crossaisle.models.ranking.reranker import load_rankers, save_rankers
from crossaisle.models.ranking.tables import ShopTables
from crossaisle.models.shortlists import TuningTask, shortlisted
from crossaisle.pipeline.fit import Fitted, fit
from crossaisle.pipeline.learn import (
    NO_EARLIER,
    EarlierShop,
    LearningLimits,
    earlier_shops,
    learn,
    learn_rankers,
)
from crossaisle.pipeline.measure import BLEND, MODEL, measure
from crossaisle.pipeline.missing import no_lightgbm
from crossaisle.pipeline.mission import OPEN_LIST, Floors, kept_to_floors, leaning, measured
from crossaisle.pipeline.ranker_trial import Trial
from crossaisle.pipeline.weights import choose_weights
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from tests.pipeline.ranked_shop import wandering

pytest.importorskip("lightgbm")
SMALL = LearningLimits(trees=20, fewest=50)


@pytest.fixture(scope="module")
def plain() -> Fitted:
    """Fitted without rankers."""
    config = ModelConfig(encoder="none", ranker=False)
    return fit(wandering(300), split_config=SplitConfig(protocol="leave_last_out"), model_config=config)


@pytest.fixture(scope="module")
def fitted(plain: Fitted) -> Fitted:
    learned = learn_rankers(
        plain.validation_blend, plain.split, tuple(plain.validation_blend.parts), limits=SMALL
    )
    past = plain.past
    ranked = past.replaced(rankers=learned.rankers)
    return replace(plain, past=ranked, learned=learned)


def test_a_ranker_that_gains_on_cases_it_has_not_seen_serves(fitted: Fitted) -> None:
    assert "for_you" in fitted.past.rankers
    assert fitted.learned.notes[0].startswith("for_you: ranker is used: better than blend by +0.")
    figures = fitted.learned.figures["for_you"]
    assert figures["verdict"]["low"] > 0
    assert 0 < figures["calibration"]["ece"] < 0.05
    assert figures["gains"]["transition"] > 0.01  # what no part of the blend says


def test_it_gains_on_test_too_and_the_blend_is_measured_beside_it(fitted: Fitted) -> None:
    evaluation = measure(fitted, resamples=200)
    [gap] = evaluation.compare(MODEL, [BLEND], slices=["all"])
    assert gap["difference"] > 0.02
    alone = measure(replace(fitted, past=_without(fitted)), resamples=10).row(MODEL, "all", "ndcg")
    assert alone is not None
    assert gap["baseline_value"] == pytest.approx(alone["value"])


def test_the_same_cases_grow_the_same_trees(plain: Fitted, fitted: Fitted) -> None:
    blend = plain.validation_blend
    again = learn_rankers(blend, plain.split, tuple(blend.parts), limits=SMALL)
    assert {name: [t.text for t in one.trees] for name, one in again.rankers.items()} == {
        name: [t.text for t in one.trees] for name, one in fitted.past.rankers.items()
    }


def test_a_saved_ranker_ranks_as_before_live_too(fitted: Fitted, tmp_path: Path) -> None:
    fitted.past.save(tmp_path / "model")
    loaded = Recommender.load(tmp_path / "model")
    histories = fitted.past.histories.take(np.arange(20))
    expected = fitted.past.score_batch(histories)
    np.testing.assert_allclose(loaded.score_batch(histories), expected, rtol=1e-5)
    live = LiveRecommender(loaded, LiveHistories())
    for user in ("u0", "u7"):
        query = Query(user=user, n=10)
        served = [item.item_id for item in live.recommend(query).items]
        assert served == [item.item_id for item in fitted.past.recommend(query).items]
    first = np.argsort(-_without(fitted).score_batch(histories), axis=1)[:, :10]
    assert (first != np.argsort(-expected, axis=1)[:, :10]).any()


def test_a_heavy_prior_is_the_order_of_the_blend_and_is_saved(fitted: Fitted, tmp_path: Path) -> None:
    rankers = {name: replace(one, prior=1e4, lift=0.0) for name, one in fitted.past.rankers.items()}
    fitted.past.replaced(rankers=rankers).save(tmp_path / "model")
    loaded = Recommender.load(tmp_path / "model")
    assert loaded.rankers["for_you"].prior == 1e4
    histories = fitted.past.histories.take(np.arange(20))
    first, plain, own = (
        np.argsort(-shop.score_batch(histories), axis=1, kind="stable")[:, :10]
        for shop in (loaded, _without(fitted), fitted.past)
    )
    np.testing.assert_array_equal(first, plain)
    assert (own != plain).any()


def test_a_ranker_saved_before_there_were_priors_has_none(fitted: Fitted, tmp_path: Path) -> None:
    described = save_rankers(fitted.past.rankers, tmp_path)
    del described["for_you"]["prior"]
    loaded = load_rankers(described, tmp_path, fitted.past.blend)
    assert loaded["for_you"].prior == 0.0
    described["for_you"]["prior"] = float("nan")
    with pytest.raises(ArtifactError, match="prior and lift of a ranker must be numbers"):
        load_rankers(described, tmp_path, fitted.past.blend)


@pytest.mark.parametrize(
    "changed",
    [{"prior": 1e39}, {"prior": -5.0}, {"lift": 1e39}, {"lift": -1.0}, {"scales": [1e-46]}, {"scales": []}],
)
def test_a_ranker_with_numbers_that_would_upset_the_order_is_refused(
    fitted: Fitted, tmp_path: Path, changed: dict[str, object]
) -> None:
    described = save_rankers(fitted.past.rankers, tmp_path)
    described["for_you"] |= changed
    with pytest.raises(ArtifactError, match="must be numbers from 0 to 1e"):
        load_rankers(described, tmp_path, fitted.past.blend)


def test_trees_that_know_nothing_get_a_heavy_prior(plain: Fitted) -> None:
    """Answers drawn anew among all candidates by the blend's own order: all that trees can learn is noise."""
    blend, split = plain.validation_blend, plain.split
    rule = TuningTask(split.validation, unseen=True)
    trial = learn(blend, split.train, split.validation, "for_you", rule, tuple(blend.parts), limits=SMALL)
    assert trial is not None
    examples = trial.examples
    chance = 0.5 / (1.0 + examples.features[:, 1])
    right = np.random.default_rng(0).random(len(chance)) < chance
    noise = Trial.of(trial.ranker, replace(examples, right=right), trial.growth)
    assert noise.prior > 0
    assert noise.quality["+".join(noise.objectives)] == max(noise.quality.values())
    assert float(np.nanmean(noise.examples.ndcg(noise.scores))) == max(noise.quality.values())


def test_filters_leave_candidates_that_the_ranker_orders(fitted: Fitted, tmp_path: Path) -> None:
    """Among two categories the ranker's order is its own, in Python and behind the service."""
    shop = fitted.past
    ranker, tables = shop.rankers["for_you"], ShopTables.of(shop.dataset, habits=True)
    live = LiveRecommender(shop, LiveHistories())
    differs = 0
    for user in ("u0", "u3", "u4", "u11"):
        query = Query(user=user, n=8, include_categories=("c1", "c2"))
        names = shop.dataset.taxonomy.names()
        inside = np.isin(shop.view.codes, [names.index("c1"), names.index("c2")])[None, :]
        history = shop.history_of(user)
        _, candidates = ranker.candidates(shop.blend, tables, history, inside)
        order = candidates.rows[0][np.lexsort((-candidates.blend, -ranker.scores(candidates)))]
        expected = [shop.dataset.item_ids.id(int(row)) for row in order[:8]]
        assert [item.item_id for item in shop.recommend(query).items] == expected
        assert [item.item_id for item in live.recommend(query).items] == expected
        plain = _without(fitted).recommend(query)
        differs += [item.item_id for item in plain.items] != expected
    assert differs


def test_a_filtered_list_is_not_cut_from_the_kept_ranking(fitted: Fitted) -> None:
    live = LiveRecommender(fitted.past, LiveHistories())
    live.recommend(Query(user="u0", n=8))
    assert live.is_cached(Query(user="u0", n=8))
    assert not live.is_cached(Query(user="u0", n=8, include_categories=("c2",)))
    assert live.is_cached(Query(user="u0", n=8, in_stock=True))


def test_a_large_shop_ranks_what_it_retrieves(fitted: Fitted) -> None:
    small = LiveRecommender(fitted.past, LiveHistories())
    large = LiveRecommender(fitted.past, LiveHistories(), limits=LiveLimits(large_items=10))
    for user in ("u0", "u5"):
        query = Query(user=user, n=10)
        assert [item.item_id for item in large.recommend(query).items] == [
            item.item_id for item in small.recommend(query).items
        ]


def test_scores_stay_on_the_scale_of_the_blend(fitted: Fitted) -> None:
    histories = fitted.past.histories.take(np.arange(20))
    past = fitted.past  # without what new items are lent, which comes on top
    ranked, blend = (
        Recommender(past.dataset, past.blend, repeats=past.repeats, rankers=rankers).score_batch(histories)
        for rankers in (past.rankers, {})
    )
    np.testing.assert_allclose(np.sort(ranked, axis=1), np.sort(blend, axis=1), rtol=1e-4, atol=1e-6)


def test_changed_weights_switch_the_ranker_of_their_placement_off(fitted: Fitted) -> None:
    other = fitted.past.with_weights({"for_you": {"popularity": 1.0}})
    assert "for_you" not in other.rankers
    assert other.rankers.keys() == fitted.past.rankers.keys() - {"for_you"}


def test_without_lightgbm_no_ranker_is_learned_and_one_that_was_serves_all_the_same(
    plain: Fitted, fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.past.save(tmp_path / "model")
    users = fitted.past.dataset.user_ids.ids(range(5))
    expected = [fitted.past.recommend(Query(user=user)).ids for user in users]
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    blend = plain.validation_blend
    learned = learn_rankers(blend, plain.split, tuple(blend.parts), limits=SMALL)
    assert (learned.rankers, learned.notes) == ({}, (no_lightgbm(),))
    loaded = Recommender.load(tmp_path / "model")
    assert loaded.rankers.keys() == fitted.past.rankers.keys() != set()
    assert [loaded.recommend(Query(user=user)).ids for user in users] == expected


def test_where_time_is_cut_trees_grow_on_earlier_windows() -> None:
    """No validation case teaches the trees that judge it: with other answers there they are the same."""
    config = ModelConfig(encoder="none", ranker=False)
    plain = fit(wandering(600), split_config=SplitConfig(protocol="temporal"), model_config=config)
    blend, split = plain.validation_blend, plain.split
    parts = tuple(blend.parts)
    shops = earlier_shops(blend, split, parts, ["for_you", "discover"], most=2, cases=1000)
    assert len(shops) == 2
    first = round(float(split.validation.histories.now[0]))
    for shop in shops:
        assert shop.dataset.events.time is not None
        start = float(shop.cases.histories.now[0])
        assert shop.dataset.events.time.max() < start * SECONDS_PER_DAY < first * SECONDS_PER_DAY
        assert shop.blend.parts["popularity"] is not blend.parts["popularity"]
        assert len(shop.cases) > 50
    learned = learn_rankers(blend, split, parts, limits=SMALL)
    assert learned.notes[0].startswith("for_you: ranker is used: better than blend by +0.")
    shuffled = replace(
        split, validation=replace(split.validation, target=split.validation.target[::-1].copy())
    )
    wrong = learn_rankers(blend, shuffled, parts, limits=SMALL)
    assert wrong.figures["for_you"]["ndcg@10"] != learned.figures["for_you"]["ndcg@10"]
    assert "for_you" not in wrong.rankers


def test_windows_are_not_fitted_for_cases_that_are_too_few(plain: Fitted) -> None:
    def never() -> list[EarlierShop]:
        raise AssertionError("fitted for nothing")

    blend, split = plain.validation_blend, plain.split
    rule, limits = TuningTask(split.validation, unseen=True), replace(SMALL, fewest=len(split.validation) + 1)
    asked = (blend, split.train, split.validation, "for_you", rule, tuple(blend.parts))
    assert learn(*asked, earlier=never, limits=limits) is None


def test_without_earlier_windows_no_season_judges_itself(plain: Fitted) -> None:
    split = temporal_split(wandering(300), fraction=0.4)  # a fifth of the time is left to train on
    learned = learn_rankers(plain.validation_blend, split, tuple(plain.validation_blend.parts), limits=SMALL)
    assert (learned.rankers, learned.notes) == ({}, (NO_EARLIER,))


def test_damaged_trees_are_named(fitted: Fitted, tmp_path: Path) -> None:
    fitted.past.save(tmp_path / "model")
    file = tmp_path / "model" / "rankers" / "for_you-0.txt"
    file.write_text(file.read_text().replace("split_feature", "split_future", 1))
    with pytest.raises(ArtifactError, match=r"for_you-0\.txt does not match its checksum"):
        Recommender.load(tmp_path / "model")


def test_trees_of_other_features_are_refused(fitted: Fitted) -> None:
    ranker = fitted.past.rankers["for_you"]
    with pytest.raises(ArtifactError, match="read other features"):
        trees.Trees.read(ranker.trees[0].text, ranker.features[:-1])
    with pytest.raises(ArtifactError, match="cannot be used"):
        trees.Trees.read("tree\nversion=v4\n", ranker.features)


def test_a_blend_that_loses_to_a_single_model_elsewhere_gets_other_weights(plain: Fitted) -> None:
    """Whatever the weights were before: they are chosen again, and the better ones stay as they are."""
    blend = replace(plain.validation_blend, weights={"for_you": {"category_link": 1.0}})
    parts = tuple(blend.parts)
    chosen = choose_weights(blend.parts, plain.split)
    floors = Floors.of(blend, plain.split, parts)
    weights, ruling = kept_to_floors(blend, chosen, parts, floors)
    assert ruling.shortfalls[BLEND]
    assert ruling.chosen != BLEND
    assert weights != {"category_link": 1.0}
    assert ruling.statement.startswith("mission guard: ")
    floors = Floors.of(plain.validation_blend, plain.split, parts)
    own, again = kept_to_floors(plain.validation_blend, chosen, parts, floors)
    assert (own, again.chosen) == (plain.validation_blend.weights["for_you"], BLEND)


def test_cases_that_lean_ask_for_answers_in_new_categories() -> None:
    codes = np.array([0, 0, 1, 2, -1], np.int32)
    histories = Histories.of([[0], [0, 2], [2], [3]])
    cases = EvalCases(histories, np.array([0, 2, 4, 5, 6]), np.array([1, 2, 1, 3, 4, 3], np.int32))
    scores = [np.eye(4, 5, dtype=np.float32)]
    found = shortlisted(TuningTask(cases), np.arange(4), scores, codes)
    some = leaning(found, cases, codes, 0.5)
    asked = [
        (case, tuple(items[worth > 0]), tuple(ideal))
        for case, items, worth, ideal in zip(some.case, some.items, some.worth, some.ideal, strict=True)
    ]
    assert len(asked) == 4
    # Of an unknown category nothing is new; one right answer is the best list of one.
    assert set(asked[2:]) == {(0, (2,), (1.0, 1.0)), (1, (3,), (1.0, 1.0))}
    own = {0: (1, 2), 1: (1, 3), 2: (4,), 3: (3,)}
    assert all(items == own[case] for case, items, _ in asked[:2])


def test_the_blend_is_measured_with_the_floors_as_it_is_alone(plain: Fitted) -> None:
    blend, split = plain.validation_blend, plain.split
    floors = Floors.of(blend, split, ["popularity", "item_knn"], slices=OPEN_LIST)
    alone = measured({"blend": blend.score_rows}, split, floors.rows, OPEN_LIST)["blend"]
    assert floors.blend.keys() == alone.keys()
    assert floors.values.keys() == {"popularity", "item_knn"}
    for name, values in alone.items():
        np.testing.assert_array_equal(floors.blend[name], values)


def _without(fitted: Fitted) -> Recommender:
    return fitted.past.replaced(rankers={})
