"""New items are placed by what they look like: fetched or sent, kept, and the same after a restart."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from crossaisle.client import Client
from crossaisle.errors import ConfigError, ServiceError
from crossaisle.models.scorers.picture_similarity import PictureSimilarity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.limits.serving import ServingLimits
from crossaisle.serve.live import pictures
from crossaisle.serve.refit import fitted_on, with_kept_pictures
from crossaisle.serve.server.bootstrap import open_shops
from crossaisle.serve.server.settings import Settings
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.migrations import m0001_tables
from crossaisle.serve.store.store import Store
from crossaisle.serve.workers.shared_state import SharedState
from tests.encoders.tiny_pictures import png
from tests.serve.conftest import running, talk
from tests.serve.live.pictures.conftest import BREAD, MILK, PNG, SPADE, place


def test_a_picture_that_is_sent_places_an_item(seeing: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        put = await client.put("/api/items/new1/picture", content=png(SPADE), headers=PNG)
        assert put.status_code == 201, put.text
        assert put.json() | {"new": True, "title": "", "notices": []} == put.json()
        assert put.json()["image"].startswith("/api/items/new1/picture?v=")
        assert await place(client, "new1") == "spade"
        # Found by others, in lists of people, and in histories.
        beside = (await client.get("/api/items/spade1/similar")).json()["items"]
        assert "new1" in [one["item_id"] for one in beside]
        mine = (await client.get("/api/recommend/u1?n=24")).json()["items"]
        assert "new1" in [one["item_id"] for one in mine]
        await client.post("/api/events", json={"user": "zoe", "item": "new1"})
        assert (await client.get("/api/recommend/zoe")).json()["served"] == "for_you"
        # Its fields come later; the picture stays.
        put = await client.put("/api/items/new1", json={"title": "zzz", "price": 3.0})
        assert (put.status_code, put.json()["notices"]) == (200, [])
        assert await place(client, "new1") == "spade"
        # Another picture in its place.
        again = await client.put("/api/items/new1/picture", content=png(BREAD), headers=PNG)
        assert (again.status_code, again.json()["title"]) == (200, "zzz")
        assert await place(client, "new1") == "bread"
        assert (await client.delete("/api/items/new1/picture")).status_code == 204
        (notice,) = (await client.get("/api/items/new1")).json()["notices"]
        assert "nothing in the model resembles this item" in notice
        assert (await client.delete("/api/items/new1/picture")).status_code == 404
        assert seeing.store.pictures() == {}

    talk(seeing, conversation)


def test_a_title_and_a_picture_are_weighed_together(seeing: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        # As in the catalogue; the title names bread, and neither is left out.
        await client.put("/api/items/new1", json={"title": "fresh bread"})
        alone = seeing.shop.grown.links[0].toarray().ravel()
        await client.put("/api/items/new1/picture", content=png(MILK), headers=PNG)
        both = seeing.shop.grown.links[0].toarray().ravel()
        await client.put("/api/items/new2/picture", content=png(MILK), headers=PNG)
        look = seeing.shop.grown.links[1].toarray().ravel()
        assert alone.sum() > 0
        assert not np.allclose(both, alone)
        assert not np.allclose(both, look)

    talk(seeing, conversation)


def test_an_address_is_fetched_once_and_placed(seeing: ShopService, gallery: tuple[str, list[str]]) -> None:
    host, asked = gallery
    milk = {"image": f"http://{host}/a.png?token=t"}

    async def conversation(client: httpx.AsyncClient) -> None:
        put = await client.put("/api/items/new1", json=milk)
        assert put.status_code == 201, put.text
        assert put.json()["image"] == milk["image"]
        assert await place(client, "new1") == "milk"
        for body in (milk, {**milk, "title": "zzz", "price": 2.0}):
            assert (await client.put("/api/items/new1", json=body)).status_code == 200
        assert (await client.patch("/api/items/new1", json={"price": 4.0})).json()["image"] == milk["image"]
        assert asked == ["/a.png?token=t"]
        batch = [{"id": f"n{i}", "image": f"http://{host}/{i}.png"} for i in range(5)]
        assert (await client.post("/api/items", json=batch)).json()["accepted"] == 5
        assert await place(client, "n4") == "milk"
        assert len(asked) == 6
        # A whole item without an image has none; nor has one that was taken out.
        await client.put("/api/items/new1", json={"title": "zzz"})
        await client.patch("/api/items/n0", json={"image": None})
        await client.delete("/api/items/n1")
        assert set(seeing.store.pictures()) == {"n2", "n3", "n4"}
        # One that is sent takes the place of the address.
        await client.put("/api/items/n2/picture", content=png(SPADE), headers=PNG)
        shown = (await client.get("/api/items/n2")).json()["image"]
        assert shown.startswith("/api/items/n2/picture?v=")
        assert await place(client, "n2") == "spade"

    talk(seeing, conversation)


def test_a_restart_gives_the_same_answers_and_looks_at_nothing_again(
    seeing: ShopService, models: Path, gallery: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/new1/picture", content=png(SPADE), headers=PNG)
        await client.put("/api/items/new2", json={"title": "bread", "image": f"http://{gallery[0]}/b"})

    talk(seeing, conversation)
    seeing.close()
    monkeypatch.setattr(pictures.Pictures, "encode", None)
    again = ShopService.open(models / "seeing", seeing.store.path, models)
    # Read together in place of one by one, which rounds otherwise.
    for before, after in (
        (seeing.shop.grown.links.toarray(), again.shop.grown.links.toarray()),
        (
            seeing.shop.score_batch(again.shop.base.histories),
            again.shop.score_batch(again.shop.base.histories),
        ),
    ):
        np.testing.assert_allclose(after, before, rtol=1e-5)

    async def later(client: httpx.AsyncClient) -> None:
        assert await place(client, "new1") == "spade"

    talk(again, later)


@pytest.mark.skipif(sys.platform == "win32", reason="one worker only on Windows")
def test_other_workers_and_a_restart_have_it_on_both_engines(models: Path, place: str | Path) -> None:
    board = SharedState.create([""], 2)
    with ExitStack() as stack:
        stack.enter_context(closing(Store(place, run="r", serving=True).handed_over()))
        one, other = (
            stack.enter_context(
                closing(ShopService.open(models / "seeing", place, models, slot=board.slot("", n), run="r"))
            )
            for n in (0, 1)
        )

        async def run() -> None:
            for service in (one, other):
                await service.start()
            for n, colour in enumerate((MILK, SPADE)):
                await one.changes.put_picture(f"new{n}", png(colour))
            await other.changes.put_picture("new0", png(SPADE))
            await other.changes.delete_picture("new1")
            for service in (one, other):
                assert list(service.state.pictures) == ["new0"]
                row = service.shop.dataset.item_ids.row("new0")
                stand_in = service.shop.grown.stand_in(row)
                assert service.shop.dataset.item_ids.id(stand_in or 0).startswith("spade")
            await one.changes.activate("other")
            assert other.state.pictures["new0"].fingerprint == one.state.pictures["new0"].fingerprint
            assert other.shop.grown.links.nnz == one.shop.grown.links.nnz > 0
            for service in (one, other):
                await service.stop()

        asyncio.run(run())
    with closing(ShopService.open(models / "other", place)) as again:
        assert again.store.picture("new0") == png(SPADE)
        assert again.store.picture("new1") is None
        np.testing.assert_allclose(
            again.shop.grown.links.toarray(), one.shop.grown.links.toarray(), rtol=1e-5
        )


def test_another_encoder_looks_at_what_was_kept(seeing: ShopService, models: Path) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/new1/picture", content=png(SPADE), headers=PNG)
        first = seeing.state.pictures["new1"].fingerprint
        assert (await client.post("/api/models/activate", json={"name": "other"})).status_code == 200
        assert seeing.state.pictures["new1"].fingerprint not in ("", first)
        assert seeing.store.picture("new1") == png(SPADE)
        assert await place(client, "new1") == "spade"
        assert (await client.post("/api/models/activate", json={"name": "blind"})).status_code == 200
        notices = (await client.get("/api/items/new1")).json()["notices"]
        assert notices[0] == "the served model does not use pictures"
        assert len(notices) == 2
        assert (await client.post("/api/models/activate", json={"name": "seeing"})).status_code == 200
        assert await place(client, "new1") == "spade"
        assert seeing.state.pictures["new1"].fingerprint == first

    talk(seeing, conversation)


def test_a_model_without_pictures_places_by_text(
    models: Path, tmp_path: Path, gallery: tuple[str, list[str]]
) -> None:
    service = ShopService.open(models / "blind", tmp_path / "s.sqlite", models, image_hosts=[gallery[0]])

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.put("/api/items/new1/picture", content=png(MILK), headers=PNG)
        assert answer.status_code == 409
        assert "the served model does not use pictures" in answer.json()["detail"]
        body = {"title": "fresh bread number 9", "image": f"http://{gallery[0]}/a.png"}
        put = await client.put("/api/items/new1", json=body)
        assert put.json()["notices"] == ["the served model does not use pictures"]
        assert await place(client, "new1") == "bread"
        assert not gallery[1]

    talk(service, conversation)


def test_items_of_the_model_keep_their_place(seeing: ShopService) -> None:
    before = seeing.shop.base.score_batch(seeing.shop.base.histories)

    async def conversation(client: httpx.AsyncClient) -> None:
        put = await client.put("/api/items/milk1/picture", content=png(SPADE), headers=PNG)
        assert put.status_code == 200
        assert "after the next fit" in put.json()["notices"][0]
        assert put.json()["title"] == "fresh milk number 1"
        np.testing.assert_array_equal(seeing.shop.score_batch(seeing.shop.base.histories), before)

    talk(seeing, conversation)


def test_what_is_missing_is_said(
    seeing: ShopService, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pillow(client: httpx.AsyncClient) -> None:
        content = png(MILK)
        monkeypatch.setitem(sys.modules, "PIL", None)
        answer = await client.put("/api/items/new1/picture", content=content, headers=PNG)
        monkeypatch.undo()
        assert answer.status_code == 409
        assert "(extra 'image')" in answer.json()["detail"]

    talk(seeing, pillow)
    copied = tmp_path / "models" / "seeing"
    shutil.copytree(models / "seeing", copied)
    service = ShopService.open(copied, tmp_path / "t.sqlite")
    (part,) = (p for p in service.shop.base.blend.parts.values() if isinstance(p, PictureSimilarity))

    async def weights(client: httpx.AsyncClient) -> None:
        for encoder, says in (
            ("efficientnet-lite0", "crossaisle models pull efficientnet-lite0"),
            (str(models.parent / "encoder-other"), "are not those that the model was fitted with"),
        ):
            part.encoder = encoder
            answer = await client.put("/api/items/new1/picture", content=png(MILK), headers=PNG)
            assert answer.status_code == 409
            assert says in answer.json()["detail"]

    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "empty"))
    talk(service, weights)


def test_a_refit_looks_at_what_was_kept(seeing: ShopService, models: Path, tmp_path: Path) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/new1/picture", content=png(SPADE), headers=PNG)
        await client.put("/api/items/new2", json={"title": "fresh bread"})

    talk(seeing, conversation)
    base = seeing.shop.base
    folder = tmp_path / "models" / "pictures"
    shown = with_kept_pictures(seeing.shop.dataset, base, seeing.store, seeing.state.pictures, folder)
    assert [file.read_bytes() for file in folder.iterdir()] == [png(SPADE)]
    part = fitted_on(base, shown).blend.parts["picture"]
    assert isinstance(part, PictureSimilarity)
    row = part.item_ids_.row("new1")
    nearest = np.argsort(-part.item_similarity(np.array([row]), np.arange(row)).ravel())[0]
    assert part.item_ids_.id(int(nearest)).startswith("spade")
    assert not part._known[part.item_ids_.row("new2")]
    blind = Recommender.load(models / "blind")
    assert (
        with_kept_pictures(blind.dataset, blind, seeing.store, seeing.state.pictures, folder) is blind.dataset
    )


def test_large_shops_search_for_what_looks_alike(seeing: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/new1/picture", content=png(SPADE), headers=PNG)
        await client.put("/api/items/new2", json={"title": "fresh bread number 3"})
        await client.put("/api/items/new2/picture", content=png(MILK), headers=PNG)
        every = seeing.shop.grown.links.toarray()
        seeing.limits = ServingLimits(live=LiveLimits(large_items=0))
        seeing.shop.grown.texts.clear()
        await client.put("/api/items/new3", json={"title": "zzz"})
        np.testing.assert_allclose(seeing.shop.grown.links.toarray()[:2], every, atol=1e-6)

    talk(seeing, conversation)


def test_the_client_sends_pictures(seeing: ShopService, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(SPADE))
    with running(seeing) as url, Client(url) as client:
        assert client.put_picture("new1", tmp_path / "a.png").new
        assert client.put_picture("new1", png(MILK)).notices == ()
        assert client.similar("new1", n=1).ids[0].startswith("milk")
        client.delete_picture("new1")
        with pytest.raises(ServiceError, match="not a readable"):
            client.put_picture("new1", b"words")


def settings(**given: Any) -> Settings:
    blank = dict.fromkeys(("model", "shops", "store", "models", "rate"))
    return Settings(**{**blank, "host": "127.0.0.1", "port": 0, "largest_body": 1000, **given})


def test_hosts_are_given_at_the_start(models: Path, tmp_path: Path) -> None:
    place = tmp_path / "s.sqlite"
    one = settings(model=str(models / "blind"), store=str(place))
    shops = open_shops(replace(one, image_hosts=["img.example", "10.0.0.7:9000"]))
    (service,) = shops.services.values()
    assert service.changes.pictures.hosts.allows("http://10.0.0.7:9000/a.png")
    shops.close()
    with pytest.raises(ConfigError, match="is not a host: write HOST or HOST:PORT"):
        open_shops(replace(one, image_hosts=["https://img.example"]))
    file = tmp_path / "shops.toml"
    file.write_text(f'[a]\nmodel = "{models}/blind"\nstore = "a.sqlite"\nimage_hosts = ["img.example"]\n')
    shops = open_shops(settings(shops=str(file)))
    (service,) = shops.services.values()
    assert service.changes.pictures.hosts.allows("https://img.example/")
    shops.close()
    with pytest.raises(ConfigError, match="image hosts and origins are named in"):
        open_shops(settings(shops=str(file), image_hosts=["img.example"]))


def test_without_pictures_nothing_is_loaded_for_them(service: ShopService) -> None:
    code = (
        "import sys\nfrom crossaisle.serve.api.app import create_app\n"
        "from crossaisle.serve.service import ShopService\n"
        "service = ShopService.open(*sys.argv[1:3])\n"
        "create_app(service)\nservice.close()\nprint(*sys.modules)"
    )
    service.close()
    command = [sys.executable, "-c", code, str(service.state.active), str(service.store.path)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "crossaisle.serve.live.pictures" in loaded
    assert not {
        "PIL",
        "onnxruntime",
        "crossaisle.encoders.images.image_encoder",
        "crossaisle.encoders.fetching",
    } & set(loaded)


def test_a_store_of_before_takes_pictures(models: Path, tmp_path: Path) -> None:
    place = tmp_path / "s.sqlite"
    with closing(sqlite3.connect(place)) as old:
        old.executescript(f"{m0001_tables.SQLITE} PRAGMA user_version=1;")
    service = ShopService.open(models / "seeing", place)

    async def conversation(client: httpx.AsyncClient) -> None:
        put = await client.put("/api/items/new1/picture", content=png(SPADE), headers=PNG)
        assert put.status_code == 201

    talk(service, conversation)
