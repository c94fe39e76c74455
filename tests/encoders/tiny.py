"""A sentence encoder small enough to write by hand: an ONNX file of one `Gather`, and its tokenizer.

Each word's vector is one-hot, so every pooled vector is known beforehand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

WORDS = ("[PAD]", "[UNK]", "red", "shoe", "blue", "hat")


def write(
    folder: Path, *, inputs: Sequence[str] = ("input_ids", "attention_mask"), outside: str = ""
) -> Path:
    """Writes `model.onnx` and `tokenizer.json`. `outside`: the file that the model says its table is in."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(_model(np.eye(len(WORDS), dtype=np.float32), inputs, outside))
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer()))
    return folder


def vector(*words: str) -> np.ndarray:
    """Mean of one-hot words, of unit length."""
    out = np.zeros(len(WORDS), np.float32)
    for word in words:
        out[WORDS.index(word)] += 1
    return out / np.linalg.norm(out)


def _tokenizer() -> dict[str, object]:
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }


def _model(table: np.ndarray, inputs: Sequence[str], outside: str) -> bytes:
    """Protobuf by hand (onnx.proto3): the output is row `input_ids` of `table`."""
    tensor = b"".join(_number(1, size) for size in table.shape)
    tensor += _number(2, 1) + _bytes(8, b"table")
    if outside:
        place = {"location": outside, "offset": "0", "length": str(table.nbytes)}
        entries = (_bytes(1, name.encode()) + _bytes(2, value.encode()) for name, value in place.items())
        tensor += b"".join(_bytes(13, entry) for entry in entries) + _number(14, 1)
    else:
        tensor += _bytes(9, table.tobytes())
    node = _bytes(1, b"table") + _bytes(1, b"input_ids") + _bytes(2, b"hidden") + _bytes(4, b"Gather")
    graph = _bytes(1, node) + _bytes(2, b"tiny") + _bytes(5, tensor)
    graph += b"".join(_bytes(11, _value(name, 7, (b"batch", b"width"))) for name in inputs)
    graph += _bytes(12, _value("hidden", 1, (b"batch", b"width", b"d")))
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, b"") + _number(2, 13))


def _value(name: str, kind: int, shape: Sequence[bytes]) -> bytes:
    dimensions = b"".join(_bytes(1, _bytes(2, dimension)) for dimension in shape)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, dimensions)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
