"""The cold-start studies on a tiny shop: rows, the guard, what goes cold, the picture."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.splits.cold import cold_items
from crossaisle.studies import cold_category
from crossaisle.studies.cold_category import CategoryStudy
from crossaisle.studies.cold_items import Study, measured
from tests.models.shops import tiny_shop


@pytest.fixture
def encoder() -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(24, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_items_study_measures_every_model_and_serves_what_the_guard_lets_through(
    tmp_path, monkeypatch, encoder
):
    shop = tiny_shop(users=60)
    split = cold_items(shop, share=0.2, seed=1)

    def encoders(self: Study) -> dict[str, np.ndarray]:
        self.costs |= dict.fromkeys(("zero_shot", "lora", "full"), 1.0)
        return {"zero_shot": encoder, "lora": encoder, "full": encoder}

    monkeypatch.setattr(Study, "_encoders", encoders)
    study = Study(shop, split, tmp_path)
    study.run()
    alone = {"tfidf", "zero_shot", "lora", "full"}
    sums = {f"{name}_borrowed" for name in alone}
    test = [r for r in study.rows if r["split"] == "test"]
    assert {r["model"] for r in test} == alone | sums | {"crossaisle"}
    ratio = {r["model"]: r["value"] for r in test if r["metric"] == "ratio_to_tfidf"}
    assert ratio["tfidf"] == pytest.approx(1.0)
    ndcg = {r["model"]: r["value"] for r in test if r["metric"] == "ndcg"}
    assert ratio["crossaisle"] == pytest.approx(ndcg["crossaisle"] / ndcg["tfidf"], rel=1e-5)
    assert {v.model for v in study.verdicts} == (alone | sums) - {"tfidf", "zero_shot"}
    served = {ndcg[v.model] for v in study.verdicts if v.accepted} or {ndcg["tfidf"], ndcg["zero_shot"]}
    assert ndcg["crossaisle"] in served
    assert all(r["n"] == len(split.test) for r in test)


def test_measured_ranks_the_known_answer_first_and_masks_the_history():
    shop = tiny_shop()
    cases = cold_items(shop, share=0.2, seed=1).test
    answer = {case: cases.target[case] for case in range(len(cases))}

    def knows(histories):
        scores = np.zeros((len(histories), shop.n_items), np.float32)
        for row in range(len(histories)):
            scores[row, histories.items_of(row)] = 9.0  # must not compete
            scores[row, answer[row]] = 1.0
        return scores

    assert len(cases) <= 250  # one block, so that rows are cases
    found = measured({"knows": knows}, {"knows": {"knows": 1.0}}, cases)
    assert (found["ndcg"]["knows"] == 1.0).all()


def test_category_study(encoder):
    small = {"shots": (0, 10), "seeds": 2, "most_categories": 2, "most_cases": 10, "least_cases": 5}
    study = CategoryStudy(tiny_shop(users=120), 0, encoder, **small)
    study.run()
    rows = study.rows()
    share = {(r["model"], r["slice"]): r["value"] for r in rows if r["metric"] == "share_of_full"}
    assert share["crossaisle", "full"] == pytest.approx(1.0)
    assert share["crossaisle", "full_open"] == pytest.approx(1.0)
    assert {s for m, s in share if m == "crossaisle"} >= {"zero_shot", "ten_shot", "zero_shot_open"}
    assert share["tfidf", "zero_shot"] == share["tfidf", "ten_shot"]  # reads no events
    of_each = [s for m, s in share if m == "crossaisle" and s.startswith("zero_shot of ")]
    assert len(of_each) == 2
    n = {r["slice"]: r["n"] for r in rows if r["model"] == "crossaisle"}
    assert n["zero_shot"] == sum(n[name] for name in of_each)
    picture = cold_category.picture(rows)
    assert picture.startswith("<svg")
    assert picture.count("<circle") == 2


def test_nothing_of_the_cold_category_is_known_at_zero_shots(monkeypatch, encoder):
    seen: dict[int, set[int]] = {}

    def record(self, cold, shots, inside, known, asked, fixed):
        inside_events = int(inside[known.events.item].sum())
        seen.setdefault(shots, set()).add(inside_events)
        for cases in asked.values():
            assert inside[cases.target].all()
            assert not inside[cases.histories.item].any()

    monkeypatch.setattr(CategoryStudy, "_measure", record)
    CategoryStudy(tiny_shop(users=120), 0, encoder, seeds=2, least_cases=5).run()
    assert seen[0] == {0}
    assert seen[10] == {10}
    assert min(seen[cold_category.FULL]) > 100


def test_a_category_with_too_few_cases_is_left_out(monkeypatch, encoder):
    asked: list[int] = []
    monkeypatch.setattr(CategoryStudy, "_measure", lambda self, cold, *_: asked.append(cold))
    CategoryStudy(tiny_shop(users=120), 0, encoder, least_cases=1000).run()
    assert not asked
