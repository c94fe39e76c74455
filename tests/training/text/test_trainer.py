"""Training learns, keeps what is best, survives a kill unchanged, and says what fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay
from crossaisle.data.splits.split import leave_last_out
from crossaisle.encoders.whiten import Whitening
from crossaisle.errors import ArtifactError, ConfigError, DataError
from crossaisle.models.scorers.content import EncoderSimilarity
from crossaisle.train_config import TrainConfig
from crossaisle.training.text.backbone import Backbone
from crossaisle.training.text.layers import LastLayers, with_projection
from crossaisle.training.text.pairs import examples, next_items
from crossaisle.training.text.trainer import Trained, Trainer, schedule
from crossaisle.training.text.validate import Held, apart
from tests.models.shops import tiny_shop


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return tiny_shop()


def config(folder: Path, **settings: Any) -> TrainConfig:
    usual: Mapping[str, Any] = {"batch": 8, "epochs": 2, "learning_rate": 5e-3, "validate_every": 5}
    return TrainConfig(backbone=str(folder), **{**usual, **settings})


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trained.towers.named_parameters()}


@pytest.mark.parametrize("model", ["bert", "llama"])
@pytest.mark.parametrize("moves", ["head", "lora", "last", "full"])
def test_whichever_layers_are_trained_the_loss_falls(
    request: pytest.FixtureRequest, shop: Dataset, model: str, moves: str
) -> None:
    folder = request.getfixturevalue(model)
    settings = config(folder, moves=moves, epochs=10, last_layers=1, temperature=0.2)
    trained = Trainer(shop, settings).run()
    losses = [loss for _, loss in trained.progress.losses]
    assert np.mean(losses[-5:]) < np.mean(losses[:3])


@pytest.mark.parametrize("objective", ["softmax", "cross_entropy", "bce", "mse", "triplet"])
@pytest.mark.parametrize("moves", ["head", "lora", "last", "full"])
def test_every_objective_and_optimiser_changes_the_chosen_weights_only(
    bert: Path, shop: Dataset, objective: str, moves: str
) -> None:
    for optimiser in ("adamw", "adam", "sgd"):
        chosen = config(
            bert, objective=objective, moves=moves, optimiser=optimiser, epochs=1, last_layers=1, max_pairs=24
        )
        trainer = Trainer(shop, chosen)
        before = {name: value.detach().clone() for name, value in trainer.towers.named_parameters()}
        trained = trainer.run()
        after = dict(trainer.towers.named_parameters())
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert moved
        assert moved <= set(trainer.moving)
        assert trained.progress.losses
        assert all(np.isfinite(loss) for _, loss in trained.progress.losses)


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("adversarial", ["none", "fgm", "pgd"])
def test_optimisers_and_attacks(bert: Path, shop: Dataset, optimiser: str, adversarial: str) -> None:
    settings = config(bert, optimiser=optimiser, adversarial=adversarial, epochs=1, accumulate=2)
    assert np.isfinite(Trainer(shop, settings).run().progress.losses[-1][1])


def test_the_last_layers_alone_do_what_the_whole_model_does(bert: Path, llama: Path) -> None:
    for folder in (bert, llama):
        backbone = Backbone.load(folder)
        backbone.eval()
        batch = backbone.tokenize(["red shoe", "blue trail running shoe"])
        whole = backbone.model(**batch).last_hidden_state
        top = LastLayers(backbone, 1).eval()
        parts = top(top.below(backbone, batch), batch["attention_mask"])
        real = batch["attention_mask"].bool()
        torch.testing.assert_close(parts[real], whole[real])


def test_a_head_stands_on_a_dense_layer_with_a_bias(bert: Path) -> None:
    backbone = Backbone.load(bert)
    backbone.projection = torch.nn.Linear(16, 8)
    head = torch.nn.Linear(8, 8, bias=False)
    texts = ["red shoe", "lamp"]
    with torch.no_grad():
        wanted = head(
            backbone._pool(hidden := torch.randn(2, 3, 16), torch.ones(2, 3)) @ backbone.projection.weight.T
            + backbone.projection.bias
        )
        found = with_projection(backbone, head).pool(hidden, torch.ones(2, 3))
    torch.testing.assert_close(found, wanted)
    assert with_projection(backbone, head).encode(texts).shape == (2, 8)


@pytest.mark.parametrize(
    "settings", [{"moves": "full", "word_dropout": 0.3}, {"moves": "lora", "dropout": 0.1}]
)
@pytest.mark.parametrize("killed_at", [3, 8, 13])
def test_a_killed_training_ends_with_the_same_weights(
    bert: Path, shop: Dataset, tmp_path: Path, settings: dict[str, Any], killed_at: int
) -> None:
    split = leave_last_out(shop)
    chosen = config(bert, checkpoint_every=2, **settings)

    def trainer() -> Trainer:
        return Trainer(split.train, chosen, validation=split.validation)

    whole = trainer().run(tmp_path / "whole")

    class Killed(BaseException):
        pass

    struck = trainer()
    attempt = struck._attempt

    def strike(state: Any) -> float:
        if state.step == killed_at:
            raise Killed
        return attempt(state)

    struck._attempt = strike  # type: ignore[method-assign]
    with pytest.raises(Killed):
        struck.run(tmp_path / "cut")
    resumed = trainer().run(tmp_path / "cut", resume=True)
    expected = weights(whole)
    for name, value in weights(resumed).items():
        assert torch.equal(value, expected[name]), name
    assert resumed.progress == whole.progress


def test_a_checkpoint_of_other_settings_is_refused(bert: Path, shop: Dataset, tmp_path: Path) -> None:
    first = config(bert, checkpoint_every=2)
    Trainer(shop, first).run(tmp_path / "kept")
    with pytest.raises(ArtifactError, match="temperature"):
        Trainer(shop, replace(first, temperature=0.5)).run(tmp_path / "kept", resume=True)


def test_a_loss_that_is_no_number_keeps_the_last_good_weights(bert: Path, shop: Dataset) -> None:
    said: list[str] = []
    trainer = Trainer(shop, config(bert, moves="full"), say=said.append)
    attempt = trainer._attempt
    trainer._attempt = lambda state: float("nan") if state.step == 7 else attempt(state)  # type: ignore[method-assign]
    trained = trainer.run()
    assert trained.progress.step == 7
    assert "step 8: the loss is no number" in said[0]
    assert "step 5" in said[0]
    assert all(torch.isfinite(value).all() for value in weights(trained).values())


def test_memory_that_runs_out_halves_the_batch(bert: Path, shop: Dataset) -> None:
    said: list[str] = []
    trainer = Trainer(shop, config(bert, epochs=1), say=said.append)
    whole = trainer._pass

    def scarce(batch: Any, *rest: Any) -> float:
        if len(batch) > 4:
            raise torch.OutOfMemoryError("can't allocate memory")
        return whole(batch, *rest)

    trainer._pass = scarce  # type: ignore[method-assign]
    trained = trainer.run()
    assert "4 examples at a time" in said[0]
    assert trained.progress.halvings == 1
    assert trained.progress.step == trainer.steps


def test_early_stopping_keeps_the_best(bert: Path, shop: Dataset) -> None:
    split = leave_last_out(shop)
    settings = config(bert, moves="full", epochs=20, validate_every=1, patience=2)
    trainer = Trainer(split.train, settings, validation=split.validation)
    figures = iter([0.1, 0.2, 0.3, 0.1, 0.1, 0.9])
    assert trainer.held is not None
    trainer.held = type("Held", (), {"ndcg": lambda *_: next(figures)})()  # type: ignore[assignment]
    trained = trainer.run()
    assert (trained.progress.step, trained.progress.best_step, trained.progress.best) == (4, 2, 0.3)


def test_windows_stay_together_and_read_each_text_once_for_all_examples(shop: Dataset) -> None:
    settings = TrainConfig(window=4, batch=2, max_pairs=60)
    made = examples(shop, settings)
    assert made.window is not None
    assert len(made) == 60
    order = made.order(np.random.default_rng(0))
    assert (np.diff(made.window[order]) != 0).sum() == len(np.unique(made.window)) - 1
    item, starts = shop.events.item, shop.user_indptr
    for source, target, window in zip(made.source, made.target, made.window, strict=True):
        assert (window - starts[np.searchsorted(starts, window, side="right") - 1]) % 3 == 0
        inside = item[window : window + 4]
        assert target in inside[1:]
        assert set(source.indices) <= set(inside[:3])


def test_windows_against_the_whole_batch_below_a_whitening_learn(
    bert: Path, shop: Dataset, tmp_path: Path
) -> None:
    usual = {"window": 5, "against": "batch", "whiten": True, "log_q": False, "batch": 24, "epochs": 12}
    backbone = Backbone.load(bert)
    before = backbone.encode(shop.item_texts)
    trained = Trainer(shop, config(bert, **usual, moves="full", learning_rate=1e-3)).run()
    losses = [loss for _, loss in trained.progress.losses]
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 0.1
    after = trained.backbone.encode(shop.item_texts)
    assert np.abs(after - before).max() > 1e-3
    trained.backbone.save(tmp_path)
    np.testing.assert_allclose(Backbone.load(tmp_path).encode(shop.item_texts), after, atol=1e-5)


def test_whitening_is_the_same_after_a_kill(bert: Path, shop: Dataset, tmp_path: Path) -> None:
    chosen = config(bert, whiten=True, window=5, moves="full", epochs=2, checkpoint_every=2)
    whole = weights(Trainer(shop, chosen).run(tmp_path / "whole"))
    resumed = Trainer(shop, chosen).run(tmp_path / "whole", resume=True)  # from its last checkpoint
    for name, value in weights(resumed).items():
        assert torch.equal(value, whole[name]), name


def test_a_head_stands_on_vectors_at_hand_and_on_chosen_examples(bert: Path, shop: Dataset) -> None:
    made = next_items(shop, 5)
    few = made.take(np.arange(3))
    vectors = np.random.default_rng(0).normal(size=(shop.n_items, 16)).astype(np.float32)
    settings = config(bert, moves="head", batch=4, objective="cross_entropy", negatives=2)
    trainer = Trainer(shop, settings, chosen=few, vectors=vectors)
    assert trainer.steps == 2
    trained = trainer.run()
    np.testing.assert_array_equal(trained.towers.read(np.arange(4, dtype=np.int32)).numpy(), vectors[:4])
    assert not np.array_equal(trained.towers.item_map.weight.detach().numpy(), np.eye(16))


@pytest.mark.parametrize(
    "settings",
    [
        {"window": 1},
        {"window": 4, "form": "item_item"},
        {"whiten": True, "moves": "head"},
        {"whiten": True, "directed": True},
    ],
)
def test_impossible_settings_of_windows_and_whitening_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        TrainConfig(**settings)


def test_cases_for_early_stopping_are_not_those_that_judge_the_model(shop: Dataset) -> None:
    cases = leave_last_out(shop).validation
    stopping, judging = apart(cases, 0)
    assert len(stopping) + len(judging) == len(cases)
    assert not set(stopping.histories.user) & set(judging.histories.user)


def test_a_served_encoder_is_read_whitened(bert: Path, shop: Dataset) -> None:
    held = Held.of(leave_last_out(shop).validation, shop.n_items, length=5, seed=0)
    gains = held.served(Backbone.load(bert), shop.item_texts)
    scorer = EncoderSimilarity(decay=Decay(events=2.0))
    raw = Backbone.load(bert).encode(shop.item_texts)
    scorer.vectors_, scorer.item_ids_ = Whitening.fit(raw).apply(raw), shop.item_ids
    for row in range(len(held.cases)):
        scores = scorer.score_rows(held.cases.histories.take([row]))[0]
        scores[held.cases.histories.items_of(row)] = -np.inf
        rank = 1 + (scores > scores[held.cases.target[row]] + 1e-6).sum()
        assert gains[row] == pytest.approx(1 / np.log2(rank + 1) if rank <= 10 else 0.0)


def test_an_encoder_to_which_all_texts_are_alike_gets_chance(shop: Dataset) -> None:
    class Collapsed(Backbone):
        def __init__(self) -> None: ...

        def encode(self, texts: Sequence[str], **_: Any) -> np.ndarray:
            return np.ones((len(texts), 4), np.float32)

    held = Held.of(leave_last_out(shop).validation, shop.n_items, length=5, seed=0)
    gains = held.served(Collapsed(), shop.item_texts)
    left = shop.n_items - held.cases.histories.lengths
    chance = np.cumsum(1 / np.log2(np.arange(2, 12)))[np.minimum(left, 10) - 1] / left
    assert gains == pytest.approx(chance)


def test_fewer_examples_than_a_batch(bert: Path, shop: Dataset) -> None:
    with pytest.raises(DataError, match="fewer than one batch of 4096"):
        examples(shop, config(bert, batch=4096))


def test_one_target_only(bert: Path, shop: Dataset) -> None:
    one = replace(shop, events=replace(shop.events, item=np.zeros(len(shop.events), np.int32)))
    with pytest.raises(DataError, match="the same target item"):
        examples(one, config(bert))


def test_frozen_layers_and_changing_texts_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="moves = 'head'"):
        TrainConfig(moves="head", word_dropout=0.1)


@pytest.mark.parametrize("form", ["two_tower", "item_item"])
def test_examples_are_directed_and_cross_when_asked(shop: Dataset, form: Any) -> None:
    made = examples(shop, TrainConfig(form=form, other_category=True, batch=2))
    codes = shop.taxonomy.codes()
    newest = np.asarray(made.source.argmax(axis=1)).ravel()
    assert len(made)
    assert (codes[newest] != codes[made.target]).all()
    np.testing.assert_allclose(np.asarray(made.source.sum(axis=1)).ravel(), 1.0, rtol=1e-5)


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [schedule(step, 100, TrainConfig(warm_up=0.1)) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[-1] < 0.01
    assert schedule(99, 100, TrainConfig(schedule="constant")) == 1.0
