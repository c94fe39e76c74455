"""A language model that goes on reading guesses the shop's words better, and survives kills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crossaisle.errors import ConfigError, DataError
from crossaisle.train_config import PretrainConfig
from crossaisle.training.text.backbone import Backbone
from crossaisle.training.text.checkpoint import Progress
from crossaisle.training.text.language_head import IGNORED, Guesses, LanguageModel, batch_of, mask_token
from crossaisle.training.text.pretrain import Pretraining

KINDS = ["shoe boot sandal trail running", "lamp bulb desk floor", "pasta sauce basil cheese"]
TEXTS = [
    " ".join(np.random.default_rng(i).permutation(KINDS[i % 3].split())) + f" {i % 10} {i // 10}"
    for i in range(90)
]


def config(folder: Path, **settings: Any) -> PretrainConfig:
    usual = {"batch": 8, "epochs": 6, "learning_rate": 1e-2, "held_out": 0.2, "validate_every": 10}
    return PretrainConfig(backbone=str(folder), **{**usual, **settings})


@pytest.mark.parametrize("model", ["bert", "llama"])
def test_perplexity_on_held_out_texts_falls(request: pytest.FixtureRequest, model: str) -> None:
    found = Pretraining(TEXTS, config(request.getfixturevalue(model))).run()
    assert found.after < 0.7 * found.before
    assert (found.head is None) == (model == "llama")
    assert found.after <= (found.head or found.before)


def test_only_the_head_moves_at_first(bert: Path) -> None:
    before = {n: v.clone() for n, v in Backbone.load(bert).state_dict().items()}
    reading = Pretraining(TEXTS, config(bert, head_share=1.0))
    after = reading.run().backbone.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize("model", ["bert", "llama"])
def test_a_killed_reading_ends_with_the_same_weights(
    request: pytest.FixtureRequest, tmp_path: Path, model: str
) -> None:
    chosen = config(request.getfixturevalue(model), epochs=2, checkpoint_every=4)
    whole = Pretraining(TEXTS, chosen).run(tmp_path / "whole")
    struck = Pretraining(TEXTS, chosen)
    step = struck._step

    def strike(state: Progress) -> float:
        if state.step == 10:
            raise KeyboardInterrupt
        return step(state)

    struck._step = strike  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        struck.run(tmp_path / "cut")
    resumed = Pretraining(TEXTS, chosen).run(tmp_path / "cut", resume=True)
    expected = whole.backbone.state_dict()
    assert all(torch.equal(v, expected[n]) for n, v in resumed.backbone.state_dict().items())
    assert resumed.progress == whole.progress


def test_what_is_masked(bert: Path) -> None:
    backbone = Backbone.load(bert)
    ids = [e.ids for e in backbone.tokenizer.encode_batch(TEXTS * 10)]
    batch = batch_of(backbone, ids, 0.15, np.random.default_rng(0))
    asked = batch.labels != IGNORED
    original = backbone.pad(ids)["input_ids"]
    real = backbone.pad(ids)["attention_mask"].bool()
    assert asked.any(dim=1).all()
    assert not asked[~real].any()
    assert not torch.isin(original[asked], torch.tensor([0, 2, 3])).any()
    assert torch.equal(batch.labels[asked], original[asked])
    hidden = (batch.inputs["input_ids"][asked] == mask_token(backbone)).float().mean()
    assert 0.75 < hidden < 0.85
    assert torch.equal(batch.inputs["input_ids"][~asked], original[~asked])


def test_a_decoder_is_asked_for_the_next_token(llama: Path) -> None:
    backbone = Backbone.load(llama)
    model = LanguageModel(backbone)
    short = batch_of(backbone, [[5, 6]], 0.0, np.random.default_rng(0))
    hidden = backbone.model(**short.inputs).last_hidden_state
    table = backbone.model.get_input_embeddings().weight
    expected = torch.nn.functional.cross_entropy(hidden[0, :1] @ table.T, torch.tensor([6]))
    torch.testing.assert_close(model.loss(short), expected)
    padded = batch_of(backbone, [[5, 6], [5, 6, 7, 8]], 0.0, np.random.default_rng(0))
    assert int((padded.labels != IGNORED).sum()) == 6


def test_a_loss_that_is_no_number_keeps_the_last_good_weights(bert: Path) -> None:
    reading = Pretraining(TEXTS, config(bert))
    step = reading._step
    reading._step = lambda state: float("nan") if state.step == 12 else step(state)  # type: ignore[method-assign]
    found = reading.run()
    assert "step 13: the loss is not a number" in found.notes[0]
    assert all(torch.isfinite(v).all() for v in found.backbone.state_dict().values())


def test_too_few_texts_and_no_mask(bert: Path, llama: Path) -> None:
    with pytest.raises(DataError, match="at least 10"):
        Pretraining(["one", "two", "one"], config(bert))
    backbone = Backbone.load(bert)
    backbone.tokenizer = type("Without", (), {"token_to_id": lambda *_: None})()
    with pytest.raises(ConfigError, match="no mask token"):
        mask_token(backbone)


def test_memory_that_runs_out_halves_the_batch(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    whole = LanguageModel.loss

    def scarce(self: LanguageModel, batch: Guesses) -> torch.Tensor:
        if len(batch.labels) > 4:
            raise torch.OutOfMemoryError("can't allocate memory")
        return whole(self, batch)

    monkeypatch.setattr(LanguageModel, "loss", scarce)
    reading = Pretraining(TEXTS, config(bert, epochs=1), say=said.append)
    found = reading.run()
    assert any("4 examples at a time" in sentence for sentence in said)
    assert found.progress.halvings == 1
    assert found.progress.step == reading.steps
    assert found.after < found.before
