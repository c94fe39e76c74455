"""What every scorer promises. A model's test module inherits `ScorerContract` and gives `make`."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from crossaisle.artifact import read_arrays, write_arrays
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.errors import ArtifactError, ConfigError, CrossaisleError
from crossaisle.models import registry
from crossaisle.models.base import Scorer
from crossaisle.models.defaults import with_settings
from crossaisle.models.scorers.cold_start.transferred import Transferred
from crossaisle.models.updates import KEPT, Change
from tests.models.numbers import changed, numbers
from tests.models.shops import mixed_shop, one_user, tiny_shop


class ScorerContract:
    """`pytest` collects these for each subclass; `make` returns a fresh, unfitted scorer."""

    personal = True
    """The history changes the scores."""
    scores_cold = False
    """Items without a single event get a score too."""
    exact_evidence = True
    """The contributions of the events alone, or with the rest, add up to the score."""

    update_tolerance = 0.01
    """How far scores after `update` may be from those of a fit, as a share of a history's best."""

    weighs_fit = True
    """Events of lesser kinds count less where it learns."""
    weighs_query = True
    """And in the history it is asked with."""

    def make(self) -> Scorer:
        raise NotImplementedError

    def make_quick(self) -> Scorer:
        """One that is fitted in no time, however well."""
        return self.make()

    @pytest.fixture
    def shop(self) -> Dataset:
        return tiny_shop()

    @pytest.fixture
    def fitted(self, shop: Dataset) -> Scorer:
        return self.make().fit(shop)

    def test_has_a_kind_that_the_registry_knows(self) -> None:
        scorer = self.make()
        assert registry.SCORERS[scorer.kind] is type(scorer)

    def test_fit_returns_itself_and_keeps_the_ids(self, shop: Dataset) -> None:
        scorer = self.make()
        assert scorer.fit(shop) is scorer
        assert scorer.item_ids_ == shop.item_ids

    def test_not_fitted_says_so(self) -> None:
        with pytest.raises(CrossaisleError, match=r"not fitted yet: call fit\(dataset\) first"):
            self.make().score([["milk0"]])
        with pytest.raises(CrossaisleError, match="not fitted"):
            self.make().score_rows(Histories.of([[0]]))
        with pytest.raises(CrossaisleError, match="not fitted"):
            self.make().state()

    def test_scores_are_float32_one_per_item_and_never_infinite(self, fitted: Scorer, shop: Dataset) -> None:
        scores = fitted.score_rows(shop.histories())
        assert scores.shape == (shop.n_users, shop.n_items)
        assert scores.dtype == np.float32
        assert not np.isinf(scores).any()
        assert (~np.isnan(scores)).any(axis=1).all()

    def test_scores_are_the_callers_own(self, fitted: Scorer, shop: Dataset) -> None:
        histories = shop.histories([0])
        first = fitted.score_rows(histories)
        kept = first.copy()
        first[:] = 7.0
        np.testing.assert_array_equal(fitted.score_rows(histories), kept)

    def test_items_without_events_score_nan_unless_the_model_reads_texts(self, fitted: Scorer) -> None:
        cold = fitted.score([["milk0", "bread1"]], ["milk5", "paint5"])
        assert (~np.isnan(cold)).all() if self.scores_cold else np.isnan(cold).all()

    def test_external_ids(self, fitted: Scorer, shop: Dataset) -> None:
        history = ["milk0", "bread1", "milk2"]
        picked = ["bread3", "milk1", "milk0"]
        everything = fitted.score([history])
        np.testing.assert_array_equal(
            fitted.score([history], picked)[0], everything[0][shop.item_ids.rows(picked)]
        )
        rows = fitted.score_rows(Histories.of([shop.item_ids.rows(history)]))
        np.testing.assert_array_equal(everything, rows)

    def test_unknown_ids_are_passed_over_and_score_nan(self, fitted: Scorer) -> None:
        known = fitted.score([["milk0", "bread1"]])
        np.testing.assert_array_equal(fitted.score([["nobody sells this", "milk0", "bread1"]]), known)
        assert np.isnan(fitted.score([["milk0"]], ["nobody sells this"])).all()

    def test_an_empty_history_is_fine(self, fitted: Scorer, shop: Dataset) -> None:
        scores = fitted.score([[], ["milk0"]])
        assert scores.shape == (2, shop.n_items)
        assert np.isnan(scores[0]).all() if self.personal else (~np.isnan(scores[0])).any()

    def test_no_history_at_all(self, fitted: Scorer, shop: Dataset) -> None:
        assert fitted.score_rows(Histories.of([])).shape == (0, shop.n_items)

    def test_fitting_twice_gives_the_same(self, fitted: Scorer, shop: Dataset) -> None:
        again = self.make().fit(shop).score_rows(shop.histories())
        np.testing.assert_array_equal(fitted.score_rows(shop.histories()), again)

    def test_a_batch_equals_one_by_one(self, fitted: Scorer, shop: Dataset) -> None:
        histories = shop.histories()
        batch = fitted.score_rows(histories)
        single = np.concatenate([fitted.score_rows(histories.take([i])) for i in range(len(histories))])
        np.testing.assert_allclose(batch, single, rtol=1e-5, atol=1e-6)

    def test_some_rows_score_as_all_do(self, fitted: Scorer, shop: Dataset) -> None:
        histories = Histories.joined([shop.histories(), Histories.of([[], [3], [3, 3, 7]])])
        everything = fitted.score_rows(histories)
        rng = np.random.default_rng(0)
        rows = [np.flatnonzero(rng.random(shop.n_items) < 0.5).astype(np.int32) for _ in everything]
        for all_scores, at, scores in zip(everything, rows, fitted.score_at(histories, rows), strict=True):
            assert scores.dtype == np.float32
            np.testing.assert_allclose(scores, all_scores[at], rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("every", [1, 2], ids=["of all items", "of every other item"])
    def test_the_best_items_are_retrieved(self, fitted: Scorer, shop: Dataset, every: int) -> None:
        histories = Histories.joined([shop.histories(), Histories.of([[]])])
        k = 4
        among = np.arange(shop.n_items) % every == 0
        named = fitted.retrieve(histories, k, None if every == 1 else among)
        for scores, rows in zip(np.where(among, fitted.score_rows(histories), np.nan), named, strict=True):
            assert rows.dtype == np.int32
            assert (np.diff(rows) > 0).all()
            assert among[rows].all()
            best = np.sort(scores[scores > 0])[-k:]
            found = np.sort(np.nan_to_num(scores[rows]))[-len(best) :] if len(best) else best
            np.testing.assert_allclose(found, best, rtol=0.02)  # near ties, rounded, may change places

    def test_saved_and_restored_scores_are_equal(self, fitted: Scorer, shop: Dataset, tmp_path: Path) -> None:
        settings, arrays = fitted.state()
        write_arrays(tmp_path, arrays)
        again = registry.make(fitted.kind, json.loads(json.dumps(settings)))
        again.restore(read_arrays(tmp_path, gaps=fitted.gaps), shop.item_ids)
        assert again == fitted  # the settings; learned arrays do not take part
        histories = shop.histories()
        np.testing.assert_array_equal(again.score_rows(histories), fitted.score_rows(histories))

    def test_a_missing_array_is_named(self, fitted: Scorer, shop: Dataset) -> None:
        if fitted.learned:
            with pytest.raises(ArtifactError, match=f"lacks .*{fitted.learned[0]}"):
                self.make().restore({}, shop.item_ids)

    def test_an_unknown_setting_is_named(self, fitted: Scorer) -> None:
        with pytest.raises(ArtifactError, match="unknown setting 'nonsense'"):
            registry.make(fitted.kind, {**fitted.settings(), "nonsense": 1})

    def test_every_number_says_what_it_may_be(self) -> None:
        for number in numbers(self.make()):
            assert {"low", "high"} <= number.limits.keys(), number.name

    def test_every_number_is_refused_or_fitted_and_loads_again(self, shop: Dataset, tmp_path: Path) -> None:
        part = self.make_quick()
        for number in numbers(part):
            for value in number.values():
                settings = changed(part, number.name, value)
                if not number.takes(value):
                    refused = rf"\[model\.parts\.it[].\w]*: {number.last}: must be .*\(found"
                    with pytest.raises(ConfigError, match=refused):
                        with_settings({"it": part}, {"it": settings})
                    with pytest.raises(ArtifactError, match=rf"{number.last}: must be .*\(found"):
                        registry.make(part.kind, settings)
                    continue
                refusal = ""
                try:
                    made = with_settings({"it": part}, {"it": settings})["it"]
                    if isinstance(part, Transferred) and isinstance(made, Transferred):
                        made.source = part.source
                    made.fit(shop)
                except ConfigError as error:  # another setting or this shop has no answer for it
                    refusal = str(error)
                if refusal:
                    assert number.last in refusal
                    continue
                saved, arrays = made.state()
                folder = tmp_path / f"{number.name}-{value}"
                write_arrays(folder, arrays)
                again = registry.make(part.kind, json.loads(json.dumps(saved)))
                again.restore(read_arrays(folder, gaps=made.gaps), shop.item_ids)
                scores = again.score_rows(shop.histories())
                assert not np.isinf(scores).any(), (number.name, value)

    def test_a_second_fit_forgets_what_was_derived_from_the_first(self, shop: Dataset) -> None:
        scorer = self.make().fit(shop)
        derived = [
            name for name in dir(type(scorer)) if isinstance(getattr(type(scorer), name), cached_property)
        ]
        old, (_, arrays) = object(), scorer.state()
        scorer.__dict__.update(dict.fromkeys(derived, old))
        scorer.fit(shop)
        assert not [name for name in derived if scorer.__dict__.get(name) is old]
        scorer.__dict__.update(dict.fromkeys(derived, old))
        scorer.restore(arrays, shop.item_ids)
        assert not [name for name in derived if scorer.__dict__.get(name) is old]

    def test_evidence_adds_up_to_the_score(self, fitted: Scorer, shop: Dataset) -> None:
        histories = shop.histories([0, 1, 5])
        scores = fitted.score_rows(histories)
        for row in range(3):
            one = histories.take([row])
            for item in range(shop.n_items):
                events, rest = fitted.evidence(one, item)
                assert events.shape == (len(one.item),)
                assert events.dtype == np.float32
                assert isinstance(rest, float)
                expected = float(np.nan_to_num(scores[row, item]))
                size = max(float(np.abs(events).sum()) + abs(rest), 1e-6)
                assert abs(float(events.sum()) + rest - expected) <= 1e-4 * size
                if self.personal and self.exact_evidence:
                    assert rest == 0.0

    def test_equal_weights_are_as_good_as_none(self) -> None:
        alike, plain = mixed_shop(1.0), tiny_shop()
        scores = self.make().fit(alike).score_rows(alike.histories())
        np.testing.assert_array_equal(scores, self.make().fit(plain).score_rows(plain.histories()))

    def test_doubling_all_weights_changes_nothing(self) -> None:
        once, twice = mixed_shop(0.2, 0.5), mixed_shop(0.4, 1.0)
        scores = self.make().fit(once).score_rows(once.histories())
        np.testing.assert_array_equal(self.make().fit(twice).score_rows(twice.histories()), scores)

    def test_a_weight_of_zero_is_as_if_the_event_had_not_come(self) -> None:
        zero, missing = mixed_shop(0.0), mixed_shop(0.3, no_carts=True)
        scores = self.make().fit(missing).score_rows(missing.histories())
        np.testing.assert_array_equal(self.make().fit(zero).score_rows(zero.histories()), scores)

    def test_weights_count_in_the_fit_and_in_the_query(self, fitted: Scorer, shop: Dataset) -> None:
        mixed = mixed_shop(0.1)
        plain, weighted = shop.histories(), mixed.histories()
        refitted = self.make().fit(mixed)
        assert np.isfinite(np.nan_to_num(refitted.score_rows(weighted))).all()
        if self.weighs_fit:
            assert not np.array_equal(refitted.score_rows(plain), fitted.score_rows(plain), equal_nan=True)
        if self.weighs_query:
            assert not np.array_equal(fitted.score_rows(weighted), fitted.score_rows(plain), equal_nan=True)

    def test_evidence_of_weighted_events_adds_up(self) -> None:
        mixed = mixed_shop(0.3)
        scorer, histories = self.make().fit(mixed), mixed.histories([0, 1])
        scores = np.nan_to_num(scorer.score_rows(histories))
        for row, item in ((0, 0), (0, 7), (1, 13), (1, 20)):
            events, rest = scorer.evidence(histories.take([row]), item)
            size = max(float(np.abs(events).sum()) + abs(rest), 1e-6)
            assert abs(float(events.sum()) + rest - float(scores[row, item])) <= 1e-4 * size

    def test_the_group_that_buys_together_comes_first(self, fitted: Scorer) -> None:
        """Nobody buys milk and spades: whoever had milk is offered the kitchen before the garden."""
        if self.personal:
            kitchen, garden = ["milk3", "milk4", "bread3"], ["spade3", "spade4", "paint3"]
            scores = np.nan_to_num(fitted.score([[*kitchen, "milk1"]], kitchen + garden)[0])
            assert scores[:3].min() > scores[3:].max()

    def test_one_user_without_times(self) -> None:
        shop = one_user()
        scores = self.make().fit(shop).score_rows(shop.histories())
        assert scores.shape == (1, shop.n_items)
        assert not np.isinf(scores).any()

    def test_no_events_at_all(self, shop: Dataset) -> None:
        silent = shop.with_events(np.zeros(len(shop.events), bool))
        scores = self.make().fit(silent).score_rows(silent.histories())
        assert scores.shape == (shop.n_users, shop.n_items)
        assert not np.isinf(scores).any()

    @pytest.mark.parametrize("weights", [None, (0.3, 1.0)], ids=["events alike", "events of two kinds"])
    def test_an_update_is_a_fit_on_all_events(self, weights: tuple[float, float] | None) -> None:
        """Within 1 % of each history's best score, or the model is given back as it was."""
        after = tiny_shop() if weights is None else mixed_shop(*weights)
        days = after.raw.events.time
        assert days is not None
        cut = int(days.max()) - (1 if weights is None else 2 * 86_400)
        before = after.before(cut)
        change = Change(before, after, frozenset(after.user_ids.all[:9]) | _users_since(after, cut))
        old = self.make().fit(before)
        kept = old.score_rows(after.histories())
        for counts in (None, old.count(before)):
            updated = old.update(change, counts)
            np.testing.assert_array_equal(old.score_rows(after.histories()), kept)
            if updated.how == KEPT:
                assert updated.scorer is old
                assert old.slow
                continue
            found = updated.scorer.score_rows(after.histories())
            fitted = self.make().fit(after).score_rows(after.histories())
            np.testing.assert_array_equal(np.isnan(found), np.isnan(fitted))
            best = np.nanmax(np.abs(np.nan_to_num(fitted)), axis=1, keepdims=True)
            assert (np.abs(np.nan_to_num(found - fitted)) <= self.update_tolerance * best).all()
            again = updated.scorer.count(after)
            for name, value in (updated.counts or {}).items():
                assert again is not None
                _assert_close(value, again[name])


def _users_since(shop: Dataset, cut: int) -> frozenset[str]:
    events = shop.raw.events
    assert events.time is not None
    return frozenset(shop.user_ids.ids(np.unique(events.user[events.time >= cut])))


def _assert_close(found: Any, wanted: Any) -> None:
    if sparse.issparse(found):
        found, wanted = found.toarray(), wanted.toarray()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
