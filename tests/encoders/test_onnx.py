from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.encoders.weights import write_prefix
from crossaisle.errors import FetchError
from tests.encoders import tiny


def test_vectors_are_the_mean_of_their_words(tiny_folder: Path) -> None:
    vectors = OnnxEncoder(tiny_folder).encode(["red shoe", "blue", "red shoe", "hat hat red"])
    assert vectors.dtype == np.float32
    expected = [tiny.vector(*text.split()) for text in ("red shoe", "blue", "red shoe", "hat hat red")]
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_order_batches_and_threads_change_nothing(tiny_folder: Path) -> None:
    texts = [" ".join(tiny.WORDS[2 + (i + j) % 4] for j in range(1 + i % 7)) for i in range(60)]
    one = OnnxEncoder(tiny_folder, batch_tokens=1, threads=1).encode(texts)
    many = OnnxEncoder(tiny_folder, batch_tokens=50, threads=3).encode(texts[::-1])[::-1]
    np.testing.assert_allclose(one, many, atol=1e-6)


def test_empty_texts_are_rows_of_zeros(tiny_folder: Path) -> None:
    vectors = OnnxEncoder(tiny_folder).encode(["", "hat", "  "])
    assert vectors.any(axis=1).tolist() == [False, True, False]
    assert OnnxEncoder(tiny_folder).encode([]).shape == (0, len(tiny.WORDS))


def test_long_texts_are_cut_before_they_are_read(tiny_folder: Path) -> None:
    encoder = OnnxEncoder(tiny_folder, max_tokens=2)
    vectors = encoder.encode(["red shoe blue", "red " * 3_000_000])
    np.testing.assert_allclose(vectors, [tiny.vector("red", "shoe"), tiny.vector("red")], atol=1e-6)


def test_pooling_is_read_from_the_model_folder(tiny_folder: Path) -> None:
    mean = OnnxEncoder(tiny_folder)
    (tiny_folder / "1_Pooling").mkdir()
    (tiny_folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    mean_print = mean.fingerprint
    first = OnnxEncoder(tiny_folder)
    np.testing.assert_allclose(first.encode(["red shoe"]), [tiny.vector("red")], atol=1e-6)
    assert "first" in first.fingerprint
    assert OnnxEncoder(tiny_folder, max_tokens=8).fingerprint != first.fingerprint
    assert mean_print


def test_a_default_prompt_stands_before_every_text(tiny_folder: Path) -> None:
    plain = OnnxEncoder(tiny_folder)
    before = plain.fingerprint
    write_prefix(tiny_folder, "blue ")
    asked = OnnxEncoder(tiny_folder)
    np.testing.assert_allclose(
        asked.encode(["red", ""]), [tiny.vector("blue", "red"), np.zeros(6)], atol=1e-6
    )
    assert asked.fingerprint != before


def test_broken_folders_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"holds no model\.onnx"):
        assert OnnxEncoder(tmp_path).fingerprint
    folder = tiny.write(tmp_path / "no-tokenizer")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FetchError, match=r"holds no tokenizer\.json"):
        OnnxEncoder(folder).encode(["red"])
    folder = tiny.write(tmp_path / "bad-tokenizer")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(FetchError, match="is not a tokenizer"):
        OnnxEncoder(folder).encode(["red"])
    folder = tiny.write(tmp_path / "bad-model")
    (folder / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(FetchError, match="could not be loaded"):
        OnnxEncoder(folder).encode(["red"])
    folder = tiny.write(tmp_path / "images", inputs=("input_ids", "pixels"))
    with pytest.raises(FetchError, match="is not a text encoder"):
        OnnxEncoder(folder).encode(["red"])


def test_minilm_knows_shoes_from_espresso(minilm: OnnxEncoder) -> None:
    shoes, sneakers, espresso = minilm.encode(["running shoes", "trail sneakers", "espresso machine"])
    assert shoes @ sneakers == pytest.approx(0.66, abs=0.03)
    assert shoes @ espresso == pytest.approx(0.12, abs=0.05)


def test_minilm_gives_one_text_one_vector(minilm: OnnxEncoder) -> None:
    text = "OPI Nail Lacquer, Simmer and Shimmer"
    alone = minilm.encode([text])[0]
    among = minilm.encode([text, "hat", "a much longer title, so that this one is padded " * 3])[0]
    np.testing.assert_allclose(alone, among, atol=1e-4)
