"""Shops that changed in one way only, and what is said about them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossaisle.drift.compare import compare
from crossaisle.drift.summary import DRAWN, OTHER_WORDS, WORDS, Observed, Summary

CATEGORIES = [f"aisle {i // 10}" for i in range(60)]
TITLES = [f"{'fresh' if i % 2 else 'frozen'} thing{i % 12}" for i in range(60)]
PRICES = np.round(np.exp(np.linspace(0, 3, 60)[np.random.default_rng(9).permutation(60)]), 2)


def observed(seed: int, users: int, *, mass: np.ndarray | None = None, **other) -> Observed:
    """Each user has tastes of their own and 5 to 20 events."""
    rng = np.random.default_rng(seed)
    base = np.ones(60) / 60 if mass is None else mass / mass.sum()
    user, item = [], []
    for who in range(users):
        n = int(rng.integers(5, 21))
        user += [who] * n
        item += rng.choice(60, n, p=rng.dirichlet(base * 30)).tolist()
    facts = {"categories": CATEGORIES, "prices": PRICES, "titles": TITLES} | other
    return Observed(np.array(user), np.array(item), **facts)


BEFORE = Summary.of(observed(0, 400))


def found(now: Observed, **options):
    words = [word for word in BEFORE.words.counts if word != OTHER_WORDS]
    drift = compare(BEFORE, Summary.of(now, words=words), **options)
    return drift, {check.name: check for check in drift.checks}


def test_nothing_moved():
    drift, checks = found(observed(1, 200))
    assert {check.verdict for check in checks.values()} == {"stable"}
    assert drift.advice == "No need to fit again: the changes are no larger than chance."
    assert set(drift.skipped) == {"vectors", "calibration"}


def test_alarms_of_many_seeds_are_as_rare_as_stated():
    alarms = sum(found(observed(100 + seed, 60))[0].verdict != "stable" for seed in range(40))
    assert alarms <= 4  # the level is .05 over all checks together


def test_a_category_that_grew():
    mass = np.where(np.arange(60) < 10, 4.0, 1.0)
    drift, checks = found(observed(1, 200, mass=mass))
    assert checks["categories"].verdict == "drift"
    name, was, now = checks["categories"].movers[0]
    assert name == "aisle 0"
    assert was == pytest.approx(1 / 6, abs=0.04)
    assert now == pytest.approx(40 / 90, abs=0.06)
    assert drift.advice.startswith("Fit again: ")


def test_a_category_that_is_new_counts_although_the_model_has_none():
    moved = [name if i >= 10 else "new aisle" for i, name in enumerate(CATEGORIES)]
    _, checks = found(observed(1, 200, categories=moved))
    assert checks["categories"].verdict == "drift"
    assert {name for name, *_ in checks["categories"].movers[:2]} == {"aisle 0", "new aisle"}


def test_dearer_prices_move_prices_alone():
    _, checks = found(observed(1, 200, prices=np.round(PRICES * 2, 2)))
    assert checks["prices"].verdict == "drift"
    assert checks["prices"].measures["median_now"] > 1.5 * checks["prices"].measures["median_before"]
    assert {checks[name].verdict for name in ("categories", "words")} == {"stable"}


def test_other_words_move_words_alone():
    titles = [title.replace("frozen", "vegan") for title in TITLES]
    _, checks = found(observed(1, 200, titles=titles))
    assert checks["words"].verdict == "drift"
    assert {name for name, *_ in checks["words"].movers[:2]} == {"frozen", OTHER_WORDS}
    assert {checks[name].verdict for name in ("categories", "prices")} == {"stable"}


def test_worse_lists_are_the_first_reason_to_fit_again():
    before = replace(BEFORE, hits=np.array([100, 50, 30, 20, 10, 10, 10, 10, 5, 5, 750]))
    same, worse = np.array([50, 25, 15, 10, 5, 5, 5, 5, 2, 3, 375]), np.array([20] + [5] * 9 + [435])
    now = Summary.of(observed(1, 200), words=list(BEFORE.words.counts))
    fine = compare(before, replace(now, hits=same))
    assert fine.checks[-1].verdict == "stable"
    bad = compare(before, replace(now, hits=worse))
    assert bad.checks[-1].verdict == "drift"
    assert bad.advice == (
        "Fit again now: lists contain 13.0% of the next products, compared with 25.0% when the model was "
        "fitted."
    )
    better = compare(before, replace(now, hits=np.array([200] + [10] * 9 + [100])))
    assert better.checks[-1].verdict == "drift"
    assert "Fit again now" not in better.advice


def test_vectors_and_new_items():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 16)) + 1
    moved = vectors + np.where(np.arange(60) < 30, 0.0, 2.0)[:, None] * rng.normal(size=16)
    one, other = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (vectors, moved))
    now = observed(1, 200)
    summary = Summary.of(now, words=list(BEFORE.words.counts))
    same = compare(BEFORE, summary, vectors=(one[BEFORE.drawn], one[summary.drawn]))
    assert same.checks[-1].verdict == "stable"
    assert same.checks[-1].measures["cosine"] > 0.99
    found = compare(BEFORE, summary, vectors=(one[BEFORE.drawn], other[summary.drawn]), new_items=0.2)
    assert found.checks[-1].verdict == "drift"
    assert found.advice == "Fit again: 20% of the events are about items that the model does not know."


def test_too_little_says_nothing():
    now = observed(1, 2)
    drift = compare(BEFORE, Summary.of(replace(now, user=now.user[:20], item=now.item[:20])))
    assert drift.checks == ()
    assert drift.advice == "Nothing could be compared."
    assert drift.skipped["prices"] == "fewer than 30 events"


def test_a_summary_is_small_and_survives_the_disk(tmp_path: Path):
    summary = replace(BEFORE, hits=np.arange(11), until=1.5e9)
    summary.save(tmp_path)
    again = Summary.load(tmp_path)
    for name in ("price", "price_counts", "drawn", "hits"):
        assert (getattr(again, name) == getattr(summary, name)).all()
    assert again.categories.counts == summary.categories.counts
    assert again.words.design == summary.words.design
    assert (again.until, again.role, again.events) == (1.5e9, "purchase", summary.events)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 50_000
    assert len(summary.words.counts) <= WORDS + 1
    assert len(summary.drawn) == min(DRAWN, 400)
    # one event per user: no user's taste counts twice
    assert len(Summary.of(observed(0, 50)).drawn) == 50
