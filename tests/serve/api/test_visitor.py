"""Publishable keys: lists and events of one visitor, for pages of the shop, and nothing else."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import re
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossaisle.cli import run as main
from crossaisle.errors import ConfigError
from crossaisle.serve.api.app import create_app
from crossaisle.serve.api.origins import origins_of
from crossaisle.serve.limits.api import ApiLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.store import api_keys
from crossaisle.serve.store.api_keys import add_key
from crossaisle.serve.tenants import ShopRegistry, read_shops
from tests.serve.conftest import always_fresh, events_of, talk

SHOP, ELSEWHERE = "https://shop.example", "https://evil.example"
ANN = "v-" + "a" * 32
BOB = "v-" + "b" * 32
SECRET = "sk_of-this-test"


def signature(visitor: str, *, secret: str = SECRET, seconds: float = 600.0) -> str:
    expires = int(time.time() + seconds)
    return (
        f"{expires}." + hmac.new(secret.encode(), f"{expires}.{visitor}".encode(), hashlib.sha256).hexdigest()
    )


class Page:
    """What a browser sends for a page of some origin."""

    def __init__(self, client: httpx.AsyncClient, key: str, origin: str | None = SHOP) -> None:
        self._client, self._key = client, key
        self._headers = {"content-type": "text/plain;charset=UTF-8"} | ({"origin": origin} if origin else {})

    async def post(self, what: str, visitor: str = ANN, **body: Any) -> httpx.Response:
        return await self._client.post(
            f"/api/visitor/{what}",
            params={"key": self._key},
            content=json.dumps({"visitor": visitor, **body}),
            headers=self._headers,
        )


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["item_id"] for one in answer.json()["items"]]


def detail(answer: httpx.Response, status: int = 403) -> str:
    assert answer.status_code == status, answer.text
    found: str = answer.json()["detail"]
    return found


def test_a_page_tells_what_its_visitor_does_and_the_next_list_follows(service: ShopService) -> None:
    key = add_key(service.store, "pages", ["visitor"])
    assert key.startswith("pk_")

    async def conversation(client: httpx.AsyncClient) -> None:
        page = Page(client, key)
        answer = await page.post("list")
        assert answer.json()["served"] == "trending"
        assert set(answer.json()) == {"placement", "served", "items"}
        for one in answer.json()["items"]:
            assert not set(one) & {"score", "rank", "evidence"}
        events = [{"item": "bread", "kind": "cart", "quantity": 2}, {"item": "nothing-known"}]
        answer = await page.post("events", events=events)
        assert answer.json() == {"accepted": 1, "duplicates": 0, "refused": 1}
        assert (await page.post("list")).json()["served"] == "for_you"
        [event] = events_of(service.store, ANN)
        assert (event.item, event.kind, event.quantity) == ("bread", "cart", 2.0)
        assert abs(event.time - time.time()) < 60
        assert "bread" not in ids(await page.post("list", placement="goes_with", items=["bread"]))
        explained = (await page.post("list", placement="goes_with", items=["bread"], why=True)).json()[
            "items"
        ]
        assert all("why" in one for one in explained)

    talk(service, conversation, origins=[SHOP])


def test_a_key_of_pages_opens_nothing_else(service: ShopService) -> None:
    key = add_key(service.store, "pages", ["visitor"])
    app, seen = create_app(service), 0

    async def conversation(client: httpx.AsyncClient) -> None:
        nonlocal seen
        headers = {"authorization": f"Bearer {key}", "origin": SHOP}
        for route in app.routes:
            if route.scope in ("public", "health", "visitor"):  # type: ignore[attr-defined]
                continue
            for method in route.methods:  # type: ignore[attr-defined]
                path = route.path.format(user=ANN, item="bread", key="k", rule="r", name="n")  # type: ignore[attr-defined]
                answer = await client.request(method, path, headers=headers)
                assert detail(answer).startswith("this key lacks the scope"), path
                assert "access-control-allow-origin" not in answer.headers
                seen += 1
        for path in ("/api/visitor", "/api/visitor/users", "/api/visitor/list/x"):
            assert (await client.get(path, headers=headers)).status_code == 403
            assert (await client.delete(path, headers=headers)).status_code == 403

    talk(service, conversation, origins=[SHOP], limits=ApiLimits(visitor_rate=1000.0))
    assert seen > 30


def test_secrets_are_not_taken_from_an_address(service: ShopService) -> None:
    add_key(service.store, "pages", ["visitor"])
    admin = add_key(service.store, "ops", ["admin"])

    async def conversation(client: httpx.AsyncClient) -> None:
        assert "an API key is needed" in detail(await Page(client, admin).post("list"), 401)
        answer = await client.post(
            "/api/visitor/list", headers={"x-api-key": admin}, json={"visitor": "ann", "n": 2}
        )
        assert len(ids(answer)) == 2  # it reaches every user anyway

    talk(service, conversation, origins=[SHOP])


def test_without_signatures_only_ids_that_nobody_guesses_are_served(service: ShopService) -> None:
    key = add_key(service.store, "pages", ["visitor"])

    async def conversation(client: httpx.AsyncClient) -> None:
        page = Page(client, key)
        for visitor in ("ann", "v-1", "v-" + "A" * 32, f"{ANN}0", f"x{ANN}"):
            for what, body in (("list", {}), ("events", {"events": [{"item": "bread"}]})):
                answer = await page.post(what, visitor, signature=signature(visitor), **body)
                assert "random ids only" in detail(answer)
        assert not events_of(service.store, "ann")

    talk(service, conversation, origins=[SHOP])


def test_a_signature_is_of_one_visitor_for_a_time(service: ShopService) -> None:
    key = add_key(service.store, "pages", ["visitor"], secret=SECRET)

    async def conversation(client: httpx.AsyncClient) -> None:
        page = Page(client, key)
        assert ids(await page.post("list", "ann", signature=signature("ann")))
        good = signature("ann")
        for wrong, why in (
            *((None, "needs a signature"), ("", "needs a signature"), (good + "0", "needs a signature")),
            *((good.partition(".")[2], "needs a signature"), (signature("bob"), "not one of this visitor")),
            *((signature("ann", secret="sk_other"), "not one of this"), ("1" + good[1:], "not one of this")),
            (f"{int(good.partition('.')[0]) + 1}.{good.partition('.')[2]}", "not one of this visitor"),
            *((signature("ann", seconds=-1), "has expired"), (signature("ann", seconds=1e8), "more than 31")),
        ):
            if wrong != good:
                assert why in detail(await page.post("list", "ann", signature=wrong)), wrong
        assert "needs a signature" in detail(await page.post("list", ANN))

    talk(service, conversation, origins=[SHOP])


def test_the_documented_way_to_sign_is_accepted(service: ShopService) -> None:
    key = add_key(service.store, "pages", ["visitor"], secret=SECRET)
    page = Path(__file__).parents[3] / "docs" / "website.md"
    [code] = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    documented: dict[str, Any] = {}
    exec(code, documented)

    async def conversation(client: httpx.AsyncClient) -> None:
        signed = documented["signature"]("ann", SECRET)
        assert ids(await Page(client, key).post("list", "ann", signature=signed))

    talk(service, conversation, origins=[SHOP])


def test_only_pages_of_the_shop_are_answered(service: ShopService) -> None:
    key = add_key(service.store, "pages", ["visitor"])

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await Page(client, key).post("list")
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers
        for origin in (
            ELSEWHERE,
            f"{SHOP}.evil.example",
            f"{SHOP}:8443",
            "http://shop.example",
            "null",
            None,
        ):
            answer = await Page(client, key, origin).post("events", events=[{"item": "bread"}])
            assert "for pages of the origins" in detail(answer)
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert not events_of(service.store, ANN)
        # What is refused for another reason is told to the page.
        answer = await Page(client, "pk_wrong").post("list")
        assert detail(answer, 401)
        assert answer.headers["access-control-allow-origin"] == SHOP

    talk(service, conversation, origins=[SHOP])


def test_a_browser_that_asks_first_is_answered_for_pages_of_the_shop(service: ShopService) -> None:
    add_key(service.store, "pages", ["visitor"])

    async def conversation(client: httpx.AsyncClient) -> None:
        async def preflight(path: str, origin: str) -> httpx.Response:
            asked = {
                "access-control-request-method": "POST",
                "access-control-request-headers": "content-type",
            }
            return await client.options(path, headers={"origin": origin, **asked})

        answer = await preflight("/api/visitor/list", SHOP)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert answer.headers["access-control-allow-methods"] == "POST"
        assert answer.headers["access-control-allow-headers"] == "content-type"
        assert answer.headers["vary"] == "Origin"
        for path, origin in (
            ("/api/visitor/list", ELSEWHERE),
            ("/api/users/ann", SHOP),
            ("/api/events", SHOP),
        ):
            answer = await preflight(path, origin)
            assert answer.status_code == 401
            assert not any(name.startswith("access-control") for name in answer.headers)

    talk(service, conversation, origins=[SHOP])


def test_origins_are_written_as_browsers_send_them() -> None:
    assert origins_of(["https://shop.example", "http://127.0.0.1:8000", "http://[::1]:8000"])
    for wrong in (
        "*",
        "null",
        "shop.example",
        "https://*.shop.example",
        "https://shop.example/",
        "https://a b",
    ):
        with pytest.raises(ConfigError, match="an origin must be what a browser sends"):
            origins_of([wrong])
    for usual in ("https://shop.example:443", "http://shop.example:80", "https://Shop.example"):
        with pytest.raises(ConfigError, match="no port where it is the usual one"):
            origins_of([usual])


def test_each_shop_has_origins_and_keys_of_its_own(folder: Path) -> None:
    (folder / "shops.toml").write_text(
        (folder / "shops.toml").read_text().replace("[south]\n", f'[south]\norigins = ["{SHOP}"]\n')
    )
    shops = ShopRegistry.open(read_shops(folder / "shops.toml"))
    try:
        keys = {n: add_key(one.store, "pages", ["visitor"]) for n, one in shops.services.items()}
        always_fresh(*shops.services.values())

        async def conversation(client: httpx.AsyncClient) -> None:
            async def ask(shop: str, key: str) -> httpx.Response:
                return await client.post(
                    "/api/visitor/list",
                    params={"shop": shop, "key": key},
                    content=json.dumps({"visitor": ANN}),
                    headers={"content-type": "text/plain", "origin": SHOP},
                )

            assert ids(await ask("south", keys["south"]))
            assert "for pages of the origins" in detail(await ask("north", keys["north"]))
            assert detail(await ask("south", keys["north"]), 401) == detail(
                await ask("x", keys["north"]), 401
            )

        talk(shops, conversation)
    finally:
        shops.close()


def test_one_visitor_cannot_use_up_what_others_may_ask(service: ShopService) -> None:
    key = add_key(service.store, "pages", ["visitor"])

    async def conversation(client: httpx.AsyncClient) -> None:
        def behind(address: str) -> Page:
            page = Page(client, key)
            page._headers = page._headers | {"x-forwarded-for": address}
            return page

        statuses = [(await behind("10.1.1.1").post("list")).status_code for _ in range(4)]
        assert statuses == [200, 200, 429, 429]
        assert (await behind("10.1.1.2").post("list")).status_code == 200

    talk(service, conversation, origins=[SHOP], proxies=["127.0.0.1"], limits=ApiLimits(visitor_rate=1.0))


def test_bodies_are_short_and_hold_nothing_unknown(service: ShopService) -> None:
    key = add_key(service.store, "pages", ["visitor"])

    async def conversation(client: httpx.AsyncClient) -> None:
        page = Page(client, key)
        assert "64,000 bytes" in detail(await page.post("list", items=["x" * 70_000]), 413)
        for body in (
            *({"history": ["bread"]}, {"user": "ann"}, {"n": 25}, {"offset": 5}, {"n": 24, "why": True}),
            {"placement": "goes_with"},
        ):
            assert (await page.post("list", **body)).status_code == 422, body
        for event in (
            *(
                {"item": "bread", "time": 1},
                {"item": "bread", "user": "ann"},
                {"item": "bread", "kind": "return"},
            ),
            *({"item": "bread", "quantity": -1}, {"item": "bread", "value": 1e9}, {}),
        ):
            assert (await page.post("events", events=[event])).status_code == 422, event
        assert (await page.post("events", events=[{"item": "bread"}] * 51)).status_code == 422
        assert not events_of(service.store, ANN)

    talk(service, conversation, origins=[SHOP])


def test_keys_of_events_are_those_of_one_visitor(service: ShopService) -> None:
    key = add_key(service.store, "pages", ["visitor"])

    async def conversation(client: httpx.AsyncClient) -> None:
        page = Page(client, key)
        event = {"item": "bread", "key": "order-1/0"}
        assert (await page.post("events", ANN, events=[event])).json()["accepted"] == 1
        assert (await page.post("events", ANN, events=[event])).json() == {"accepted": 0, "duplicates": 1}
        assert (await page.post("events", BOB, events=[event])).json()["accepted"] == 1

    talk(service, conversation, origins=[SHOP])


def test_a_click_goes_to_the_placement_it_was_made_in(service: ShopService) -> None:
    key = add_key(service.store, "pages", ["visitor"])

    async def conversation(client: httpx.AsyncClient) -> None:
        page = Page(client, key)
        shown = ids(await page.post("list", placement="goes_with", items=["bread"], n=24))
        both = [item for item in ids(await page.post("list", placement="trending", n=24)) if item in shown]
        for item, placement in ((both[0], "goes_with"), (both[1], None)):
            told = {"placement": placement} if placement else {}
            await page.post("events", events=[{"item": item, **told}])
        clicks = {one["placement"]: one["clicks"] for one in service.insights.since(0)}
        # The second one was not told: it goes to the list that counts as the latest.
        assert clicks["goes_with"] >= 1
        assert sum(clicks.values()) == 2
        await page.post("events", events=[{"item": both[2], "placement": "trending"}])
        assert {one["placement"]: one["clicks"] for one in service.insights.since(0)}["trending"] >= 1

    talk(service, conversation, origins=[SHOP])


def test_pages_elsewhere_are_refused_while_no_key_is_needed(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        assert ids(await Page(client, "", "http://localhost").post("list"))
        assert "other web pages" in detail(await Page(client, "").post("list"))

    talk(service, conversation, origins=[SHOP])


def test_keys_are_made_listed_and_revoked(
    service: ShopService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.close()
    store = str(tmp_path / "store.sqlite")
    assert main(["keys", "add", store, "pages", "--scope", "visitor", "--sign", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["key"].startswith("pk_")
    assert made["secret"].startswith("sk_")
    for options, rule in (
        (["--scope", "visitor", "--scope", "read"], "it can have no other scope"),
        (["--scope", "read", "--sign"], "--sign is for keys of scope visitor"),
    ):
        assert main(["keys", "add", store, "other", *options]) == 2
        assert rule in capsys.readouterr().err
    assert main(["keys", "list", store]) == 0
    assert made["secret"] not in capsys.readouterr().out


def test_a_revoked_key_leaves_no_secret(service: ShopService) -> None:
    add_key(service.store, "pages", ["visitor"], secret=SECRET)
    stored = "SELECT count(*) FROM meta WHERE value = ?"
    for n in (1, 0):
        with service.store.reading() as connection:
            assert connection.execute(stored, (SECRET.encode(),)).fetchone()[0] == n
        if n:
            api_keys.revoke_key(service.store, "pages")


def test_the_script_is_small_and_may_be_loaded_from_anywhere(service: ShopService) -> None:
    add_key(service.store, "ops", ["admin"])
    script = (files("crossaisle.serve.api") / "website" / "crossaisle.js").read_bytes()
    assert len(gzip.compress(script, 9)) <= 4096
    # Texts of the service never become markup or code, and addresses are checked.
    assert not any(
        word in script for word in (b"innerHTML", b"outerHTML", b"insertAdjacent", b"eval(", b".write(")
    )

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.get("/crossaisle.js")
        assert answer.content == script
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers.get_list("cross-origin-resource-policy") == ["cross-origin"]
        page = await client.get("/")
        assert page.headers.get_list("cross-origin-resource-policy") == ["same-origin"]

    talk(service, conversation)
