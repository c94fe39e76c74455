"""Uploaded pictures are shown: over HTTP, in lists, and on the page, to those who may read."""

from __future__ import annotations

import httpx
import pytest

from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from tests.encoders.tiny_pictures import png
from tests.serve.browser import Browser
from tests.serve.conftest import running, talk
from tests.serve.live.pictures.conftest import PNG, SPADE


def test_an_uploaded_picture_has_an_address_here(seeing: ShopService) -> None:
    path = "/api/items/a%2Fb/picture"

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.put(path, content=png(SPADE), headers=PNG)).status_code == 201
        assert (await client.get("/api/items/a%2Fb")).json()["image"] == path
        answer = await client.get(path)
        assert (answer.content, answer.headers["content-type"]) == (png(SPADE), "image/png")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await client.get("/api/items/nothing/picture")).status_code == 404
        similar = (await client.get("/api/items/a%2Fb/similar?n=3")).json()["items"]
        assert (await client.get(f"/api/items/{similar[0]['item_id']}/picture")).status_code == 404
        back = (await client.get(f"/api/items/{similar[0]['item_id']}/similar?n=20")).json()["items"]
        assert {one["item_id"]: one["image"] for one in back}["a/b"] == path
        assert (await client.delete(path)).status_code == 204
        assert (await client.get("/api/items/a%2Fb")).json()["image"] is None
        assert (await client.get(path)).status_code == 404

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
