"""New items are placed by what they look like: fetched or sent, kept, and the same after a restart."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from crossaisle.client import Client
from crossaisle.encoders import fetching
from crossaisle.errors import ConfigError, ServiceError
from crossaisle.models.blend import Blend
from crossaisle.models.content import TfidfSimilarity
from crossaisle.models.item_knn import ItemKNN
from crossaisle.models.pictures import PictureSimilarity
from crossaisle.models.popularity import Popularity
from crossaisle.recommend import Recommender
from crossaisle.serve import pictures, resembling
from crossaisle.serve.board import Board
from crossaisle.serve.refit import fitted_on, with_kept_pictures
from crossaisle.serve.run import Settings, open_shops
from crossaisle.serve.service import Service
from crossaisle.serve.store import Store
from tests.encoders.tiny_pictures import png, vision_encoder
from tests.models.shops import tiny_shop
from tests.models.test_pictures import with_pictures
from tests.serve.conftest import running, talk

MILK, BREAD, SPADE = (251, 249, 202), (241, 219, 152), (22, 41, 58)
PNG = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of a shop with pictures: `seeing`; `other`, with another encoder; and `blind`."""
    folder = tmp_path_factory.mktemp("seeing")
    shop = with_pictures(tiny_shop(), folder / "pictures")
    for name in ("seeing", "other", "blind"):
        parts = {"popularity": Popularity(), "item_knn": ItemKNN(shrink=1.0), "tfidf": TfidfSimilarity()}
        weights = {"for_you": {"popularity": 0.1, "item_knn": 1.0}, "similar": {"tfidf": 1.0}}
        if name != "blind":
            encoder = vision_encoder(folder / f"encoder-{name}", seed=len(name))
            parts["picture"] = PictureSimilarity(encoder=str(encoder), dimensions=16)
            weights["similar"] = {"picture": 1.0}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CROSSAISLE_CACHE", str(folder / "cache"))
            Recommender(shop, Blend(parts=parts, weights=weights).fit(shop)).save(folder / "models" / name)
    return folder / "models"


@pytest.fixture
def gallery() -> Iterator[tuple[str, list[str]]]:
    """A server of pictures: its host, and what it was asked for."""
    asked: list[str] = []
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/hangs":
                done.wait(20)
            if self.path == "/away":
                self.send_response(302)
                self.send_header("Location", "http://169.254.169.254/")
                self.end_headers()
                return
            content = {"/words": b"no picture", "/large": b"x" * 9_000_000}.get(self.path, png(MILK))
            self.send_response(404 if self.path == "/gone" else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(OSError):  # nobody waits for it any more
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}", asked
    done.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def seeing(models: Path, tmp_path: Path, gallery: tuple[str, list[str]]) -> Iterator[Service]:
    opened = Service.open(models / "seeing", tmp_path / "s.sqlite", models, image_hosts=[gallery[0]])
    yield opened
    opened.close()


def kinds(answer: httpx.Response) -> list[str]:
    """What kinds of items a list has, best first."""
    assert answer.status_code == 200, answer.text
    return [one["item_id"].rstrip("0123456789") for one in answer.json()["items"]]


async def place(client: httpx.AsyncClient, item: str) -> str:
    """What kind of item a new one is most like."""
    found = kinds(await client.get(f"/api/items/{item}/similar?n=3"))
    assert len(set(found)) == 1, found
    return found[0]


def test_a_picture_that_is_sent_places_an_item(seeing: Service) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        put = await client.put("/api/items/new1/picture", content=png(SPADE), headers=PNG)
        assert put.status_code == 201, put.text
        assert put.json() | {"new": True, "title": "", "image": None, "notices": []} == put.json()
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
        assert "no item of the model is like this one" in notice
        assert (await client.delete("/api/items/new1/picture")).status_code == 404
        assert seeing.store.pictures() == {}

    talk(seeing, conversation)


def test_a_title_and_a_picture_are_weighed_together(seeing: Service) -> None:
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


def test_an_address_is_fetched_once_and_placed(seeing: Service, gallery: tuple[str, list[str]]) -> None:
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
        assert (await client.post("/api/items", json=batch)).json() == {"accepted": 5}
        assert await place(client, "n4") == "milk"
        assert len(asked) == 6
        # A whole item without an image has none; nor has one that was taken out.
        await client.put("/api/items/new1", json={"title": "zzz"})
        await client.patch("/api/items/n0", json={"image": None})
        await client.delete("/api/items/n1")
        assert set(seeing.store.pictures()) == {"n2", "n3", "n4"}
        # One that is sent takes the place of the address.
        await client.put("/api/items/n2/picture", content=png(SPADE), headers=PNG)
        assert (await client.get("/api/items/n2")).json()["image"] is None
        assert await place(client, "n2") == "spade"

    talk(seeing, conversation)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("http://{host}/away", "redirects, which is not followed"),
        ("http://{host}/gone", "(answered 404)"),
        ("http://{host}/words", "is no readable JPEG, PNG, WEBP picture"),
        ("http://{host}/large", "larger than 8 MB"),
        ("http://u:secret@{host}/a.png", "no user and no password"),
        ("http://localhost/a.png", "may not be fetched from 'localhost'"),
        ("http://[::1]/a.png", "may not be fetched"),
        ("https://{host}/a.png", "could not be fetched"),
        ("file:///etc/passwd", "image: String should match pattern"),
        ("/etc/passwd", "image: String should match pattern"),
    ],
)
def test_pictures_that_are_refused(
    seeing: Service, gallery: tuple[str, list[str]], image: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    image = image.format(host=gallery[0])

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.put("/api/items/new1", json={"title": "milk", "image": image})
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert says in answer.json()["detail"]
        assert "secret" not in answer.json()["detail"]
        batch = [{"id": "good", "title": "milk"}, {"id": "bad", "image": image}]
        answer = await client.post("/api/items", json=batch)
        assert answer.status_code == 422
        assert says.removeprefix("image") in answer.json()["detail"]
        assert "new1" not in seeing.shop.dataset.item_ids
        assert "good" not in seeing.shop.dataset.item_ids

    talk(seeing, conversation)
    assert "secret" not in caplog.text


def test_a_name_that_leads_inside_is_refused(models: Path, tmp_path: Path) -> None:
    service = Service.open(models / "seeing", tmp_path / "s.sqlite", image_hosts=["img.example"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetching, "resolved", lambda host, port: ["169.254.169.254"])

        async def conversation(client: httpx.AsyncClient) -> None:
            answer = await client.put("/api/items/x", json={"image": "https://img.example/latest/meta-data"})
            assert answer.status_code == 422
            assert "does not lead to a public address" in answer.json()["detail"]
            assert "169.254" not in answer.json()["detail"]

        talk(service, conversation)


@pytest.mark.parametrize(
    ("content", "kind", "status", "says"),
    [
        (b"", "image/png", 422, "the picture is empty"),
        (b"no picture", "image/jpeg", 422, "the picture: is no readable"),
        (png(MILK)[:60], "image/png", 422, "the picture: is no readable"),
        (b"x" * 8_000_001, "image/webp", 413, "must not exceed 8,000,000 bytes"),
        (png(MILK), "text/plain", 415, "image/webp (found 'text/plain')"),
        (png(MILK), "video/mp4", 415, "found 'video/mp4'"),
    ],
    ids=["empty", "words", "damaged", "large", "text", "video"],
)
def test_bodies_that_are_refused(seeing: Service, content: bytes, kind: str, status: int, says: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.put("/api/items/new1/picture", content=content, headers={"content-type": kind})
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert says in answer.json()["detail"]
        assert "new1" not in seeing.shop.dataset.item_ids

    talk(seeing, conversation)


def test_large_pictures_are_not_unpacked(seeing: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "PIXELS", 100)

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.put("/api/items/new1/picture", content=png(MILK), headers=PNG)
        assert answer.status_code == 422
        assert "more than" in answer.json()["detail"]

    talk(seeing, conversation)


def test_a_picture_server_that_hangs_holds_up_nothing_else(
    seeing: Service, gallery: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "WAITING", 4)
    monkeypatch.setattr(pictures, "PATIENCE", 1.0)
    hangs = {"image": f"http://{gallery[0]}/hangs"}

    async def conversation(client: httpx.AsyncClient) -> None:
        waiting = [asyncio.create_task(client.put(f"/api/items/h{n}", json=hangs)) for n in range(3)]
        while len(gallery[1]) < 3:
            await asyncio.sleep(0.01)
        put = await client.put("/api/items/new1", json={"title": "fresh milk"})
        assert put.status_code == 201
        put = await client.put("/api/items/new2/picture", content=png(MILK), headers=PNG)
        assert put.status_code == 201
        waiting.append(asyncio.create_task(client.put("/api/items/h3", json=hangs)))
        while len(gallery[1]) < 4:
            await asyncio.sleep(0.01)
        put = await client.put("/api/items/new3/picture", content=png(MILK), headers=PNG)
        assert put.status_code == 503
        assert "too many pictures are waiting" in put.json()["detail"]
        assert not any(task.done() for task in waiting)
        for answer in await asyncio.gather(*waiting):
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert "pictures take too long" in answer.json()["detail"]
        assert "h0" not in seeing.shop.dataset.item_ids

    seeing.pictures.close()
    seeing.pictures = pictures.Pictures([gallery[0]])
    talk(seeing, conversation)


def test_too_many_at_once_are_refused(
    seeing: Service, gallery: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST", 3)
    batch = [{"id": f"n{i}", "image": f"http://{gallery[0]}/{i}.png"} for i in range(4)]

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/items", json=batch)
        assert answer.status_code == 422
        assert "at most 3 new pictures" in answer.json()["detail"]
        assert not gallery[1]

    talk(seeing, conversation)


def test_a_restart_gives_the_same_answers_and_looks_at_nothing_again(
    seeing: Service, models: Path, gallery: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/new1/picture", content=png(SPADE), headers=PNG)
        await client.put("/api/items/new2", json={"title": "bread", "image": f"http://{gallery[0]}/b"})

    talk(seeing, conversation)
    seeing.close()
    monkeypatch.setattr(pictures.Pictures, "look", None)
    again = Service.open(models / "seeing", seeing.store.path, models)
    # Read together in place of one by one, which rounds otherwise.
    for before, after in (
        (seeing.shop.grown.links.toarray(), again.shop.grown.links.toarray()),
        (seeing.shop.score_batch(again.shop.base._stored), again.shop.score_batch(again.shop.base._stored)),
    ):
        np.testing.assert_allclose(after, before, rtol=1e-5)

    async def later(client: httpx.AsyncClient) -> None:
        assert await place(client, "new1") == "spade"

    talk(again, later)


@pytest.mark.skipif(sys.platform == "win32", reason="one worker only on Windows")
def test_other_workers_and_a_restart_have_it_on_both_engines(models: Path, place: str | Path) -> None:
    board = Board.create([""], 2)
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(
                closing(Service.open(models / "seeing", place, models, seat=board.seat("", n), run="r"))
            )
            for n in (0, 1)
        )

        async def run() -> None:
            for service in (one, other):
                assert service.following is not None
                await service.following.start()
            for n, colour in enumerate((MILK, SPADE)):
                await one.put_picture(f"new{n}", png(colour))
            await other.put_picture("new0", png(SPADE))
            await other.delete_picture("new1")
            for service in (one, other):
                assert list(service.kept) == ["new0"]
                row = service.shop.dataset.item_ids.row("new0")
                stand_in = service.shop.grown.stand_in(row)
                assert service.shop.dataset.item_ids.id(stand_in or 0).startswith("spade")
            await one.activate("other")
            assert other.kept["new0"].fingerprint == one.kept["new0"].fingerprint
            assert other.shop.grown.links.nnz == one.shop.grown.links.nnz > 0
            for service in (one, other):
                assert service.following is not None
                await service.following.stop()

        asyncio.run(run())
    with closing(Service.open(models / "other", place)) as again:
        assert again.store.picture("new0") == png(SPADE)
        assert again.store.picture("new1") is None
        np.testing.assert_allclose(
            again.shop.grown.links.toarray(), one.shop.grown.links.toarray(), rtol=1e-5
        )


def test_another_encoder_looks_at_what_was_kept(seeing: Service, models: Path) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/new1/picture", content=png(SPADE), headers=PNG)
        first = seeing.kept["new1"].fingerprint
        assert (await client.post("/api/models/activate", json={"name": "other"})).status_code == 200
        assert seeing.kept["new1"].fingerprint not in ("", first)
        assert seeing.store.picture("new1") == png(SPADE)
        assert await place(client, "new1") == "spade"
        assert (await client.post("/api/models/activate", json={"name": "blind"})).status_code == 200
        notices = (await client.get("/api/items/new1")).json()["notices"]
        assert notices[0] == "the served model looks at no pictures"
        assert len(notices) == 2
        assert (await client.post("/api/models/activate", json={"name": "seeing"})).status_code == 200
        assert await place(client, "new1") == "spade"
        assert seeing.kept["new1"].fingerprint == first

    talk(seeing, conversation)


def test_a_model_without_pictures_places_by_text(
    models: Path, tmp_path: Path, gallery: tuple[str, list[str]]
) -> None:
    service = Service.open(models / "blind", tmp_path / "s.sqlite", models, image_hosts=[gallery[0]])

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.put("/api/items/new1/picture", content=png(MILK), headers=PNG)
        assert answer.status_code == 409
        assert "the served model looks at no pictures" in answer.json()["detail"]
        body = {"title": "fresh bread number 9", "image": f"http://{gallery[0]}/a.png"}
        put = await client.put("/api/items/new1", json=body)
        assert put.json()["notices"] == ["the served model looks at no pictures"]
        assert await place(client, "new1") == "bread"
        assert not gallery[1]

    talk(service, conversation)


def test_items_of_the_model_keep_their_place(seeing: Service) -> None:
    before = seeing.shop.base.score_batch(seeing.shop.base._stored)

    async def conversation(client: httpx.AsyncClient) -> None:
        put = await client.put("/api/items/milk1/picture", content=png(SPADE), headers=PNG)
        assert put.status_code == 200
        assert "when the model is fitted again" in put.json()["notices"][0]
        assert put.json()["title"] == "fresh milk number 1"
        np.testing.assert_array_equal(seeing.shop.score_batch(seeing.shop.base._stored), before)

    talk(seeing, conversation)


def test_what_is_missing_is_said(
    seeing: Service, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pillow(client: httpx.AsyncClient) -> None:
        content = png(MILK)
        monkeypatch.setitem(sys.modules, "PIL", None)
        answer = await client.put("/api/items/new1/picture", content=content, headers=PNG)
        monkeypatch.undo()
        assert answer.status_code == 409
        assert "pip install 'crossaisle[image]'" in answer.json()["detail"]

    talk(seeing, pillow)
    copied = tmp_path / "models" / "seeing"
    shutil.copytree(models / "seeing", copied)
    service = Service.open(copied, tmp_path / "t.sqlite")
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


def test_a_refit_looks_at_what_was_kept(seeing: Service, models: Path, tmp_path: Path) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/new1/picture", content=png(SPADE), headers=PNG)
        await client.put("/api/items/new2", json={"title": "fresh bread"})

    talk(seeing, conversation)
    base = seeing.shop.base
    folder = tmp_path / "models" / "pictures"
    shown = with_kept_pictures(seeing.shop.dataset, base, seeing.store, seeing.kept, folder)
    assert [file.read_bytes() for file in folder.iterdir()] == [png(SPADE)]
    part = fitted_on(base, shown).blend.parts["picture"]
    assert isinstance(part, PictureSimilarity)
    row = part.item_ids_.row("new1")
    nearest = np.argsort(-part.item_similarity(np.array([row]), np.arange(row)).ravel())[0]
    assert part.item_ids_.id(int(nearest)).startswith("spade")
    assert not part._known[part.item_ids_.row("new2")]
    blind = Recommender.load(models / "blind")
    assert with_kept_pictures(blind.dataset, blind, seeing.store, seeing.kept, folder) is blind.dataset


def test_large_shops_search_for_what_looks_alike(seeing: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        await client.put("/api/items/new1/picture", content=png(SPADE), headers=PNG)
        await client.put("/api/items/new2", json={"title": "fresh bread number 3"})
        await client.put("/api/items/new2/picture", content=png(MILK), headers=PNG)
        every = seeing.shop.grown.links.toarray()
        monkeypatch.setattr(resembling, "LARGE", 0)
        seeing.shop.grown.texts.clear()
        await client.put("/api/items/new3", json={"title": "zzz"})
        np.testing.assert_allclose(seeing.shop.grown.links.toarray()[:2], every, atol=1e-6)

    talk(seeing, conversation)


def test_the_client_sends_pictures(seeing: Service, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(SPADE))
    with running(seeing) as url, Client(url) as client:
        assert client.put_picture("new1", tmp_path / "a.png").new
        assert client.put_picture("new1", png(MILK)).notices == ()
        assert client.similar("new1", n=1).ids[0].startswith("milk")
        client.delete_picture("new1")
        with pytest.raises(ServiceError, match="no readable"):
            client.put_picture("new1", b"words")


def settings(**given: Any) -> Settings:
    blank = dict.fromkeys(("model", "shops", "store", "models", "rate"))
    return Settings(**{**blank, "host": "127.0.0.1", "port": 0, "largest_body": 1000, **given})


def test_hosts_are_given_at_the_start(models: Path, tmp_path: Path) -> None:
    place = tmp_path / "s.sqlite"
    one = settings(model=str(models / "blind"), store=str(place))
    shops = open_shops(replace(one, image_hosts=["img.example", "10.0.0.7:9000"]))
    (service,) = shops.services.values()
    assert service.pictures.hosts.allows("http://10.0.0.7:9000/a.png")
    shops.close()
    with pytest.raises(ConfigError, match="is no host: write HOST or HOST:PORT"):
        open_shops(replace(one, image_hosts=["https://img.example"]))
    file = tmp_path / "shops.toml"
    file.write_text(f'[a]\nmodel = "{models}/blind"\nstore = "a.sqlite"\nimage_hosts = ["img.example"]\n')
    shops = open_shops(settings(shops=str(file)))
    (service,) = shops.services.values()
    assert service.pictures.hosts.allows("https://img.example/")
    shops.close()
    with pytest.raises(ConfigError, match="image hosts are named in"):
        open_shops(settings(shops=str(file), image_hosts=["img.example"]))


def test_without_pictures_nothing_is_loaded_for_them(service: Service) -> None:
    code = (
        "import sys\nfrom crossaisle.serve.app import create_app\n"
        "from crossaisle.serve.service import Service\n"
        "service = Service.open(*sys.argv[1:3]); create_app(service); service.close(); print(*sys.modules)"
    )
    service.close()
    command = [sys.executable, "-c", code, str(service.active), str(service.store.path)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "crossaisle.serve.pictures" in loaded
    assert not {"PIL", "onnxruntime", "crossaisle.encoders.image", "crossaisle.encoders.fetching"} & set(
        loaded
    )


def test_a_store_of_before_takes_pictures(models: Path, tmp_path: Path) -> None:
    place = tmp_path / "s.sqlite"
    old = Store(place)
    old.submit(lambda connection: connection.execute("DROP TABLE pictures")).result()
    old.close()
    service = Service.open(models / "seeing", place)

    async def conversation(client: httpx.AsyncClient) -> None:
        put = await client.put("/api/items/new1/picture", content=png(SPADE), headers=PNG)
        assert put.status_code == 201

    talk(service, conversation)
