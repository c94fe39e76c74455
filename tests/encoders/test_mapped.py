from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossaisle import artifact
from crossaisle.encoders import mapped
from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.errors import FetchError
from tests.encoders import tiny

TEXTS = ["red shoe", "blue", "hat hat red"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mapped"


def test_a_mapped_model_reads_as_the_model_does(tiny_folder: Path, cache: Path) -> None:
    expected = [tiny.vector(*text.split()) for text in TEXTS]
    for _ in range(2):  # made, and found
        np.testing.assert_allclose(OnnxEncoder(tiny_folder, map_from=0).encode(TEXTS), expected, atol=1e-6)
        (copy,) = cache.iterdir()
        assert artifact.check(copy, mapped.KIND)


def test_a_small_model_is_not_copied(tiny_folder: Path, cache: Path) -> None:
    OnnxEncoder(tiny_folder, map_from=10**9).encode(TEXTS)
    assert not cache.exists()


def test_a_damaged_copy_is_made_again(tiny_folder: Path, cache: Path) -> None:
    before = OnnxEncoder(tiny_folder, map_from=0).encode(TEXTS)
    (copy,) = cache.iterdir()
    graph = copy / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-20])
    np.testing.assert_array_equal(OnnxEncoder(tiny_folder, map_from=0).encode(TEXTS), before)
    assert artifact.check(copy, mapped.KIND)


def test_a_cache_that_cannot_be_written_costs_memory_only(tiny_folder: Path, cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where a folder should be")
    expected = [tiny.vector(*text.split()) for text in TEXTS]
    np.testing.assert_allclose(OnnxEncoder(tiny_folder, map_from=0).encode(TEXTS), expected, atol=1e-6)


def test_what_is_no_model_is_refused_and_leaves_no_copy(tiny_folder: Path, cache: Path) -> None:
    (tiny_folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(FetchError, match=r"model\.onnx: could not be loaded"):
        OnnxEncoder(tiny_folder, map_from=0).encode(TEXTS)
    assert not cache.exists() or not any(cache.iterdir())


def test_weights_beside_the_graph_are_part_of_what_the_model_is(tiny_folder: Path) -> None:
    alone = OnnxEncoder(tiny_folder).fingerprint
    data = tiny_folder / "model.onnx_data"
    data.write_bytes(b"weights")
    first = OnnxEncoder(tiny_folder).fingerprint
    data.write_bytes(b"other weights")
    assert len({alone, first, OnnxEncoder(tiny_folder).fingerprint}) == 3


@pytest.mark.parametrize("location", ["../secret", "ABSOLUTE", "a/../../secret", "link"])
def test_weights_outside_the_folder_of_a_model_are_not_read(tmp_path: Path, location: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0" * 144)
    folder = tiny.write(tmp_path / "model", outside=str(secret) if location == "ABSOLUTE" else location)
    (folder / "link").symlink_to(secret)
    (folder / "a").mkdir()
    with pytest.raises(FetchError, match=r"model\.onnx: could not be loaded \(.*External data path"):
        mapped.read_session(folder / "model.onnx")


def test_weights_beside_a_model_are_read_also_through_the_links_of_a_hub_cache(tmp_path: Path) -> None:
    made = tiny.write(tmp_path / "made", outside="weights.bin")
    (tmp_path / "blobs").mkdir()
    (made / "model.onnx").rename(tmp_path / "blobs/0a")
    (tmp_path / "blobs/0b").write_bytes(np.eye(len(tiny.WORDS), dtype=np.float32).tobytes())
    folder = tmp_path / "snapshots/0123"
    folder.mkdir(parents=True)
    (folder / "model.onnx").symlink_to("../../blobs/0a")
    (folder / "weights.bin").symlink_to("../../blobs/0b")
    session = mapped.read_session(folder / "model.onnx")
    ids = np.array([[2]], np.int64)
    (found,) = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    np.testing.assert_array_equal(found[0, 0], tiny.vector("red"))
