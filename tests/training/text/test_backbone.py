"""Encoders and decoders become text encoders; what is no checkpoint is refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from crossaisle.data.history import Floats
from crossaisle.encoders.weights import PROMPTS, read_prefix
from crossaisle.errors import FetchError
from crossaisle.training.text.backbone import Backbone
from tests.training.conftest import tiny_vit

TEXTS = ["red running shoe", "lamp", "blue trail running shoe with boot and sandal", "pasta sauce"]


@pytest.fixture(params=["bert", "llama"])
def folder(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_a_text_has_the_same_vector_alone_and_in_a_batch(folder: Path, pooling: str) -> None:
    backbone = Backbone.load(folder, pooling=pooling)  # type: ignore[arg-type]
    together = backbone.encode(TEXTS)
    alone = np.concatenate([backbone.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, rtol=1e-5)


def test_last_token_pooling_reads_the_last_real_token(llama: Path) -> None:
    backbone = Backbone.load(llama)
    assert backbone.pooling == "last"
    vectors = backbone.encode(["lamp shoe", "lamp shoe boot boot boot boot"])
    assert not np.allclose(*vectors, atol=1e-3)
    # A decoder's first token never sees the rest: were it read, these two would be equal.
    assert not np.allclose(*backbone.encode(["lamp shoe", "lamp sauce"]), atol=1e-4)


def test_empty_and_huge_texts(folder: Path) -> None:
    vectors = Backbone.load(folder).encode(["", " \n", "shoe " * 10_000, "shoe"])
    assert not vectors[:2].any()
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors[2:], axis=1), 1.0, rtol=1e-5)


def test_the_prefix_is_read(folder: Path) -> None:
    plain, asked = Backbone.load(folder), Backbone.load(folder, prefix="red ")
    np.testing.assert_allclose(plain.encode(["red shoe"]), asked.encode(["shoe"]), atol=1e-6)


def test_the_prefix_is_kept_with_the_model(folder: Path, tmp_path: Path) -> None:
    Backbone.load(folder, prefix="red ").save(tmp_path / "asked")
    asked = Backbone.load(tmp_path / "asked")
    assert asked.prefix == read_prefix(tmp_path / "asked") == "red "
    np.testing.assert_allclose(asked.encode(["shoe"]), Backbone.load(folder).encode(["red shoe"]), atol=1e-6)
    assert Backbone.load(tmp_path / "asked", prefix="").prefix == ""
    (tmp_path / "asked" / PROMPTS).write_text("[]")
    with pytest.raises(FetchError, match="is not a JSON object"):
        Backbone.load(tmp_path / "asked")


def test_saved_and_loaded_it_is_the_same(folder: Path, tmp_path: Path) -> None:
    backbone = Backbone.load(folder, pooling="first")
    backbone.save(tmp_path / "copy")
    again = Backbone.load(tmp_path / "copy")
    assert again.pooling == "first"
    np.testing.assert_array_equal(again.encode(TEXTS), backbone.encode(TEXTS))


def test_sentence_transformers_reads_the_saved_folder(bert: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    Backbone.load(bert).save(tmp_path)
    assert json.loads((tmp_path / "1_Pooling/config.json").read_text())["pooling_mode_mean_tokens"]
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).get_vocab_size() > 5


def damaged(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def test_truncated_weights_are_refused(bert: Path, tmp_path: Path) -> None:
    folder = damaged(bert, tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(FetchError, match="could not be loaded"):
        Backbone.load(folder)


def test_weights_of_another_architecture_are_refused(bert: Path, llama: Path, tmp_path: Path) -> None:
    folder = damaged(bert, tmp_path / "mixed")
    shutil.copy(llama / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(FetchError, match="another architecture"):
        Backbone.load(folder)


@pytest.mark.parametrize("gone", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(bert: Path, tmp_path: Path, gone: str) -> None:
    folder = damaged(bert, tmp_path / "gap")
    (folder / gone).unlink()
    with pytest.raises(FetchError, match=gone.replace("model.", r"\*.")):
        Backbone.load(folder)


def test_what_reads_no_text_is_refused(bert: Path, tmp_path: Path) -> None:
    from transformers import T5Config, T5Model

    vit, t5 = tiny_vit(tmp_path / "vit"), tmp_path / "t5"
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    T5Model(T5Config(vocab_size=99, **sizes)).save_pretrained(t5)
    for odd, why in ((vit, "ViTModel is not a text encoder"), (t5, "T5Model is an encoder-decoder")):
        shutil.copy(bert / "tokenizer.json", odd)
        with pytest.raises(FetchError, match=why):
            Backbone.load(odd)


def test_a_foreign_tokenizer_and_damaged_pooling_are_one_line(bert: Path, tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    few = damaged(bert, tmp_path / "few")
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=10, hidden_size=16, **sizes)).save_pretrained(few)
    with pytest.raises(FetchError, match="they do not belong together"):
        Backbone.load(few)
    pooling = damaged(bert, tmp_path / "pooling") / "1_Pooling"
    pooling.mkdir()
    (pooling / "config.json").write_text("{")
    with pytest.raises(FetchError, match=r"config\.json: is not readable"):
        Backbone.load(pooling.parent)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(FetchError, match="minilm-torch"):
        Backbone.load("minilmm")


@pytest.mark.slow
def test_the_real_minilm_knows_shoes_from_coffee() -> None:
    try:
        backbone = Backbone.load("minilm-torch")
    except FetchError as error:
        pytest.skip(f"the weights cannot be fetched: {error}")
    shoes, sneakers, espresso = backbone.encode(["running shoes", "trail sneakers", "espresso machine"])
    assert shoes @ sneakers > 0.5 > 0.3 > shoes @ espresso


def test_texts_are_read_in_halves_where_memory_runs_out(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = Backbone.load(folder)
    expected = backbone.encode(TEXTS)
    read, sizes = backbone._read, list[int]()

    def scarce(ids: Sequence[Sequence[int]]) -> Floats:
        sizes.append(len(ids))
        if len(ids) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return read(ids)

    monkeypatch.setattr(backbone, "_read", scarce)
    np.testing.assert_allclose(backbone.encode(TEXTS), expected, atol=1e-5)
    assert sizes == [4, 2, 1, 1, 2, 1, 1]
    assert "memory ran out reading 4 texts" in caplog.text


def test_what_is_no_lack_of_memory_is_not_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = Backbone.load(folder)

    def broken(ids: Sequence[Sequence[int]]) -> Floats:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(backbone, "_read", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        backbone.encode(TEXTS)
