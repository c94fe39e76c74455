"""A head is part of the encoder that is kept; texts of any length are trained on; damage is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from crossaisle.errors import FetchError
from crossaisle.train_config import TrainConfig
from crossaisle.training.export.saving import picture, record
from crossaisle.training.text.backbone import Backbone
from crossaisle.training.text.layers import with_projection
from crossaisle.training.text.trainer import Trainer
from tests.models.shops import tiny_shop

TEXTS = ["red shoe", "blue lamp bulb"]


def turned(folder: Path) -> tuple[Backbone, nn.Linear]:
    layer = nn.Linear(16, 16, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(16, 16, generator=torch.Generator().manual_seed(1)))
    return with_projection(Backbone.load(folder), layer), layer


def test_a_projection_is_applied_saved_and_read(bert: Path, tmp_path: Path) -> None:
    plain = Backbone.load(bert).encode(TEXTS)
    backbone, layer = turned(bert)
    expected = plain @ layer.weight.detach().numpy().T
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(backbone.encode(TEXTS), expected, atol=1e-5)
    backbone.save(tmp_path)
    np.testing.assert_allclose(Backbone.load(tmp_path).encode(TEXTS), expected, atol=1e-5)
    twice = with_projection(Backbone.load(tmp_path), layer).encode(TEXTS)
    again = expected @ layer.weight.detach().numpy().T
    np.testing.assert_allclose(twice, again / np.linalg.norm(again, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("damage", ["settings", "weights", "activation", "width"])
def test_a_damaged_projection_is_one_line(bert: Path, tmp_path: Path, damage: str) -> None:
    backbone, _ = turned(bert)
    if damage == "width":
        backbone.projection = nn.Linear(8, 8, bias=False)
    backbone.save(tmp_path)
    settings, weights = tmp_path / "2_Dense" / "config.json", tmp_path / "2_Dense" / "model.safetensors"
    if damage == "settings":
        settings.unlink()
    elif damage == "weights":
        weights.write_bytes(weights.read_bytes()[:40])
    elif damage == "activation":
        values = json.loads(settings.read_text())
        settings.write_text(json.dumps(values | {"activation_function": "torch.nn.Tanh"}))
    with pytest.raises(FetchError, match="2_Dense") as error:
        Backbone.load(tmp_path)
    assert "\n" not in str(error.value)


def test_empty_and_endless_texts_are_trained_on(bert: Path) -> None:
    shop = tiny_shop()
    titles = shop.items["title"].to_list()
    titles[0], titles[1], titles[2] = "", "red " * 10_000, "x" * 100_000
    empty = pl.Series("brand", [""] * len(titles))
    odd = replace(shop, items=shop.items.with_columns(pl.Series("title", titles), empty))
    for moves in ("lora", "last"):
        config = TrainConfig(backbone=str(bert), moves=moves, last_layers=1, batch=8, max_pairs=80)  # type: ignore[arg-type]
        trained = Trainer(odd, config).run()
        assert all(np.isfinite(loss) for _, loss in trained.progress.losses)
        vectors = trained.backbone.encode(odd.item_texts)
        assert np.isfinite(vectors).all()


def test_what_is_recorded(bert: Path) -> None:
    trained = Trainer(tiny_shop(), TrainConfig(backbone=str(bert), batch=8, max_pairs=80)).run()
    assert record(trained)["steps"] == 10
    assert picture(trained).count("<polyline") == 1
    assert trained.history_map is None
