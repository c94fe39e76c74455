"""A service reads new items with the encoder that its model was fitted with, and fetches none."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest

from crossaisle.artifact import MANIFEST, sha256
from crossaisle.data.dataset import Dataset
from crossaisle.encoders import weights
from crossaisle.errors import FetchError
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.content import EncoderSimilarity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.service import ShopService
from tests.encoders import tiny
from tests.serve.conftest import talk


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
    return tiny.write(tmp_path / "encoder")


@pytest.fixture
def reading(shop: Dataset, encoder: Path, tmp_path: Path) -> Path:
    """A model that reads texts with that encoder."""
    return saved(shop, str(encoder), tmp_path / "models" / "reading")


def saved(shop: Dataset, name: str, folder: Path) -> Path:
    parts = {"popularity": Popularity(), "encoder": EncoderSimilarity(encoder=name)}
    weights = {"for_you": {"encoder": 1.0}}
    Recommender(shop, Blend(parts=parts, weights=weights).fit(shop)).save(folder)
    return folder


def edit(model: Path, name: str) -> None:
    """Names another encoder, as whoever supplies a model may."""
    config = json.loads((model / "config.json").read_text())
    config["blend"]["parts"]["encoder"]["settings"]["encoder"] = name
    (model / "config.json").write_text(json.dumps(config))
    seal(model)


def seal(model: Path) -> None:
    manifest = json.loads((model / MANIFEST).read_text())
    files = [p for p in model.rglob("*") if p.is_file() and p.name != MANIFEST]
    manifest["sha256"] = {p.relative_to(model).as_posix(): sha256(p) for p in files}
    (model / MANIFEST).write_text(json.dumps(manifest))


def refused(model: Path, store: Path, message: str) -> None:
    """A new item is refused with a reason, not kept, and everything else goes on."""
    service = ShopService.open(model, store)

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.put("/api/items/hat", json={"title": "red hat"})
        assert answer.status_code == 409
        assert message in answer.json()["detail"]
        assert (await client.get("/api/items/hat")).status_code == 404
        assert (await client.get("/api/recommend/eve")).status_code == 200

    try:
        talk(service, conversation)
    finally:
        service.close()


def test_new_items_are_read_with_the_encoder_of_the_model(reading: Path, tmp_path: Path) -> None:
    service = ShopService.open(reading, tmp_path / "s.sqlite")

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.put("/api/items/hat", json={"title": "red hat"})).status_code == 201

    try:
        talk(service, conversation)
    finally:
        service.close()


@pytest.mark.parametrize("name", ["evil/repo", "evil/repo@0123456789abcdef", "minilm", "smollm2"])
def test_a_service_fetches_no_encoder(
    name: str, reading: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hub_folder(repository: str, *, here: bool = False, **_: object) -> Path:
        assert here
        raise FetchError("not here")

    def package_files(*_: object) -> Path:
        raise AssertionError("a package was fetched")

    monkeypatch.setattr(weights, "hub_folder", hub_folder)
    monkeypatch.setattr(weights, "package_files", package_files)
    edit(reading, name)
    command = f"the encoder {name!r} is not on this machine: run  crossaisle models pull {name}  there once"
    refused(reading, tmp_path / "s.sqlite", command)


def test_a_folder_that_is_gone_is_named(reading: Path, encoder: Path, tmp_path: Path) -> None:
    shutil.rmtree(encoder)
    refused(reading, tmp_path / "s.sqlite", "is not on this machine: put its folder back, or fit again")


def test_another_encoder_under_the_same_name_is_refused(reading: Path, encoder: Path, tmp_path: Path) -> None:
    tiny.write(encoder, inputs=("input_ids",))
    refused(reading, tmp_path / "s.sqlite", "is not the one that the model was fitted with (its fingerprint")


def test_a_model_of_before_is_read_with_what_is_there_and_says_so_once(
    reading: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (reading / "parts/encoder/fingerprint_.npy").unlink()
    seal(reading)
    service = ShopService.open(reading, tmp_path / "s.sqlite")

    async def conversation(client: httpx.AsyncClient) -> None:
        for name in ("hat", "shoe"):
            assert (await client.put(f"/api/items/{name}", json={"title": f"red {name}"})).status_code == 201

    try:
        with caplog.at_level(logging.WARNING):
            talk(service, conversation)
    finally:
        service.close()
    assert caplog.text.count("the model does not say which weights of the encoder") == 1


def test_a_repository_on_the_hub_is_pinned_to_its_revision(
    shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
    snapshot = tiny.write(tmp_path / "hub/snapshots/0a1b2c")
    asked: list[tuple[str, bool]] = []

    def hub_folder(repository: str, *, here: bool = False, **_: object) -> Path:
        asked.append((repository, here))
        return snapshot

    monkeypatch.setattr(weights, "hub_folder", hub_folder)
    model = Recommender.load(saved(shop, "owner/name", tmp_path / "model"))
    part = model.blend.parts["encoder"]
    assert isinstance(part, EncoderSimilarity)
    assert part.encoder == "owner/name@0a1b2c"
    assert asked == [("owner/name", False), ("owner/name", True)]
    assert np.isfinite(part.likeness(["red hat"])).all()
    assert asked[-1] == ("owner/name@0a1b2c", True)
    assert part.fit(shop).encoder == "owner/name@0a1b2c"
