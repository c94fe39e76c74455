"""Whether people want the same again is decided on validation, and what is measured is what is served."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.query import Query
from crossaisle.models.defaults import REPEATS_ARE_COMMON, default_parts, repeat_share
from crossaisle.pipeline.fit import Fitted, fit
from crossaisle.pipeline.measure import MODEL, measure
from tests.pipeline.shops import bought_once, supermarket, view_log

SPLIT = SplitConfig(test=0.15, validation=0.15)
SHOPS: dict[str, tuple[Callable[[], Dataset], bool]] = {
    "bought once": (bought_once, False),
    "three views within minutes": (view_log, False),
    "a fifth of what is bought": (supermarket, True),
    "most of what is bought": (lambda: supermarket(repeated=0.8), True),
}
"""Name -> shop, and whether people want the same again there."""


@pytest.fixture(scope="module", params=SHOPS)
def case(request: pytest.FixtureRequest) -> tuple[Fitted, bool]:
    make, again = SHOPS[request.param]
    return fit(make(), split_config=SPLIT, model_config=ModelConfig(encoder="none")), again


def test_validation_decides_whether_items_of_the_history_are_left_out(case: tuple[Fitted, bool]) -> None:
    fitted, again = case
    assert fitted.past.repeats is again
    assert any(f"are {'kept in' if again else 'left out of'} the lists" in n for n in fitted.split.notes)


def test_the_report_measures_with_the_rule_that_is_served(case: tuple[Fitted, bool]) -> None:
    """The measured lists are those a user gets; the decay of a habit goes by another day, so nearly so."""
    fitted, again = case
    served, measured = fitted.past, measure(fitted, resamples=20)
    assert measured.cases.mask_seen is not again
    shared, seen = [], []
    histories, ids = measured.cases.histories, served.dataset.item_ids
    for row in np.flatnonzero(histories.lengths)[:60].tolist():
        user = served.dataset.user_ids.id(int(histories.user[row]))
        got = served.recommend(Query(user=user)).ids
        shown = ids.ids(measured.lists[MODEL][row, :10])
        had = set(ids.ids(histories.items_of(row)))
        shared.append(len(set(got) & set(shown)) / 10)
        seen.append((bool(had & set(got)), bool(had & set(shown))))
    assert np.mean(shared) > 0.95
    assert {pair for pair in seen if again or pair != (False, False)} <= {(True, True), (False, False)}


def test_habit_takes_part_wherever_anything_repeats() -> None:
    shop = supermarket()
    assert 0.0 < repeat_share(shop) < REPEATS_ARE_COMMON
    assert "frequency" in default_parts(shop, encoder="none")
    assert "frequency" not in default_parts(bought_once(), encoder="none")


@pytest.mark.slow
def test_a_shop_below_the_threshold_is_no_worse_than_own_products_first() -> None:
    """Under a tenth of the pairs repeat, but a fifth of the targets: a count of habits is a strong list."""
    fitted = fit(supermarket(1500), split_config=SPLIT, model_config=ModelConfig(encoder="none"))
    own_first = {"frequency": 1000.0, "popularity": 1.0}
    evaluation = measure(fitted, sums={"own_first": own_first}, resamples=20)
    assert 0.12 < fitted.split.repeated < 0.26
    for metric in ("recall", "ndcg"):
        mine, plain = (evaluation.row(m, "all", metric) for m in (MODEL, "own_first"))
        assert mine
        assert plain
        assert mine["value"] > 0.98 * plain["value"]
    assert fitted.past.blend.weights["for_you"].get("frequency", 0.0) > 0.0
