"""Pictures that are refused, or that take too long, hold up nothing and nobody."""

from __future__ import annotations

import asyncio
import io
import time
from functools import partial
from pathlib import Path

import httpx
import pytest
from PIL import Image

from crossaisle.encoders import fetching
from crossaisle.serve.limits.live import PictureLimits
from crossaisle.serve.live.pictures import Pictures
from crossaisle.serve.service import ShopService
from tests.encoders.tiny_pictures import png
from tests.serve.conftest import talk
from tests.serve.live.pictures.conftest import MILK, PNG


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("http://{host}/away", "redirects, which is not followed"),
        ("http://{host}/gone", "(answered 404)"),
        ("http://{host}/words", "is not a readable JPEG, PNG, WEBP picture"),
        ("http://{host}/large", "larger than 8 MB"),
        ("http://u:secret@{host}/a.png", "not contain a user or a password"),
        ("http://localhost/a.png", "may not be fetched from 'localhost'"),
        ("http://[::1]/a.png", "may not be fetched"),
        ("https://{host}/a.png", "could not be fetched"),
        ("file:///etc/passwd", "image: String should match pattern"),
        ("/etc/passwd", "image: String should match pattern"),
    ],
)
def test_pictures_that_are_refused(
    seeing: ShopService,
    gallery: tuple[str, list[str]],
    image: str,
    says: str,
    caplog: pytest.LogCaptureFixture,
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
    service = ShopService.open(models / "seeing", tmp_path / "s.sqlite", image_hosts=["img.example"])
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
        (b"no picture", "image/jpeg", 422, "the picture: is not a readable"),
        (png(MILK)[:60], "image/png", 422, "the picture: is not a readable"),
        (b"x" * 8_000_001, "image/webp", 413, "must not exceed 8,000,000 bytes"),
        (png(MILK), "text/plain", 415, "image/webp (found 'text/plain')"),
        (png(MILK), "video/mp4", 415, "found 'video/mp4'"),
    ],
    ids=["empty", "words", "damaged", "large", "text", "video"],
)
def test_bodies_that_are_refused(
    seeing: ShopService, content: bytes, kind: str, status: int, says: str
) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.put("/api/items/new1/picture", content=content, headers={"content-type": kind})
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert says in answer.json()["detail"]
        assert "new1" not in seeing.shop.dataset.item_ids

    talk(seeing, conversation)


def with_limits(service: ShopService, limits: PictureLimits, *hosts: str) -> None:
    service.changes.pictures.close()
    service.changes.pictures = Pictures(hosts, limits)


def test_large_pictures_are_not_unpacked(seeing: ShopService) -> None:
    with_limits(seeing, PictureLimits(pixels=100))

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.put("/api/items/new1/picture", content=png(MILK), headers=PNG)
        assert answer.status_code == 422
        assert "more than" in answer.json()["detail"]

    talk(seeing, conversation)


def test_a_picture_server_that_hangs_holds_up_nothing_else(
    seeing: ShopService, gallery: tuple[str, list[str]]
) -> None:
    with_limits(seeing, PictureLimits(waiting=4, wait_seconds=1.0), gallery[0])
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
            assert "pictures takes too long" in answer.json()["detail"]
        assert "h0" not in seeing.shop.dataset.item_ids

    talk(seeing, conversation)


def test_too_many_at_once_are_refused(seeing: ShopService, gallery: tuple[str, list[str]]) -> None:
    with_limits(seeing, PictureLimits(per_request=3), gallery[0])
    batch = [{"id": f"n{i}", "image": f"http://{gallery[0]}/{i}.png"} for i in range(4)]

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/items", json=batch)
        assert answer.status_code == 422
        assert "at most 3 new pictures" in answer.json()["detail"]
        assert not gallery[1]

    talk(seeing, conversation)


def test_a_picture_that_takes_too_long_is_refused_and_holds_up_nobody(seeing: ShopService) -> None:
    out = io.BytesIO()
    Image.new("L", (2_000, 2_000), 128).save(out, "JPEG", progressive=True, quality=50)
    data = out.getvalue()
    bomb = data[:-2] + data[data.rindex(b"\xff\xc4") : -2] * 100_000 + b"\xff\xd9"

    async def conversation(client: httpx.AsyncClient) -> None:
        start = time.monotonic()
        put = partial(client.put, headers={"content-type": "image/jpeg"})
        answers = await asyncio.gather(*(put(f"/api/items/{n}/picture", content=bomb) for n in "abc"))
        assert [answer.status_code for answer in answers] == [422] * 3
        assert "the picture: picture has more than 100 scans" in answers[0].json()["detail"]
        assert (await put("/api/items/d/picture", content=data)).status_code == 201
        assert time.monotonic() - start < 15

    talk(seeing, conversation)
