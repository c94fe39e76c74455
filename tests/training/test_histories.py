"""HistoryTuning: what goes together in histories comes nearer together in the vectors."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs pip install 'crossaisle[train]'")

from crossaisle.data.dataset import Dataset
from crossaisle.encoders.whiten import Whitening
from crossaisle.errors import CrossaisleError
from crossaisle.training.backbone import Backbone
from crossaisle.training.histories import HistoryTuning, Move
from tests.models.shops import tiny_shop
from tests.training.conftest import tiny_bert


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bert(tmp_path / "bert")


def trained(folder: Path, shop: Dataset, move: Move, **options: object) -> tuple[HistoryTuning, np.ndarray]:
    backbone = Backbone.load(folder)
    whitening = Whitening.fit(backbone.encode(shop.item_texts))
    tuning = HistoryTuning(moves=move, windows=6, **options)  # type: ignore[arg-type]
    return tuning, tuning.fit(backbone, shop, whitening).encode(shop.item_texts)


@pytest.mark.parametrize("move", ["lora", "full"])
def test_loss_falls_and_the_folder_encodes_as_trained(folder: Path, move: Move, tmp_path: Path):
    shop = tiny_shop()
    backbone = Backbone.load(folder)
    before = backbone.encode(shop.item_texts)
    tuning = HistoryTuning(moves=move, windows=6, texts=3000, rate=1e-3)
    backbone = tuning.fit(backbone, shop, Whitening.fit(before))
    assert np.mean(tuning.losses_[-5:]) < np.mean(tuning.losses_[:5]) - 0.1
    after = backbone.encode(shop.item_texts)
    assert np.abs(after - before).max() > 1e-3
    backbone.save(tmp_path / "tuned")
    assert np.allclose(Backbone.load(tmp_path / "tuned").encode(shop.item_texts), after, atol=1e-5)


def test_same_seed_same_vectors(folder: Path):
    shop = tiny_shop()
    first, second = (trained(folder, shop, "full", texts=60, seed=3)[1] for _ in range(2))
    assert np.array_equal(first, second)


def test_histories_of_one_event_teach_nothing(folder: Path):
    shop = tiny_shop()
    with pytest.raises(CrossaisleError, match="two or more events"):
        trained(folder, shop.with_events(shop.user_indptr[:-1]), "full")


def test_a_loss_that_is_no_number_stops(folder: Path):
    with pytest.raises(CrossaisleError, match="lower the learning rate"):
        trained(folder, tiny_shop(), "full", texts=200, rate=float("inf"))
