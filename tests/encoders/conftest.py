from __future__ import annotations

from pathlib import Path

import pytest

from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.encoders.weights import local_folder
from tests.encoders import tiny


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "tiny")


@pytest.fixture(scope="session")
def minilm() -> OnnxEncoder:
    """The real encoder, if it is on this machine: tests never fetch."""
    folder = local_folder("minilm")
    if folder is None:
        pytest.skip("MiniLM is not in the cache: run  crossaisle models pull minilm")
    return OnnxEncoder(folder)
