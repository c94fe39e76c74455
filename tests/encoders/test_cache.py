from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from crossaisle.data.history import Floats
from crossaisle.encoders.cache import CachedEncoder


class Counting:
    """Random vectors per text, and a list of what it was asked."""

    fingerprint = "counting"

    def __init__(self, width: int = 16) -> None:
        self.width, self.asked = width, list[str]()

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Floats:
        self.asked += texts
        rows = [np.random.default_rng(len(t) * 31 + sum(map(ord, t))).normal(size=self.width) for t in texts]
        vectors = np.reshape(rows, (len(texts), self.width)).astype(np.float32)
        vectors[[not t.strip() for t in texts]] = 0
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def file_of(folder: Path) -> Path:
    return folder / "counting.sqlite"


def test_no_text_is_encoded_twice(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    a = CachedEncoder(first, tmp_path).encode(["hat", "shoe", "hat", ""])
    b = CachedEncoder(second, tmp_path).encode(["shoe", "sock", "hat"])
    assert sorted(first.asked) == ["hat", "shoe"]
    assert second.asked == ["sock"]
    np.testing.assert_array_equal(a[:2], b[[2, 0]])
    np.testing.assert_array_equal(a[3], np.zeros(16))


def test_rounding_is_small(tmp_path: Path) -> None:
    texts = [f"product {i}" for i in range(200)]
    exact, cached = Counting(384).encode(texts), CachedEncoder(Counting(384), tmp_path).encode(texts)
    assert cached.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(cached, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(exact @ exact.T, cached @ cached.T, atol=1e-4)


def test_only_empty_texts(tmp_path: Path) -> None:
    assert CachedEncoder(Counting(), tmp_path).encode(["", " "]).shape == (2, 16)


def test_a_damaged_file_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = CachedEncoder(Counting(), tmp_path).encode(["hat"])
    file_of(tmp_path).write_bytes(b"no database at all" * 100)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(CachedEncoder(Counting(), tmp_path).encode(["hat"]), expected)
    assert "damaged" in caplog.text
    again = Counting()
    np.testing.assert_array_equal(CachedEncoder(again, tmp_path).encode(["hat"]), expected)
    assert again.asked == []


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x00\x7c" * 16, b"\x00\x3c" * 16, b"\x00\x3c"])
def test_a_damaged_vector_is_made_again(tmp_path: Path, blob: bytes) -> None:
    texts = ["hat", "shoe", "sock"]
    expected = CachedEncoder(Counting(), tmp_path).encode(texts)
    connection = sqlite3.connect(file_of(tmp_path))
    with connection:
        connection.execute("UPDATE vectors SET vector = ? WHERE key = (SELECT min(key) FROM vectors)", [blob])
    connection.close()
    again = Counting()
    np.testing.assert_array_equal(CachedEncoder(again, tmp_path).encode(texts), expected)
    assert len(again.asked) == 1


def test_an_unwritable_folder_costs_only_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        vectors = CachedEncoder(Counting(), tmp_path / "file").encode(["hat"])
    assert vectors.any()
    assert "without the cache" in caplog.text


def test_many_writers_at_once(tmp_path: Path) -> None:
    def work(number: int) -> Floats:
        return CachedEncoder(Counting(), tmp_path).encode([f"{(number + i) % 40}" for i in range(30)])

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(16)))
    expected = Counting().encode([f"{i % 40}" for i in range(30)])
    np.testing.assert_allclose(results[0], expected, atol=1e-3)
    connection = sqlite3.connect(file_of(tmp_path))
    assert connection.execute("SELECT count(*) FROM vectors").fetchone() == (40,)
    connection.close()
