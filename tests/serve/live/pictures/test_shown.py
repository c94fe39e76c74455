"""Uploaded pictures are shown: over HTTP, in lists, and on the page, to those who may read."""

from __future__ import annotations

import httpx
import pytest

from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from tests.encoders.tiny_pictures import png
from tests.serve.browser import Browser
from tests.serve.conftest import running, talk
from tests.serve.live.pictures.conftest import MILK, PNG, SPADE


def test_an_uploaded_picture_has_an_address_here(seeing: ShopService) -> None:
    path = "/api/items/a%2Fb/picture"

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.put(path, content=png(SPADE), headers=PNG)).status_code == 201
        image = (await client.get("/api/items/a%2Fb")).json()["image"]
        assert image.split("?v=")[0] == path
        answer = await client.get(path)
        assert (answer.content, answer.headers["content-type"]) == (png(SPADE), "image/png")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await client.get("/api/items/nothing/picture")).status_code == 404
        similar = (await client.get("/api/items/a%2Fb/similar?n=3")).json()["items"]
        assert (await client.get(f"/api/items/{similar[0]['item_id']}/picture")).status_code == 404
        back = (await client.get(f"/api/items/{similar[0]['item_id']}/similar?n=20")).json()["items"]
        assert {one["item_id"]: one["image"] for one in back}["a/b"] == image
        assert (await client.delete(path)).status_code == 204
        assert (await client.get("/api/items/a%2Fb")).json()["image"] is None
        assert (await client.get(path)).status_code == 404

    talk(seeing, conversation)


def test_a_browser_keeps_a_picture_until_there_is_another(seeing: ShopService) -> None:
    path = "/api/items/new/picture"

    async def image(client: httpx.AsyncClient, content: bytes) -> str:
        assert (await client.put(path, content=content, headers=PNG)).status_code in (200, 201)
        return str((await client.get("/api/items/new")).json()["image"])

    async def conversation(client: httpx.AsyncClient) -> None:
        first = await image(client, png(SPADE))
        kept = await client.get(first)
        assert kept.headers["cache-control"] == "private, max-age=86400"  # no proxy keeps it for others
        assert {"authorization", "x-api-key", "x-shop"} <= set(kept.headers["vary"].split(", "))
        tag = {"if-none-match": kept.headers["etag"]}
        for address in (first, path):
            same = await client.get(address, headers=tag)
            assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag["if-none-match"])
        for known, status in (
            (f'"x", W/{tag["if-none-match"]}', 304),
            ("*", 304),
            (f"x{tag['if-none-match']}", 200),
        ):
            assert (await client.get(path, headers={"if-none-match": known})).status_code == status
        # Who asks without a version, or for an old one, asks again each time.
        assert (await client.get(path)).headers["cache-control"] == "private, no-cache"
        second = await image(client, png(MILK))
        assert second != first
        for address in (first, second, path):
            new = await client.get(address, headers=tag)
            assert (new.status_code, new.content) == (200, png(MILK))
            assert new.headers["etag"] != tag["if-none-match"]
        assert (await client.get(first)).headers["cache-control"] == "private, no-cache"
        assert (await client.get("/api/items/new")).headers["cache-control"] == "no-store"
        assert (await client.delete("/api/items/new")).status_code == 204
        gone = await client.get(second, headers={"if-none-match": new.headers["etag"]})
        assert (gone.status_code, gone.headers["cache-control"]) == (404, "no-store")

    talk(seeing, conversation)


def test_what_a_browser_keeps_is_nobody_elses_right_to_see(seeing: ShopService) -> None:
    token = add_key(seeing.store, "operator", ["admin"])

    async def conversation(client: httpx.AsyncClient) -> None:
        key = {"authorization": f"Bearer {token}"}
        put = await client.put("/api/items/new/picture", content=png(SPADE), headers=PNG | key)
        image = put.json()["image"]
        tag = (await client.get(image, headers=key)).headers["etag"]
        refused = await client.get(image, headers={"if-none-match": tag})
        assert (refused.status_code, refused.headers["cache-control"]) == (401, "no-store")
        assert "etag" not in refused.headers

    talk(seeing, conversation)


@pytest.mark.slow
def test_the_page_shows_it_with_the_key(seeing: ShopService, browser: Browser) -> None:
    token = add_key(seeing.store, "operator", ["admin"])
    with running(seeing) as address:
        key = {"authorization": f"Bearer {token}"}
        answer = httpx.put(f"{address}/api/items/new/picture", content=png(SPADE), headers=PNG | key)
        assert answer.status_code == 201
        browser.open(f"{address}/?lang=en&item=new")
        browser.until("document.getElementById('messages').textContent.includes('API key')")
        browser.type("key", token, "change")
        browser.until("document.querySelector('#product-body img')?.naturalWidth > 0")
        assert browser.run("document.querySelector('#product-body img').src").startswith("blob:")
        assert not [one for one in browser.complaints if "401" not in one]
