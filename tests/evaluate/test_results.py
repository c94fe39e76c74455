import json
from pathlib import Path

import numpy as np
import pytest

from crossaisle.data.splits.split import leave_last_out, temporal_split
from crossaisle.errors import ArtifactError, ConfigError
from crossaisle.evaluate.files import write_json
from crossaisle.evaluate.results import Evaluation, evaluate, write_metrics
from tests.evaluate.shops import random_shop, shop

KEYS = ["dataset", "protocol", "split", "model", "slice", "metric", "k", "value", "low", "high", "n"]


def made(on: str = "test") -> Evaluation:
    data = random_shop(1)
    split = temporal_split(data)
    popular = split.past.item_counts.astype(np.float32)
    noise = np.random.default_rng(0).random(data.n_items).astype(np.float32)
    truth = {int(u): split.test.targets_of(i) for i, u in enumerate(split.test.histories.user)}

    def oracle(histories):
        out = np.zeros((len(histories), data.n_items), np.float32)
        for row, user in enumerate(histories.user.tolist()):
            out[row, truth.get(user, [])] = 1.0
        return out

    return evaluate(
        {
            "popularity": lambda h: np.tile(popular, (len(h), 1)),
            "noise": lambda h: np.tile(noise, (len(h), 1)),
            "oracle": oracle,
        },
        split,
        data,
        on=on,
        knn="popularity",
        vectors=np.eye(data.n_items, dtype=np.float32),
        costs={"noise": {"fit_seconds": 1.5, "peak_mb": 10.0}},
        resamples=200,
    )


def test_rows_have_the_columns_of_a_result_file():
    evaluation = made()
    assert all(list(row) == [*KEYS, "fit_seconds", "peak_mb"] for row in evaluation.rows)
    best = evaluation.row("oracle", "all", "recall", 10)
    assert best is not None
    assert best["value"] == best["high"] == 1.0
    assert best["low"] is not None
    assert 0.5 < best["low"] < 1.0
    assert best["fit_seconds"] is None
    other = evaluation.row("noise", "new_item", "ndcg", 10)
    assert other is not None
    assert other["low"] <= other["value"] <= other["high"] < 1
    assert other["fit_seconds"] == 1.5
    assert other["n"] == np.count_nonzero(~np.isnan(evaluation.per_case("noise", "new_item", "ndcg", 10)))
    assert {r["split"] for r in evaluation.rows} == {"test"}
    assert {r["split"] for r in made("validation").rows} == {"validation"}


def test_every_metric_of_the_list_is_there():
    metrics = {r["metric"] for r in made().rows if r["slice"] == "all"}
    assert metrics == {
        *("recall", "ndcg", "hr", "mrr", "map", "precision", "f1", "accuracy", "auc", "log_loss"),
        *("coverage", "gini", "novelty", "category_diversity", "vector_diversity"),
        *("serendipity", "calibration", "outside_history"),
    }


def test_log_loss_orders_models_and_a_uniform_guess_costs_the_logarithm():
    evaluation = made()
    values = {m: evaluation.row(m, "all", "log_loss", None) for m in evaluation.models}
    assert all(values.values())
    assert values["oracle"]["value"] < values["popularity"]["value"]
    flat = evaluate(
        {"flat": lambda h: np.zeros((len(h), 30), np.float32)}, temporal_split(random_shop(1)), random_shop(1)
    )
    row = flat.row("flat", "all", "log_loss", None)
    assert row is not None
    assert row["value"] == pytest.approx(np.log(30), rel=1e-5)


def test_comparison_is_paired_and_corrected():
    rows = made().compare("oracle", ["popularity", "noise"], metric="recall")
    assert {r["baseline"] for r in rows} == {"popularity", "noise"}
    top = next(r for r in rows if r["slice"] == "all" and r["baseline"] == "noise")
    assert top["low"] > 0
    assert top["difference"] == pytest.approx(top["value"] - top["baseline_value"], abs=1e-6)
    assert top["ratio_low"] < top["ratio"] < top["ratio_high"]
    assert top["p"] <= top["p_holm"] < 0.05


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'oracle'"):
        made().compare("oracl")
    data = random_shop(0)
    with pytest.raises(ConfigError, match="knn='x' is none of the scorers"):
        evaluate({"a": lambda h: np.zeros((len(h), 30))}, temporal_split(data), data, knn="x")


def test_no_cases_is_an_error():
    data = shop([(0, i, None) for i in range(3)], ["A", "A", "A"])
    split = leave_last_out(data)
    empty = type(split)("p", split.train, split.validation.take(np.array([], int)), split.past, split.test)
    with pytest.raises(ConfigError, match="the validation split has no cases"):
        evaluate({"a": lambda h: np.zeros((len(h), 3))}, empty, data, on="validation")


def test_one_category_only_one_user_and_k_beyond_the_catalogue():
    data = shop([(0, i, None) for i in range(3)], ["A", "A", "A"])
    found = evaluate({"a": lambda h: np.zeros((len(h), 3), np.float32)}, leave_last_out(data), data, ks=(50,))
    row = found.row("a", "all", "recall", 50)
    assert row is not None
    assert row["value"] == 1.0
    assert "cross_open" not in found.slices


def test_files_are_strict_json(tmp_path: Path):
    evaluation = made()
    path = tmp_path / "deep" / "metrics.json"
    write_metrics(path, evaluation, comparisons=evaluation.compare("oracle"))
    body = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert len(body["rows"]) == len(evaluation.rows)
    assert list(body) == ["dataset", "protocol", "split", "count", "cases", "notes", "rows", "comparisons"]
    assert body["notes"]


def test_json_is_strict_and_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "x.json"
    write_json(path, {"a": [np.float32("nan"), np.int64(3), float("inf")], 1: (np.bool_(True),)})
    assert json.loads(path.read_text()) == {"a": [None, 3, None], "1": [True]}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ArtifactError, match=r"x\.json: could not be written \(No space left on device\)"):
        write_json(path, {})
    assert json.loads(path.read_text())["1"] == [True]
    assert list(tmp_path.iterdir()) == [path]
