"""Weights are chosen for what they are worth on the cases."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.splits.split import leave_last_out
from crossaisle.models.base import Scorer
from crossaisle.models.dense import batches
from crossaisle.models.scorers.frequency import Frequency
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.shortlists import TuningTask, allowed_candidates, nominate
from crossaisle.models.tuning import tune, tune_scored, values_of
from tests.models.shops import tiny_shop


class Oracle(Scorer):
    """Knows the answers of some cases, or (turned round) hides them."""

    kind = "oracle"

    def __init__(self, cases: EvalCases, sign: float = 1.0) -> None:
        self.answers = {int(u): cases.targets_of(i) for i, u in enumerate(cases.histories.user)}
        self.sign = sign

    def fit(self, dataset: Dataset) -> Oracle:
        self.item_ids_, self.n = dataset.item_ids, dataset.n_items
        return self

    def score_rows(self, histories: Histories) -> Floats:
        out = np.zeros((len(histories), self.n), np.float32)
        for row, user in enumerate(histories.user.tolist()):
            out[row, self.answers[user]] = self.sign
        return out


def test_the_part_that_knows_gets_the_weight_and_noise_gets_none() -> None:
    shop = tiny_shop()
    split = leave_last_out(shop)
    parts = {
        "wrong": Oracle(split.validation, sign=-1.0).fit(shop),
        "right": Oracle(split.validation).fit(shop),
        "popularity": Popularity().fit(split.train),
    }
    found = tune(parts, {"for_you": TuningTask(split.validation)}, shop.taxonomy)["for_you"].weights
    assert found == {"right": 1.0}


def test_how_many_cases_are_scored_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = tiny_shop(users=80)
    split = leave_last_out(shop)
    parts = {"frequency": Frequency().fit(split.train), "popularity": Popularity().fit(split.train)}
    questions = {"for_you": TuningTask(split.validation), "unseen": TuningTask(split.validation, unseen=True)}
    at_once = tune(parts, questions, shop.taxonomy)
    monkeypatch.setattr(batches, "CELLS", 3 * shop.n_items)
    assert tune(parts, questions, shop.taxonomy) == at_once


def test_without_an_answerable_case_weights_are_the_defaults() -> None:
    shop = tiny_shop()
    cases = leave_last_out(shop).validation
    empty = EvalCases(Histories.of([[]]), np.array([0, 1]), cases.target[:1])
    parts = {"popularity": Popularity().fit(shop)}
    found = tune(parts, {"for_you": TuningTask(empty)}, shop.taxonomy)
    assert found["for_you"].weights == {"popularity": 1.0}
    assert not found["for_you"].chosen


def test_parts_that_are_not_asked_get_no_weight() -> None:
    shop = tiny_shop(users=40)
    split = leave_last_out(shop)
    parts: dict[str, Scorer] = {"frequency": Frequency(), "popularity": Popularity()}
    for part in parts.values():
        part.fit(split.train)
    alone = TuningTask(split.validation, apart=("frequency",))
    assert set(tune(parts, {"q": alone}, shop.taxonomy)["q"].weights) == {"popularity"}
    nobody = TuningTask(split.validation.take(np.empty(0, np.int64)), apart=("frequency",))
    assert tune(parts, {"q": nobody}, shop.taxonomy)["q"].weights == {"popularity": 1.0}


def test_what_a_hit_is_worth_decides_between_parts() -> None:
    """Each question has two answers; one part puts the first on top and the second last, the other
    the other way round."""
    shop = tiny_shop()
    some = leave_last_out(shop).validation.histories.take(np.arange(6))
    first, second = shop.item_ids.row("milk0"), shop.item_ids.row("paint0")
    cases = EvalCases(some, 2 * np.arange(7), np.tile(np.array([first, second], np.int32), 6))

    class Sided(Oracle):
        def score_rows(self, histories: Histories) -> Floats:
            out = np.zeros((len(histories), self.n), np.float32)
            out[:, first], out[:, second] = self.sign, -self.sign
            return out

    parts = {"first": Sided(cases).fit(shop), "second": Sided(cases, sign=-1.0).fit(shop)}
    for row, name in ((first, "first"), (second, "second")):
        worth = np.full(shop.n_items, 0.5, np.float32)
        worth[row] = 1.0
        found = tune(parts, {"q": TuningTask(cases, worth=worth)}, shop.taxonomy)
        assert {question: tuned.weights for question, tuned in found.items()} == {"q": {name: 1.0}}


def test_candidates_of_each_question() -> None:
    shop = tiny_shop()
    codes, row = shop.taxonomy.codes(), shop.item_ids.row
    history = Histories.of([[row("milk0"), row("bread0")]])
    cases = leave_last_out(shop).validation

    def ids(**limits: bool) -> set[str]:
        allowed = allowed_candidates(TuningTask(cases, **limits), history, codes)[0]
        return set(shop.item_ids.ids(np.flatnonzero(allowed)))

    everything = set(shop.item_ids.all)
    assert ids() == everything
    assert ids(unseen=True) == everything - {"milk0", "bread0"}
    assert ids(other=True) == {i for i in everything if not i.startswith("bread")}
    assert ids(new=True) == {i for i in everything if i.startswith(("spade", "paint"))}


def test_answers_that_are_no_candidates_count_as_missed_where_asked() -> None:
    """Half of the answers were in the history: without it no list can have them."""
    shop = tiny_shop()
    some = leave_last_out(shop).validation.histories.take(np.arange(6))
    unseen = [
        next(i for i in range(shop.n_items) if i not in set(some.items_of(r).tolist())) for r in range(6)
    ]
    answers = np.array([[some.items_of(r)[0], unseen[r]] for r in range(6)], np.int32).ravel()
    cases = EvalCases(some, 2 * np.arange(7), answers)
    parts = {"right": Oracle(cases).fit(shop)}

    def quality(**limits: bool) -> float:
        return tune(parts, {"q": TuningTask(cases, **limits)}, shop.taxonomy)["q"].quality

    assert quality() == quality(unseen=True) == 1.0
    assert 0.4 < quality(unseen=True, all_targets=True) < 0.7


def test_a_part_that_knows_nothing_of_the_candidates_gets_no_weight() -> None:
    """Habit says nothing of what is new; the answer happens to stand where ties are broken in its favour."""
    shop = tiny_shop()
    split = leave_last_out(shop)
    parts = {"frequency": Frequency().fit(shop), "popularity": Popularity().fit(split.train)}
    found = tune(parts, {"new": TuningTask(split.validation, unseen=True)}, shop.taxonomy)["new"]
    assert set(found.weights) == {"popularity"}


def test_scores_that_are_there_are_tuned_as_parts_are() -> None:
    shop = tiny_shop(users=60)
    split = leave_last_out(shop)
    parts = {"popularity": Popularity().fit(split.train), "frequency": Frequency().fit(split.train)}
    task = TuningTask(split.validation)
    scores = {name: part.score_rows(split.validation.histories) for name, part in parts.items()}
    found = tune_scored(scores, task, shop.taxonomy)
    expected = tune(parts, {"for_you": task}, shop.taxonomy)["for_you"]
    assert found.weights == expected.weights
    assert found.quality == pytest.approx(expected.quality)
    nominated = {name: nominate(part, task, shop.taxonomy) for name, part in scores.items()}
    assert tune_scored(scores, task, shop.taxonomy, nominated) == found


@pytest.mark.parametrize("worth", [False, True])
def test_the_values_of_single_cases_are_what_weights_are_chosen_by(worth: bool) -> None:
    shop = tiny_shop(users=60)
    split = leave_last_out(shop)
    cases = split.validation
    inverse = (1.0 / np.maximum(shop.item_counts, 1)).astype(np.float32)
    task = TuningTask(cases, unseen=True, worth=inverse if worth else None)
    scores = {"chance": np.random.default_rng(0).random((len(cases), shop.n_items), np.float32)}  # no ties
    values = values_of(scores, {"chance": 1.0}, task, shop.taxonomy)
    assert np.nanmean(values) == pytest.approx(tune_scored(scores, task, shop.taxonomy).quality)
    repeated = np.array([cases.targets_of(i)[0] in cases.histories.items_of(i) for i in range(len(cases))])
    np.testing.assert_array_equal(np.isnan(values), repeated)  # no candidate: the case asks nothing


def test_what_no_part_can_score_is_not_found() -> None:
    shop = tiny_shop()
    cases = leave_last_out(shop).validation
    scores = np.full((len(cases), shop.n_items), np.nan, np.float32)
    values = values_of({"it": scores}, {"it": 1.0}, TuningTask(cases), shop.taxonomy)
    assert (values == 0).all()
