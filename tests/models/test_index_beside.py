"""The index beside a model: found when it is loaded, refused when it is another model's."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crossaisle.artifact import saved_in
from crossaisle.cli import run
from crossaisle.data.history import Histories
from crossaisle.encoders.whiten import Whitening
from crossaisle.errors import ConfigError
from crossaisle.models.base import pack_words
from crossaisle.models.blend import Blend
from crossaisle.models.index_beside import build_beside
from crossaisle.models.scorers.content import EncoderSimilarity, TfidfSimilarity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.search.int8_search import NearestRows
from crossaisle.models.search.sharded_search import ShardedRows
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import tiny_shop


def save(folder: Path, *, seed: int = 0) -> Recommender:
    """A model whose vectors are drawn; those of one item are zeros."""
    dataset = tiny_shop()
    raw = np.random.default_rng(seed).standard_normal((dataset.n_items, 12)).astype(np.float32)
    whitening = Whitening.fit(raw)
    encoder = EncoderSimilarity()
    encoder.mean_, encoder.whitening_ = whitening.mean_, whitening.matrix_
    encoder.vectors_ = whitening.apply(raw)
    encoder.vectors_[4] = 0.0
    encoder.fingerprint_, encoder.item_ids_ = pack_words(["drawn"]), dataset.item_ids
    parts = {"popularity": Popularity().fit(dataset), "encoder": encoder}
    model = Recommender(dataset, Blend(parts=parts, weights={"for_you": {"popularity": 1.0, "encoder": 1.0}}))
    model.save(folder)
    return model


def encoder_of(folder: Path, large_items: int = 5) -> EncoderSimilarity:
    """As it is loaded, in a shop that counts as large."""
    part = Recommender.load(folder).blend.parts["encoder"]
    assert isinstance(part, EncoderSimilarity)
    part.__dict__["large_items"] = large_items
    return part


def retrieve_alike(before: EncoderSimilarity, after: EncoderSimilarity) -> None:
    """Asserts that the same rows are found, and that the item without a vector is known as such."""
    histories = Histories.of([[0], [1, 3], [7, 8, 9]])
    among = np.arange(len(before.item_ids_)) % 3 > 0
    for mask in (None, among):
        one, other = before.retrieve(histories, 5, mask), after.retrieve(histories, 5, mask)
        assert [rows.tolist() for rows in one] == [rows.tolist() for rows in other]
    assert np.flatnonzero(~after.known).tolist() == [4]


def test_a_model_searches_in_the_index_beside_it(tmp_path: Path) -> None:
    save(tmp_path / "model")
    before = encoder_of(tmp_path / "model")
    assert isinstance(before._index, NearestRows)
    assert run(["index", str(tmp_path / "model")]) == 0
    assert saved_in(tmp_path) == ["model"]  # what a service can switch to
    after = encoder_of(tmp_path / "model")
    assert isinstance(after._index, ShardedRows)
    retrieve_alike(before, after)


def test_the_index_of_other_vectors_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = save(tmp_path / "model")
    build_beside(tmp_path / "model", model.blend.parts, model.dataset.taxonomy.codes(-1))
    save(tmp_path / "model", seed=1)
    with caplog.at_level(logging.WARNING):
        assert isinstance(encoder_of(tmp_path / "model")._index, NearestRows)
    assert f"is not used: run crossaisle index {tmp_path / 'model'}" in caplog.text
    again = Recommender.load(tmp_path / "model")
    build_beside(tmp_path / "model", again.blend.parts, again.dataset.taxonomy.codes(-1))
    assert isinstance(encoder_of(tmp_path / "model")._index, ShardedRows)


def damage_array(index: Path) -> None:
    file = next(index.rglob("codes.npy"))
    file.write_bytes(file.read_bytes()[:-1] + b"!")


def damage_manifest(index: Path) -> None:
    (index / "manifest.json").write_text("{", encoding="utf-8")


def lose_manifest(index: Path) -> None:
    (index / "manifest.json").unlink()


def lose_description(index: Path) -> None:
    (index / "index.json").unlink()


@pytest.mark.parametrize("harm", [damage_array, damage_manifest, lose_manifest, lose_description])
def test_a_damaged_index_is_not_used_and_can_be_built_again(
    tmp_path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "model")
    assert run(["index", str(tmp_path / "model")]) == 0
    harm(tmp_path / "model.index")
    with caplog.at_level(logging.WARNING):
        assert isinstance(encoder_of(tmp_path / "model")._index, NearestRows)
    (line,) = caplog.messages
    assert line.startswith(str(tmp_path / "model.index"))
    assert line.endswith(f"; the index is not used: run crossaisle index {tmp_path / 'model'}")
    assert "fit again" not in line
    assert run(["index", str(tmp_path / "model")]) == 0
    assert isinstance(encoder_of(tmp_path / "model")._index, ShardedRows)


@pytest.mark.parametrize("name", ["notes.txt", "shard-0000000000/notes.txt"])
def test_a_folder_that_is_no_index_is_left_alone(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "model")
    own = tmp_path / "model.index" / name
    own.parent.mkdir(parents=True)
    own.write_text("mine", encoding="utf-8")
    assert run(["index", str(tmp_path / "model")]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path / 'model.index'}: exists and is not a saved crossaisle folder" in said
    assert "remove it" in said
    assert own.read_text(encoding="utf-8") == "mine"
    shutil.rmtree(tmp_path / "model.index")
    assert run(["index", str(tmp_path / "model")]) == 0


def test_what_was_loaded_with_an_index_can_be_saved_and_fitted_again(tmp_path: Path) -> None:
    model = save(tmp_path / "model")
    build_beside(tmp_path / "model", model.blend.parts, model.dataset.taxonomy.codes(-1))
    Recommender.load(tmp_path / "model").save(tmp_path / "copy")
    assert isinstance(encoder_of(tmp_path / "copy")._index, NearestRows)
    part = encoder_of(tmp_path / "model")
    settings, arrays = part.state()
    assert "codes_" in arrays
    assert settings == encoder_of(tmp_path / "copy").state()[0]


def test_a_model_without_vectors_has_nothing_to_index(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = tiny_shop()
    parts = {"popularity": Popularity().fit(dataset), "tfidf": TfidfSimilarity().fit(dataset)}
    Recommender(dataset, Blend(parts=parts, weights={"for_you": {"tfidf": 1.0}})).save(tmp_path / "model")
    with pytest.raises(ConfigError, match="reads no texts with an encoder"):
        build_beside(tmp_path / "model", parts, dataset.taxonomy.codes(-1))
    assert run(["index", str(tmp_path / "model")]) != 0
    assert "nothing to index" in capsys.readouterr().err


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = save(tmp_path / "model")
    assert run(["index", str(tmp_path / "model"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["index"] == str(tmp_path / "model.index")
    assert said["items"] == model.dataset.n_items
    assert said["bytes"] > 0
