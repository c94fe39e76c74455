"""From settings to a split, from data to a choice of models, from validation to weights."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from crossaisle.config import ModelConfig, Repeats, SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.query import Query
from crossaisle.errors import ConfigError, CrossaisleError, DataError
from crossaisle.evaluate.results import Row
from crossaisle.models.blend import Blend
from crossaisle.models.defaults import buys_again, default_parts
from crossaisle.models.scorers.leaf_lift import LeafLift
from crossaisle.pipeline.fit import fit, fit_parts, refit, split_of
from crossaisle.pipeline.measure import MODEL, measure, measure_carts
from crossaisle.recommend import request
from tests.data.splits.test_carts import with_baskets
from tests.models.shops import FIRST_DAY, PER_CATEGORY, tiny_shop

PLAIN = ModelConfig(encoder="none")


def baskets() -> Dataset:
    return replace(tiny_shop(users=60), users_are_baskets=True)


def repeating_shop() -> Dataset:
    """Everybody buys the first day's item again on the fifth day and the last."""
    shop = tiny_shop(users=60)
    item = shop.events.item.copy()
    for start in range(0, len(item), 8):
        item[start + 4] = item[start]
    return replace(shop, events=replace(shop.events, item=item))


def test_shares_of_a_temporal_split_are_shares_of_the_events() -> None:
    shop = tiny_shop(users=60)
    split = split_of(shop, SplitConfig(test=0.25, validation=0.2))
    assert len(split.past.events) / len(shop.events) == pytest.approx(0.75)
    assert len(split.train.events) < len(split.past.events)


def test_dates_cut_where_they_say() -> None:
    first = date.fromordinal(date(1970, 1, 1).toordinal() + FIRST_DAY)
    cut = first.replace(day=first.day + 6)
    split = split_of(tiny_shop(), SplitConfig(test=cut, validation=first.replace(day=first.day + 5)))
    time = split.past.events.time
    assert time is not None
    assert time.max() < np.datetime64(cut, "s").astype(np.int64)


def test_baskets_are_held_out_by_share_and_not_by_date() -> None:
    split = split_of(baskets(), SplitConfig(protocol="baskets", test=0.1, validation=0.1))
    assert "6 baskets held out" in split.notes[0]
    with pytest.raises(ConfigError, match="takes shares, not dates"):
        split_of(baskets(), SplitConfig(protocol="baskets", test=date(2020, 1, 1)))


def test_the_data_decides_which_models_a_shop_gets() -> None:
    habits = tiny_shop()
    assert buys_again(habits)
    assert "frequency" in default_parts(habits, encoder="none")
    assert "complement" in default_parts(baskets(), encoder="none")
    once = habits.with_events(np.flatnonzero(np.arange(len(habits.events)) % 8 < 7))
    assert not buys_again(once)
    parts = default_parts(once, encoder="none")
    assert "slit" in parts
    assert "encoder" not in parts
    assert "encoder" in default_parts(once)


def test_parts_fitted_at_a_time_are_those_fitted_one_by_one() -> None:
    shop = with_baskets(users=60)
    one, two = (default_parts(shop, encoder="none") for _ in range(2))
    costs = fit_parts(one, shop)
    assert fit_parts(two, shop, together=2).keys() == costs.keys() == one.keys()
    histories = shop.histories(np.arange(20, dtype=np.int32))
    for name, part in one.items():
        np.testing.assert_array_equal(part.score_rows(histories), two[name].score_rows(histories), name)


def test_two_parts_that_learn_the_same_are_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shop, fits = with_baskets(users=60), list[LeafLift]()
    learn = LeafLift.fit
    monkeypatch.setattr(LeafLift, "fit", lambda part, shop: fits.append(part) or learn(part, shop))
    parts = default_parts(shop, encoder="none")
    fit_parts(parts, shop)
    assert fits == [parts["basket_leaf"]]
    lifts = [part.lifts_ for part in parts.values() if isinstance(part, LeafLift)]
    assert len(lifts) == 2
    assert lifts[0] is lifts[1]


def test_a_refit_goes_on_from_what_the_blend_knows() -> None:
    shop = with_baskets(users=60)
    parts = default_parts(shop, encoder="none")
    fit_parts(parts, shop)
    again, costs = refit(Blend(parts=parts), shop)
    assert costs.keys() == {name for name, part in parts.items() if part.reads_events}
    histories = shop.histories(np.arange(20, dtype=np.int32))
    for name, part in parts.items():
        same = np.array_equal(part.score_rows(histories), again.parts[name].score_rows(histories), True)
        assert same != part.continues, name


def test_a_fit_that_only_serves_lets_the_first_models_go_and_serves_the_same() -> None:
    shop, config = with_baskets(each=2), SplitConfig(protocol="temporal", test=0.25)
    fitted = fit(shop, split_config=config, model_config=PLAIN)
    lean = fit(shop, split_config=config, model_config=PLAIN, to_measure=False)
    assert lean.past.blend.weights == fitted.past.blend.weights
    histories = shop.histories(np.arange(20, dtype=np.int32))
    one, other = (found.to_serve(shop).blend for found in (fitted, lean))
    for name, part in one.parts.items():
        np.testing.assert_array_equal(part.score_rows(histories), other.parts[name].score_rows(histories))
    with pytest.raises(CrossaisleError, match="not fitted"):
        lean.validation_blend.parts["item_knn"].score_rows(histories)


def test_what_goes_with_a_product_is_asked_of_baskets_where_there_are_any() -> None:
    shop = with_baskets(each=2)
    fitted = fit(shop, split_config=SplitConfig(protocol="temporal", test=0.25), model_config=PLAIN)
    chosen = fitted.past.blend.weights
    assert "basket_knn" in fitted.past.blend.parts
    assert "basket_knn" not in chosen["for_you"] | chosen["discover"]
    assert "basket_knn" not in default_parts(tiny_shop(), encoder="none")


@pytest.mark.parametrize("protocol", ["temporal", "leave_last_out"])
def test_weights_come_from_validation_and_the_served_model_has_seen_the_past(protocol: str) -> None:
    shop = tiny_shop(users=60)
    config = SplitConfig(protocol=protocol)  # type: ignore[arg-type]
    fitted = fit(shop, split_config=config, model_config=PLAIN)
    assert {"for_you", "discover", "goes_with", "similar", "trending"} <= fitted.past.blend.weights.keys()
    assert fitted.past.blend.weights == fitted.validation_blend.weights
    popularity = fitted.past.blend.parts["popularity"].popularity_  # type: ignore[attr-defined]
    assert np.array_equal(~np.isnan(popularity), fitted.split.past.item_counts > 0)
    again = fit(shop, split_config=config, model_config=PLAIN)
    assert again.past.blend.weights == fitted.past.blend.weights


def test_a_sample_of_the_cases_says_that_it_is_one() -> None:
    fitted = fit(tiny_shop(users=60), split_config=SplitConfig(protocol="leave_last_out"), model_config=PLAIN)
    evaluation = measure(fitted, resamples=20, max_cases=10)
    assert len(evaluation.cases) == 10
    assert "measured on 10 of 60 cases of test, drawn at random" in evaluation.notes
    assert measure(fitted, resamples=20, max_cases=60).notes == fitted.split.notes


def test_every_slice_is_answered_by_the_placement_that_serves_it() -> None:
    shop = repeating_shop()
    fitted = fit(shop, split_config=SplitConfig(test=0.25, validation=0.25), model_config=PLAIN)
    evaluation = measure(fitted, resamples=50)
    assert set(evaluation.models) == {*fitted.past.blend.parts, MODEL}
    swapped = {**fitted.past.blend.weights, "for_you": {"popularity": 1.0}}
    past = fitted.past
    swapped_past = type(past)(past.dataset, _with(fitted, swapped), repeats=True, newcomers=past.newcomers)
    other = replace(fitted, past=swapped_past)
    again = measure(other, resamples=50)
    assert "new_item" in evaluation.slices
    assert again.row(MODEL, "new_item", "ndcg") == evaluation.row(MODEL, "new_item", "ndcg")
    served, popular = again.row(MODEL, "all", "ndcg"), again.row("popularity", "all", "ndcg")
    assert served
    assert popular
    assert served["value"] < popular["value"]  # with what nobody bought yet in the lists, too


def _with(fitted, weights):  # type: ignore[no-untyped-def]
    return replace(fitted.past.blend, weights=weights)


def test_a_sample_of_the_users_is_measured_when_asked() -> None:
    fitted = fit(tiny_shop(users=60), split_config=SplitConfig(), model_config=PLAIN)
    assert len(measure(fitted, resamples=20, max_cases=7).cases) == 7


def test_what_goes_with_a_product_is_measured_on_baskets_of_the_test() -> None:
    shop = with_baskets(each=2)
    fitted = fit(shop, split_config=SplitConfig(protocol="temporal", test=0.25), model_config=PLAIN)
    rows = measure_carts(fitted, shop, resamples=20)
    assert {row["slice"] for row in rows} == {"goes_with"}
    assert {MODEL, "basket_knn", "popularity"} <= {row["model"] for row in rows}
    assert measure_carts(fitted, fitted.split.past) == []


def _where_people_buy_again() -> Dataset:
    shop = with_baskets(each=2, users=60)
    item = shop.events.item.copy()
    for start in range(0, len(item), 8):  # something old and something new in each of the last two baskets
        item[start + 7] = item[start + 6]
        item[start + 4 : start + 8 : 2] = item[start : start + 4 : 2]
    return replace(shop, events=replace(shop.events, item=item))


def test_users_with_carts_are_tuned_and_measured_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """With their history, repeats and new products apart, beside the list for the cart alone."""
    shop = _where_people_buy_again()
    fitted = fit(shop, split_config=SplitConfig(test=0.25, validation=0.25), model_config=PLAIN)
    weights = fitted.past.blend.weights
    assert fitted.past.repeats
    assert weights["goes_with_user"] | weights["goes_with_history"]
    rows = measure_carts(fitted, shop, resamples=20)
    known = [row for row in rows if row["slice"].startswith("goes_with_user")]
    assert {row["slice"] for row in known} == {
        "goes_with_user",
        "goes_with_user_repeat",
        "goes_with_user_new",
    }
    found = {(row["model"], row["slice"]): row["value"] for row in known if row["metric"] == "recall"}
    assert found[MODEL, "goes_with_user_new"] == found["cart_alone", "goes_with_user_new"]
    assert found[MODEL, "goes_with_user"] >= found["cart_alone", "goes_with_user"]
    assert _of_users(rows, MODEL) != _of_users(rows, "cart_alone")
    # Somebody who has bought too little is measured with the list that is served, that of the cart.
    monkeypatch.setattr(request, "HABITS", 1000)
    rows = measure_carts(fitted, shop, resamples=20)
    assert _of_users(rows, MODEL) == _of_users(rows, "cart_alone")


def _of_users(rows: list[Row], model: str) -> dict[tuple[str, int | None], float | None]:
    wanted = [row for row in rows if (row["model"], row["slice"]) == (model, "goes_with_user")]
    return {(row["metric"], row["k"]): row["value"] for row in wanted}


def _with_knowledge(folder: Path, text: str) -> ModelConfig:
    path = folder / "knowledge.csv"
    path.write_text(f"rule,from,to,strength\n{text}", encoding="utf-8")
    return replace(PLAIN, knowledge=path)


def _pairs_come_later() -> Dataset:
    """Four trips of one random item, then two trips of a pair: milk and bread, or spade and paint."""
    shop, rng = tiny_shop(users=200), np.random.default_rng(0)
    sold = [row for row in range(shop.n_items) if row % PER_CATEGORY < PER_CATEGORY - 1]
    item = rng.choice(sold, (200, 8))
    for first in (4, 6):
        aisle = 2 * rng.integers(0, 2, 200)  # the kitchen, or the garden
        for side in (0, 1):
            item[:, first + side] = (aisle + side) * PER_CATEGORY + rng.integers(0, PER_CATEGORY - 1, 200)
    day = np.tile([0, 1, 2, 3, 4, 4, 6, 6], 200)
    basket = np.arange(200).repeat(8) * 8 + day
    events = replace(
        shop.events,
        item=item.ravel().astype(np.int32),
        time=(day + FIRST_DAY).astype(np.int64) * 86_400,
        basket=basket.astype(np.int32),
    )
    return replace(shop, events=events)


def test_knowledge_that_helps_gets_a_weight_and_nonsense_gets_none(tmp_path: Path) -> None:
    """No trip before validation holds a pair, so that only the file knows what goes together."""
    shop = _pairs_come_later()
    first = date.fromordinal(date(1970, 1, 1).toordinal() + FIRST_DAY)
    split = SplitConfig(validation=first + timedelta(4), test=first + timedelta(6))
    truth = _with_knowledge(tmp_path, "goes with,Milk,Bread,0.9\ngoes with,Tools,Paint,0.9\n")
    found = fit(shop, split_config=split, model_config=truth).past.blend.weights
    knowing = ("knowledge", "basket_leaf")  # both read the file, and say the same here
    assert sum(found["goes_with"].get(name, 0.0) for name in knowing) > 0
    assert sum(found["goes_with_user"].get(name, 0.0) for name in knowing) > 0
    assert "knowledge" not in found["for_you"]
    assert "knowledge" not in found["goes_with_history"]
    nonsense = _with_knowledge(tmp_path, "goes with,Milk,Paint,0.9\ngoes with,Tools,Bread,0.9\n")
    worse = fit(shop, split_config=split, model_config=nonsense).past.blend.weights
    assert not any(worse["goes_with"].get(name) for name in knowing)


def test_unknown_names_are_set_aside_and_wrong_lines_refused(tmp_path: Path) -> None:
    shop = tiny_shop(users=60)
    config = _with_knowledge(tmp_path, "goes with,Milk,Bread,0.9\ngoes with,Milch,Bread,0.9\n")
    fitted = fit(shop, split_config=SplitConfig(), model_config=config)
    [rejected] = fitted.rejected
    assert "did you mean 'Milk'" in rejected.why
    assert len(fitted.past.blend.rules) == 2
    wrong = _with_knowledge(tmp_path, "goes wiht,Milk,Bread,0.9\n")
    with pytest.raises(DataError, match="line 2: rule must be"):
        fit(shop, split_config=SplitConfig(), model_config=wrong)


def test_before_the_first_event_knowledge_counts_by_default(tmp_path: Path) -> None:
    whole = tiny_shop()
    shop = whole.with_events(np.zeros(len(whole.events), bool))
    knows = _with_knowledge(tmp_path, "goes with,Milk,Paint,0.9\nnever with,Milk,Tools,\n")
    fitted = fit(shop, split_config=SplitConfig(), model_config=knows)
    answer = fitted.to_serve(shop).goes_with(["milk1"], n=24)
    assert [item[:5] for item in answer.ids[:6]] == ["paint"] * 6
    assert {item[:5] for item in answer.ids} == {"paint", "bread"}
    assert any("we keep Milk and Tools apart" in notice for notice in answer.notices)


@pytest.mark.parametrize("repeats", ["keep", "leave_out"])
@pytest.mark.parametrize("shop", [repeating_shop(), tiny_shop(users=60)])
def test_whether_lists_hold_items_of_the_history_can_be_set(repeats: Repeats, shop: Dataset) -> None:
    settings = replace(PLAIN, repeats=repeats, ranker=False)
    fitted = fit(shop, split_config=SplitConfig(protocol="leave_last_out"), model_config=settings)
    assert fitted.split.test.mask_seen is (repeats == "leave_out")
    assert fitted.past.repeats is (repeats == "keep")
    assert f"as [model] repeats = {repeats!r} says" in fitted.split.notes[-1]
    user = shop.user_ids.all[0]
    past = fitted.past.dataset
    had = set(past.item_ids.ids(past.events.item[past.user_indptr[0] : past.user_indptr[1]]))
    listed = set(fitted.past.recommend(Query(user=user, n=shop.n_items)).ids)
    assert bool(listed & had) is (repeats == "keep")
