"""Several shops in one process: no shop sees, opens or slows what belongs to another."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from crossaisle.client import Client
from crossaisle.data.dataset import Dataset
from crossaisle.encoders import onnx
from crossaisle.errors import ConfigError, ServiceError
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.content import EncoderSimilarity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.api.app import create_app
from crossaisle.serve.limits.api import ApiLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import SCOPES, add_key, list_keys, revoke_key
from crossaisle.serve.tenants import ShopRegistry, place_of, read_shops
from tests.encoders import tiny
from tests.serve.conftest import always_fresh, events_of, running

SECRET = "northern-secret"
EXPERIMENT = {
    "name": SECRET,
    "arms": [{"name": "one"}, {"name": "two", "controls": {"diversity": 0.3}}],
}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of everything that the application answers to."""
    found = []
    for route in app.routes:
        inner = getattr(getattr(route, "original_router", None), "routes", [route])
        found += [(method, one.path) for one in inner for method in sorted(one.methods - {"HEAD"})]
    return found


PATHS = {"{rule}": "of-the-south", "{user}": "ann", "{item}": "bread", "{name}": SECRET, "{key}": SECRET}
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/recommend"): {"user": "ann"},
    ("POST", "/api/rank"): {"user": "ann", "items": ["bread"]},
    ("POST", "/api/events"): {"user": "ann", "item": "bread", "key": SECRET},
    ("POST", "/api/events/delete"): {"key": "k2"},
    ("PUT", "/api/items/{item}"): {"title": "Southern bread"},
    ("PATCH", "/api/items/{item}"): {"price": 9.5},
    ("PATCH", "/api/items"): [{"id": "bread", "price": 9.5}],
    ("POST", "/api/changes/drop"): {"items": ["bread"]},
    ("POST", "/api/items"): [{"id": "milk", "title": "Southern milk"}],
    ("PUT", "/api/users/{user}"): {"club": False},
    ("POST", "/api/users/show"): {"user": "ann"},
    ("POST", "/api/users/delete"): {"user": "ann"},
    ("POST", "/api/models/activate"): {"name": "a"},
    ("POST", "/api/console/visitor"): {"user": "ann"},
    ("POST", "/api/visitor/list"): {"visitor": "ann"},
    ("POST", "/api/visitor/events"): {"visitor": "ann", "events": [{"item": "bread"}]},
    ("PUT", "/api/rules"): {"rules": [{"id": "of-the-south", "action": "bury", "items": ["soap"]}]},
    ("PUT", "/api/rules/{rule}"): {"action": "bury", "items": ["soap"]},
    ("PATCH", "/api/rules/{rule}"): {"weight": 3},
    ("POST", "/api/experiments"): {**EXPERIMENT, "placement": "discover"},
}
DANGEROUS_LAST = [
    *(("DELETE", "/api/items/{item}"), ("DELETE", "/api/users/{user}"), ("POST", "/api/users/delete"))
]


def filled(path: str) -> str:
    for mark, value in PATHS.items():
        path = path.replace(mark, value)
    return path


def talk(shops: ShopRegistry, conversation: Any, **settings: Any) -> None:
    async def run() -> None:
        app = create_app(shops, **settings)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await conversation(app, client)

    asyncio.run(run())


def keys_of(shops: ShopRegistry) -> dict[str, dict[str, str]]:
    return {
        name: {scope: add_key(service.store, scope, [scope]) for scope in SCOPES}
        for name, service in shops.services.items()
    }


def is_open(path: str) -> bool:
    return not path.startswith(("/api/", "/metrics")) or path.startswith("/api/health/")


def test_no_key_opens_another_shop(shops: ShopRegistry) -> None:
    tokens = keys_of(shops)

    async def conversation(app: FastAPI, client: httpx.AsyncClient) -> None:
        every = routes(app)
        assert len(every) > 30
        assert ("POST", "/api/models/roll-back") in every
        for method, path in every:
            for scope in SCOPES:
                for header in (
                    {"authorization": f"Bearer {tokens['north'][scope]}"},
                    {"x-api-key": tokens["north"][scope]},
                ):
                    answer = await client.request(
                        method,
                        filled(path),
                        headers={**header, "x-shop": "south"},
                        json=BODIES.get((method, path)),
                    )
                    # Health of a shop that is named tells that there is one.
                    shown = is_open(path) and not path.startswith("/api/health/")
                    assert answer.status_code == (200 if shown else 401), f"{method} {path}"
        south = shops.services["south"]
        assert events_of(south.store, "ann") == []
        assert south.store.audit() == []
        assert south.state.active.name == "b"
        assert not south.state.changed

    talk(shops, conversation)


async def everything(app: FastAPI, client: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, str]:
    """What every route that reads answers, without what changes by itself."""
    found = {}
    for method, path in routes(app):
        if method == "GET" and path.startswith("/api/"):
            answer = await client.get(filled(path), headers=headers)
            body = answer.json()
            if isinstance(body, dict):
                for name in ("load", "gauges", "as_of"):
                    body.pop(name, None)
            found[path] = f"{answer.status_code} {body}"
    return found


def test_the_same_ids_in_two_shops_are_different_things(shops: ShopRegistry) -> None:
    tokens = keys_of(shops)
    north, south = (
        {"x-shop": name, "authorization": f"Bearer {tokens[name]['admin']}"} for name in ("north", "south")
    )

    async def conversation(app: FastAPI, client: httpx.AsyncClient) -> None:
        async def put(method: str, path: str, body: Any) -> None:
            answer = await client.request(method, path, headers=north, json=body)
            assert answer.status_code in (200, 201, 204), f"{path}: {answer.text}"

        # The north fills up; everything in it can be told by a word.
        await put("POST", "/api/events", {"user": "ann", "item": "bread", "kind": SECRET, "key": SECRET})
        await put("POST", "/api/events", {"user": "ann", "item": "soap", "key": "k2"})
        await put("PUT", "/api/items/bread", {"title": f"Bread {SECRET}", "attributes": {"x": SECRET}})
        await put(
            "PUT", f"/api/items/{SECRET}", {"title": f"Soap {SECRET}", "categories": [["Household", SECRET]]}
        )
        await put("PUT", "/api/users/ann", {"note": SECRET})
        await put("POST", "/api/experiments", EXPERIMENT)
        assert (await client.get("/api/recommend/ann", headers=north)).json()["experiment"]["name"] == SECRET
        await put("DELETE", "/api/items/cake", None)
        await everything(app, client, north)
        await shops.services["north"].experiments.written()  # what was shown is kept, once
        before = await everything(app, client, north)
        assert sum(SECRET in text for text in before.values()) >= 10

        # The south, asked for the same ids, knows nothing of it.
        for path, text in (await everything(app, client, south)).items():
            assert SECRET not in text.replace(f"no experiment '{SECRET}'", ""), path
        found = (await client.get(f"/api/items?q={SECRET}", headers=south)).json()
        assert found["total"] == 0
        text = (await client.get("/metrics", headers=south)).text
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        assert lines
        assert all('{shop="south"' in line for line in lines)
        assert not any("events_total" in line for line in lines)

        # The south does everything to its own things of the same names; the north does not move.
        again = await client.post(
            "/api/events", json={"user": "ann", "item": "bread", "key": SECRET}, headers=south
        )
        assert again.json() == {"accepted": 1, "duplicates": 0}
        body = {"user": "ann", "item": "soap", "key": "k2"}
        assert (await client.post("/api/events", json=body, headers=south)).json()["accepted"] == 1
        every = [one for one in routes(app) if one[0] != "GET"]
        for method, path in sorted(every, key=lambda one: one in DANGEROUS_LAST):
            answer = await client.request(
                method, filled(path), headers=south, json=BODIES.get((method, path))
            )
            if path.endswith("/picture"):  # no picture was sent, and none is there
                assert answer.status_code in (404, 415), f"{method} {path}: {answer.text}"
                continue
            assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        assert (await client.get("/api/items/bread", headers=south)).status_code == 404
        assert shops.services["south"].live.is_forgotten("ann")
        after = await everything(app, client, north)
        # Intervals move with time, and totals count these very requests.
        moving = (
            *("/api/experiments", "/api/experiments/{name}"),
            *("/api/console/totals", "/api/console/coverage"),
        )
        for path in before:
            if path not in moving:
                assert after[path] == before[path], path
        assert len(events_of(shops.services["north"].store, "ann")) == 2

    talk(shops, conversation)


def test_the_shop_must_be_named_and_known(shops: ShopRegistry) -> None:
    async def conversation(app: FastAPI, client: httpx.AsyncClient) -> None:
        for method, path in routes(app):
            answer = await client.request(method, filled(path), json=BODIES.get((method, path)))
            assert answer.status_code == (200 if is_open(path) else 400), path
            if not is_open(path):
                assert "name yours in the header X-Shop" in answer.json()["detail"]
                for name in ("nrth", "", "../north", "north,south"):
                    answer = await client.request(method, filled(path), headers={"x-shop": name})
                    assert answer.status_code == 404
                    assert "north" not in answer.text.replace(repr(name), "")  # no shop is told of others
        assert (await client.get("/api/trending", headers={"X-Shop": "north"})).status_code == 200
        ready = (await client.get("/api/health/ready", headers={"X-Shop": "south"})).json()
        assert ready["model"] == "b"
        document = (await client.get("/openapi.json")).json()
        for path, methods in document["paths"].items():
            for operation in methods.values():
                (one,) = [p["$ref"] for p in operation["parameters"] if "$ref" in p]
                shop = document["components"]["parameters"][one.rsplit("/", 1)[1]]
                assert shop["name"] == "X-Shop"
                assert shop["required"] != path.startswith("/api/health/")
                assert {"404", "503"} <= set(operation["responses"])

    talk(shops, conversation)


def test_one_shop_without_a_name_needs_no_header(service: ShopService) -> None:
    async def conversation(_: FastAPI, client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/trending")).status_code == 200
        wrong = await client.get("/api/trending", headers={"x-shop": "north"})
        assert wrong.status_code == 404
        assert "omit the header X-Shop" in wrong.json()["detail"]
        assert "X-Shop" not in (await client.get("/openapi.json")).text
        assert "shop=" not in (await client.get("/metrics")).text

    talk(ShopRegistry.alone(service), conversation)


def test_a_shop_without_keys_is_not_open_where_others_have_keys(shops: ShopRegistry) -> None:
    always_fresh(*shops.services.values())

    async def conversation(_: FastAPI, client: httpx.AsyncClient) -> None:
        south = {"x-shop": "south"}
        assert (await client.get("/api/trending", headers=south)).status_code == 200
        wrong = {**south, "x-api-key": "ca_of_nobody"}
        assert (await client.get("/api/trending", headers=wrong)).status_code == 401
        token = add_key(shops.services["north"].store, "operator", ["admin"])
        answer = await client.get("/api/trending", headers=south)
        assert answer.status_code == 401, answer.text
        assert (await client.get("/api/trending", headers={**south, "x-api-key": token})).status_code == 401
        own = {"x-shop": "north", "x-api-key": token}
        assert (await client.get("/api/trending", headers=own)).status_code == 200

    talk(shops, conversation)


def test_all_shops_notice_that_one_has_lost_its_last_key(shops: ShopRegistry) -> None:
    """Whoever asks without a valid key is told what holds for all shops, also by one that did not lose it."""
    always_fresh(*shops.services.values())
    north = shops.services["north"].store
    add_key(north, "operator", ["admin"])

    async def conversation(_: FastAPI, client: httpx.AsyncClient) -> None:
        for name, token in (("south", ""), ("south", "ca_of_nobody"), ("nowhere", "")):
            headers = {"x-shop": name} | ({"x-api-key": token} if token else {})
            if "operator" not in {known for known, _, revoked in list_keys(north) if not revoked}:
                add_key(north, "operator", ["admin"])
            assert (await client.get("/api/trending", headers=headers)).status_code == 401
            revoke_key(north, "operator")
            answer = await client.get("/api/trending", headers=headers)
            assert answer.status_code == 403, answer.text
            assert "no API key is in use" in answer.json()["detail"]

    talk(shops, conversation)


def test_rates_are_counted_per_shop(shops: ShopRegistry) -> None:
    async def conversation(_: FastAPI, client: httpx.AsyncClient) -> None:
        async def status(name: str) -> int:
            return (await client.get("/api/trending", headers={"x-shop": name})).status_code

        assert 429 in [await status("north") for _ in range(4)]
        assert await status("south") == 200

    talk(shops, conversation, rate=0.5)


def test_a_damaged_shop_does_not_stop_the_others_and_comes_back(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    array = next((folder / "south" / "models" / "b").rglob("*.npy"))
    whole = array.read_bytes()
    array.write_bytes(whole[:-1] + b"?")
    shops = ShopRegistry.open(read_shops(folder / "shops.toml"))
    assert "does not match its checksum" in shops.broken["south"]
    assert "shop south is not served" in caplog.text
    app = create_app(shops, limits=ApiLimits(reopen_seconds=0.05))

    async def conversation() -> None:
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            refused = await client.get("/api/trending", headers={"x-shop": "south"})
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
            assert "checksum" not in refused.text
            assert (await client.get("/api/trending", headers={"x-shop": "north"})).status_code == 200
            assert (await client.get("/api/trending")).status_code == 400  # two shops, still
            array.write_bytes(whole)
            for _ in range(200):
                status = (await client.get("/api/trending", headers={"x-shop": "south"})).status_code
                if status == 200:
                    return
                await asyncio.sleep(0.05)
            raise AssertionError("the shop did not come back")

    asyncio.run(conversation())
    assert not shops.broken


def test_where_no_shop_can_be_served_it_says_why(folder: Path) -> None:
    for name in ("north", "south"):
        shutil.rmtree(folder / name)
    with pytest.raises(ConfigError, match=r"no shop can be served: north: .*; south: "):
        ShopRegistry.open(read_shops(folder / "shops.toml"))


def test_the_client_names_its_shop(shops: ShopRegistry) -> None:
    with running(shops) as address:
        with Client(address, shop="north") as north, Client(address, shop="south") as south:
            north.event("zoe", "bread")
            assert north.recommend("zoe").served == "for_you"
            assert south.recommend("zoe").served == "trending"
            assert (north.models().active, south.models().active) == ("a", "b")
        with Client(address) as nobody, pytest.raises(ServiceError, match="X-Shop"):
            nobody.trending()


def test_equal_encoders_are_loaded_once(
    shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
    for name in ("north", "south"):
        # Two folders, the same weights.
        encoder = EncoderSimilarity(encoder=str(tiny.write(tmp_path / f"encoder-{name}")))
        parts = {"popularity": Popularity(), "encoder": encoder}
        blend = Blend(parts=parts, weights={"for_you": {"encoder": 1.0}})
        Recommender(shop, blend.fit(shop)).save(tmp_path / name)
    (tmp_path / "shops.toml").write_text('[north]\nmodel = "north"\n[south]\nmodel = "south"\n')
    shops = ShopRegistry.open(read_shops(tmp_path / "shops.toml"))
    loaded: list[Path] = []
    both = threading.Barrier(2, timeout=10)
    load = onnx.open_session

    def counted(file: Path, *options: Any) -> Any:
        loaded.append(file)
        return load(file, *options)

    monkeypatch.setattr(onnx, "open_session", counted)
    found = {}

    def put(name: str) -> None:
        part = shops.services[name].shop.base.blend.parts["encoder"]
        assert isinstance(part, EncoderSimilarity)
        both.wait()
        part.likeness([f"red {name}"])
        found[name] = part._pretrained

    threads = [threading.Thread(target=put, args=[name]) for name in shops.services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shops.close()
    assert found["north"] is found["south"]
    assert len(loaded) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no shop"),
        ("[north", "not TOML"),
        ('["a b"]\nmodel = "m"', "1 to 64 letters"),
        ("[north]\nstore = 's'", "model is missing"),
        ("[north]\nmodel = 'm'\nmodel5 = 1", "unknown key 'model5'"),
        ("[north]\nmodel = 'm'\nrate = 0", "must be at least"),
        ("[a]\nmodel = 'm'\n[b]\nmodel = './m'", "have the same store"),
        ("[a]\nmodel = 'm'\nstore = 's'\n[b]\nmodel = 'n'\nstore = 'x/../s'", "have the same store"),
        (
            "[a]\nmodel = 'm'\nstore = 'postgresql://u@h/d'\n"
            "[b]\nmodel = 'n'\nstore = 'postgresql://v:p@h:5432/d?schema=public'",
            "have the same store",
        ),
        ("[a]\nmodel = 'm/1'\nmodels = 'm'\n[b]\nmodel = 'n'\nmodels = 'm'", "the same folder of models"),
        ("[a]\nmodel = 'm/1'\nmodels = 'm'\n[b]\nmodel = 'm/2'", "the model of 'b' lies in the folder"),
    ],
)
def test_files_that_are_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "shops.toml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_shops(tmp_path / "shops.toml")


def test_commands_find_the_store_of_a_shop(tmp_path: Path) -> None:
    file = tmp_path / "shops.toml"
    file.write_text("[north]\nmodel = 'm'\n[south]\nmodel = 'm'\nstore = 'postgresql://u@h/d#1'\n")
    assert place_of(f"{file}#north") == f"{tmp_path / 'm'}.sqlite"
    assert place_of(f"{file}#south") == "postgresql://u@h/d#1"
    for same in ("shop.sqlite", "postgresql://u@h/d", "a#b.sqlite"):
        assert place_of(same) == same
    with pytest.raises(ConfigError, match=r"did you mean 'north'"):
        place_of(f"{file}#nort")
    with pytest.raises(ConfigError, match="name one of its shops"):
        place_of(str(file))
