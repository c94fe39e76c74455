"""A model is switched on all hosts or on none; hosts take it from a folder or a bucket of their own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from crossaisle.errors import ArtifactError, ConfigError, ConflictError, StoreError, UnknownIdError
from crossaisle.serve.live.saved_models import SavedModels, local_copy, version_of
from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk
from tests.serve.hosts.test_following import LIMITS, host, slot, url

__all__ = ["url"]


@pytest.fixture
def apart(model: Path, url: str, tmp_path: Path) -> Iterator[list[ShopService]]:
    """Three hosts, each with a folder of its own; the third has no model `b`."""
    with ExitStack() as stack:
        services = []
        for name in ("one", "two", "three"):
            folder = tmp_path / name
            shutil.copytree(model.parent, folder)
            if name == "three":
                shutil.rmtree(folder / "b")
            services.append(stack.enter_context(closing(host(folder / "a", url, name))))
        yield services


def among(services: list[ShopService], what: Awaitable[None]) -> None:
    """While all of them serve."""

    async def run() -> None:
        for service in services:
            await service.start()
        try:
            await what
        finally:
            for service in services:
                await service.stop()

    asyncio.run(run())


def active(services: list[ShopService]) -> list[str]:
    return [service.state.active.name for service in services]


def test_all_switch_and_go_back(apart: list[ShopService], model: Path, tmp_path: Path) -> None:
    shutil.copytree(model.parent / "b", tmp_path / "three" / "b")

    async def run() -> None:
        await apart[0].changes.activate("b", "ann")
        assert active(apart) == ["b", "b", "b"]
        assert [service.state.active.parent.name for service in apart] == ["one", "two", "three"]
        await apart[1].changes.roll_back()
        assert active(apart) == ["a", "a", "a"]

    among(apart, run())
    assert [line["what"] for line in apart[2].store.audit()] == ["rolled the model back", "activated model b"]


def test_nobody_switches_where_one_cannot(apart: list[ShopService]) -> None:
    async def run() -> None:
        with pytest.raises(ConflictError, match=r"cannot serve model b: no model 'b' .*nothing was switched"):
            await apart[0].changes.activate("b")
        await apart[1].changes.put_items({"rye": {"title": "Rye loaf"}})  # what comes next works

    among(apart, run())
    assert active(apart) == ["a", "a", "a"]
    assert all("rye" in service.state.changed for service in apart)
    assert apart[0].store.audit() == []


def test_nobody_switches_where_one_has_other_weights(apart: list[ShopService], tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "three" / "a", tmp_path / "three" / "b")

    async def run() -> None:
        with pytest.raises(ConflictError, match=r"holds version .* of model b, not .*: nothing was switched"):
            await apart[0].changes.activate("b")

    among(apart, run())
    assert active(apart) == ["a", "a", "a"]


def test_a_host_that_does_not_answer_in_time_is_named(apart: list[ShopService]) -> None:
    async def run() -> None:
        late = apart[2].replica
        assert late is not None
        assert late._task is not None
        late._task.cancel()  # it is there, and follows nothing
        one = slot(apart[0])
        one.shared.limits = replace(LIMITS.workers, follow_seconds=0.5)
        with pytest.raises(ConflictError, match=r"has not loaded model b within 0.5 s: nothing was switched"):
            await apart[0].changes.activate("b")

    among(apart, run())
    assert active(apart) == ["a", "a", "a"]


def test_a_host_that_comes_later_serves_what_the_others_serve(
    apart: list[ShopService], model: Path, url: str, tmp_path: Path
) -> None:
    shutil.copytree(model.parent / "b", tmp_path / "three" / "b")
    among(apart, apart[0].changes.activate("b"))
    shutil.copytree(model.parent, tmp_path / "four")
    with closing(host(tmp_path / "four" / "a", url, "four")) as four:
        assert four.state.active == tmp_path / "four" / "b"
        assert four.state.previous == tmp_path / "four" / "a"
    shutil.rmtree(tmp_path / "four" / "b")
    for folder in ("one", "two", "three"):
        shutil.rmtree(tmp_path / folder / "b")
    with pytest.raises(StoreError, match="the other hosts serve another model: no model 'b'"):
        host(tmp_path / "four" / "a", url, "four")


def test_hosts_say_which_model_they_have(apart: list[ShopService]) -> None:
    async def conversation(client: object) -> None:
        found = (await client.get("/api/models")).json()  # type: ignore[attr-defined]
        version = version_of(apart[0].state.active)
        assert [(one["model"], one["version"]) for one in found["hosts"]] == [("a", version)] * 3
        assert all(one["name"].startswith("process ") for one in found["hosts"])

    talk(apart[0], conversation)


# Buckets


@pytest.fixture(params=["file", "memory"])
def bucket(request: pytest.FixtureRequest, model: Path, tmp_path: Path) -> Iterator[str]:
    fsspec = pytest.importorskip("fsspec", reason="needs pip install 'crossaisle[bucket]'")
    place = f"file://{tmp_path}/bucket" if request.param == "file" else "memory://bucket"
    files, root = fsspec.core.url_to_fs(place)
    files.put(f"{model.parent}/", root, recursive=True)
    files.put(f"{model}/", f"{root}/a.index", recursive=True)  # what lies beside a model is none
    yield place
    files.rm(root, recursive=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_models_of_a_bucket_are_copied_once(bucket: str, cache: Path, model: Path) -> None:
    models = SavedModels(bucket)
    assert models.names() == ["a", "b"]
    found = models.find("b")
    assert found.is_relative_to(cache)
    assert version_of(found) == version_of(model.parent / "b")
    (found / "mark").touch()
    assert models.find("b", version_of(found)) == found
    assert (found / "mark").exists()
    with pytest.raises(UnknownIdError, match="no model 'c' in the folder of models"):
        models.find("c")
    with pytest.raises(UnknownIdError, match=r"no model '../a'"):
        models.find("../a")
    with pytest.raises(ArtifactError, match=r"holds version .* of model a, not 0123"):
        models.find("a", "0123")


@pytest.mark.parametrize("address", ["", "file://"])
def test_what_lies_beside_a_model_is_no_model(address: str, model: Path, tmp_path: Path) -> None:
    for name in ("a", "a.counts", "a.index"):
        shutil.copytree(model, tmp_path / name)
    models = SavedModels(f"{address}{tmp_path}")
    assert models.names() == ["a"]


def test_a_damaged_copy_is_not_served(bucket: str, cache: Path) -> None:
    import fsspec

    files, root = fsspec.core.url_to_fs(bucket)
    damaged = next(path for path in files.find(f"{root}/a") if path.endswith(".npy"))
    files.pipe_file(damaged, b"x")
    with pytest.raises(ArtifactError, match="does not match its checksum in the bucket"):
        SavedModels(bucket).find("a")
    assert not list(cache.rglob("config.json"))


def test_a_shop_serves_from_a_bucket(bucket: str, cache: Path, url: str) -> None:
    services = [
        ShopService.open(f"{bucket}/a", url, bucket, run=name, limits=LIMITS) for name in ("one", "two")
    ]
    with closing(services[0]), closing(services[1]):
        among(services, services[1].changes.activate("b"))
        assert active(services) == ["b", "b"]


def test_what_is_no_bucket(cache: Path) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(ConfigError, match="nowhere://"):
        local_copy("nowhere://x/a")
    with pytest.raises(ArtifactError, match="no such model folder"):
        version_of(cache / "a")
