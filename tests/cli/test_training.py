"""`train`: a shop in files becomes an encoder that the shop's models can use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs pip install 'crossaisle[train]'")
pytest.importorskip("onnxscript", reason="needs pip install 'crossaisle[train]'")

from crossaisle import cli
from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.evaluate.acceptance import Verdict, guard
from crossaisle.pipeline import fine_tune, run
from crossaisle.training.text.backbone import Backbone
from tests.training.conftest import tiny_bert, tiny_llama

Train = Callable[..., int]
DIRECTED = ("directed=true", "form=item_item", "guard=false")


@pytest.mark.parametrize("accepted", [True, False])
def test_the_guard_decides_what_is_kept(
    train: Train,
    tmp_path: Path,
    accepted: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def judge(model: str, mine: np.ndarray, fallback: str, theirs: np.ndarray) -> Verdict:
        assert (model, fallback) == ("trained", "untrained")
        assert mine.shape == theirs.shape
        return replace(guard(model, mine, fallback, theirs), accepted=accepted)

    monkeypatch.setattr(fine_tune, "guard", judge)
    assert train("--set", "train.moves=full", "--set", "train.learning_rate=0.01") == 0
    serves = "trained" if accepted else "untrained"
    assert f"{serves} is used" in capsys.readouterr().out
    record = json.loads((tmp_path / "model" / "train.json").read_text())
    assert record["guard"]["serves"] == serves
    texts = ["red shoe", "green lamp and bulb"]
    kept, first = (Backbone.load(tmp_path / f).encode(texts) for f in ("model", "bert"))
    assert np.allclose(kept, first, atol=1e-5) != accepted
    assert record["guard"]["statement"] in run._encoder_notes(str(tmp_path / "model"))[0]


@pytest.fixture
def train(shop: Path, tmp_path: Path) -> Train:
    folder = tiny_bert(tmp_path / "bert")

    def run(*more: str, out: str = "model", backbone: Path = folder) -> int:
        settings = {"backbone": str(backbone), "batch": "8", "validate_every": "10", "max_pairs": "200"}
        given = [word for key, value in settings.items() for word in ("--set", f"train.{key}={value}")]
        return cli.run(["train", str(shop), "--out", str(tmp_path / out), *given, *more])

    return run


@pytest.mark.parametrize("moves", ["head", "lora"])
def test_a_trained_folder_serves_without_torch(
    train: Train, tmp_path: Path, moves: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--set", f"train.moves={moves}", "--set", "train.guard=false", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    folder = tmp_path / "model"
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    expected = {"config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json"}
    assert expected | {"model.onnx", "curves.svg", "train.json", "manifest.json"} <= files
    assert ("2_Dense/model.safetensors" in files) == (moves == "head")
    assert not (tmp_path / "model.checkpoint").exists()
    record = json.loads((folder / "train.json").read_text())
    assert record["train"]["moves"] == moves
    assert summary["serves"] == "trained"
    assert record["guard"]["n"] > 0
    assert record["steps"] == summary["steps"] == 25
    texts = ["red shoe", "green lamp and bulb", ""]
    torch_vectors, onnx_vectors = Backbone.load(folder).encode(texts), OnnxEncoder(folder).encode(texts)
    assert (torch_vectors[:2] * onnx_vectors[:2]).sum(axis=1).min() > 0.98
    assert not onnx_vectors[2].any()


@pytest.mark.slow
def test_a_decoder_is_exported_too(train: Train, tmp_path: Path) -> None:
    assert train(backbone=tiny_llama(tmp_path / "llama")) == 0
    folder = tmp_path / "model"
    assert Backbone.load(folder).pooling == "last"
    texts = ["red shoe", "green lamp and bulb"]
    torch_vectors, onnx_vectors = Backbone.load(folder).encode(texts), OnnxEncoder(folder).encode(texts)
    assert (torch_vectors * onnx_vectors).sum(axis=1).min() > 0.98


def test_a_prefix_is_read_in_training_and_goes_with_the_model(train: Train, tmp_path: Path) -> None:
    assert train("--set", "train.prefix=red ", "--set", "train.guard=false") == 0
    folder = tmp_path / "model"
    assert json.loads((folder / "train.json").read_text())["train"]["prefix"] == "red "
    read = OnnxEncoder(folder).encode(["shoe", "green lamp"])
    assert (Backbone.load(folder).encode(["shoe", "green lamp"]) * read).sum(axis=1).min() > 0.98
    spelled = Backbone.load(folder, prefix="").encode(["red shoe", "red green lamp"])
    assert (spelled * read).sum(axis=1).min() > 0.98


def test_a_directed_model_keeps_its_map(train: Train, tmp_path: Path) -> None:
    assert train(*(w for s in DIRECTED for w in ("--set", f"train.{s}"))) == 0
    assert np.load(tmp_path / "model" / "history_map.npy").shape == (16, 16)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "train.move=lora"], "unknown key 'move' (did you mean 'moves'?)"),
        (["--set", "train.moves=everything"], "unknown value 'everything'"),
        (["--set", "train.batch=100000"], "fewer than one batch of 100000"),
        (["--set", "train.backbone=minilm-torhc"], "no such model (known for training: minilm-torch"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(
    train: Train, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert train(*more) in (1, 2)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("crossaisle: ")
    assert message in last


def test_a_foreign_folder_is_refused_before_training(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.txt").write_text("mine")
    assert train() == 1
    err = capsys.readouterr().err
    assert "not a saved crossaisle folder" in err
    assert "examples" not in err


def test_known_data_sets_take_train_settings_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["train", "s3rec-beauty", "--out", "x", "--set", "model.keep=5"]) == 2
    assert "only [train] and [pretrain] can be set" in capsys.readouterr().err


def test_a_read_catalogue_can_be_trained_on(
    shop: Path, train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = tmp_path / "reader"
    given = [
        f"pretrain.{s}" for s in (f"backbone={tmp_path / 'bert'}", "batch=4", "held_out=0.2", "epochs=2")
    ]
    command = ["pretrain", str(shop), "--out", str(reader), "--json"]
    assert cli.run([*command, *(word for setting in given for word in ("--set", setting))]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["after"] <= summary["before"]
    assert json.loads((reader / "pretrain.json").read_text())["perplexity"]["after"] == summary["after"]
    assert (reader / "curves.svg").read_text().startswith("<svg")
    assert train(backbone=reader) == 0


@pytest.mark.slow
def test_two_processes_train_together_and_one_speaks(shop: Path, tmp_path: Path) -> None:
    backbone = tiny_bert(tmp_path / "bert")
    settings = [f"backbone={backbone}", "batch=8", "max_pairs=80", "guard=false", "precision=float32"]
    given = [word for setting in settings for word in ("--set", f"train.{setting}")]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    ran = subprocess.run(
        [
            *launch,
            "crossaisle",
            "train",
            str(shop),
            "--out",
            str(tmp_path / "model"),
            "--device",
            "cpu",
            *given,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.count("validation NDCG@10") == 1
    assert ran.stderr.count("parameters move, 2 processes") == 1
    assert (tmp_path / "model" / "model.onnx").is_file()
    assert not (tmp_path / "model.checkpoint").exists()
