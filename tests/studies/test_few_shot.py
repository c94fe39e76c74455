"""The few-shot curves on a tiny shop: what is learned from, the guard, the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs pip install 'crossaisle[train]'")

from crossaisle.data.dataset import Dataset
from crossaisle.studies import few_shot
from crossaisle.studies.few_shot import METHODS, FewShotStudy, Question
from crossaisle.training.export.onnx import export_onnx
from crossaisle.training.text.backbone import Backbone
from tests.models.shops import tiny_shop
from tests.training.conftest import tiny_bert


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> FewShotStudy:
    folder = tmp_path_factory.mktemp("few")
    patch = pytest.MonkeyPatch()
    patch.setenv("CROSSAISLE_CACHE", str(folder / "cache"))
    shop = tiny_shop(users=160)
    bert = tiny_bert(folder / "bert")
    export_onnx(Backbone.load(bert), folder / "onnx", texts=shop.item_texts, int8=False)
    made = FewShotStudy(
        shop,
        depth=0,
        seeds=2,
        shots=(0, 1, 10),
        encoder=str(folder / "onnx"),
        backbone=str(bert),
        folder=folder / "kept",
    )
    made.run()
    patch.undo()
    return made


def test_every_method_has_a_curve_and_a_verdict(study: FewShotStudy) -> None:
    rows = study.rows()
    expected = {("zero_shot", 0)} | {(m, s) for m in (*METHODS, "served") for s in (0, 1, 10)}
    assert set(study.values) == expected
    assert set(study.verdicts) == {(m, s) for m in METHODS for s in (0, 1, 10)}
    assert len(rows) == 2 * len(expected)
    assert {row["n"] for row in rows} == {len(study.values["zero_shot", 0]["test"][0])}


def test_a_finished_training_is_not_done_again(study: FewShotStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FewShotStudy, "_tuned", lambda *_: pytest.fail("trained again"))
    again = replace(study, values={}, verdicts={}, seconds={})
    again.run()
    for key, found in study.values.items():
        np.testing.assert_array_equal(again.values[key]["test"][0], found["test"][0])


def test_without_events_nothing_was_trained(study: FewShotStudy) -> None:
    untrained = study.values["zero_shot", 0]["test"][0]
    for method in few_shot.LEARNERS:
        np.testing.assert_array_equal(study.values[method, 0]["test"][0], untrained)
        assert not study.verdicts[method, 0].accepted


def test_what_the_guard_refuses_does_not_serve(study: FewShotStudy) -> None:
    for shots in study.shots:
        passed = {m: study.verdicts[m, shots] for m in METHODS if study.verdicts[m, shots].accepted}
        best = max(passed, key=lambda m: passed[m].value, default="zero_shot")
        served = study.values["served", shots]["test"][0]
        np.testing.assert_array_equal(served, study.values[best, shots if passed else 0]["test"][0])


@pytest.mark.parametrize("moves", ["head", "lora"])
def test_training_moves_what_the_question_reads(study: FewShotStudy, moves: str) -> None:
    shop: Dataset = study.dataset
    inside = shop.taxonomy.codes(0) == shop.taxonomy.codes(0)[0]
    question = Question(inside, {}, {})
    rows = np.flatnonzero(inside).astype(np.int32)
    patched = type("Fixed", (Question,), {"rows": property(lambda _: rows)})(inside, {}, {})
    vectors = study._tuned(shop, patched, moves, 0)  # type: ignore[arg-type]
    assert vectors is not None
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4)
    assert np.abs(vectors[rows] - study.vectors[rows]).max() > 1e-4
    others = np.flatnonzero(~inside)
    assert moves == "head" or np.array_equal(vectors[others], study.vectors[others])
    nothing = shop.with_events(~inside[shop.events.item])
    assert study._tuned(nothing, question, moves, 0) is None  # type: ignore[arg-type]


def test_the_picture_has_one_line_per_method(study: FewShotStudy) -> None:
    svg = few_shot.picture(study.rows())
    assert svg.count("<polyline") == len(METHODS) + 2
    for name in ("zero shot", "closed form", "head", "lora", "served"):
        assert f">{name}</text>" in svg
