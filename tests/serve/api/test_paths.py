"""Ids of any characters are reached, and no way of writing a path changes which key it needs."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from crossaisle.client import Client
from crossaisle.errors import ServiceError
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from tests.serve.conftest import running, talk

IDS = (
    ".",
    "..",
    "a/b",
    "/",
    "%2F",
    "%252F",
    "YWxp/2Vuw6k=",
    "<i>user 999</i>",
    "a b",
    "ü?#&",
    "💥",
    "show",
    "x;y=1",
)


def asked(address: str, method: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """A request whose path is sent as it stands here."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
    connection.putrequest(method, path, skip_host=False)
    for name, value in (headers or {}).items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


@pytest.fixture(scope="module")
def client(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    opened = ShopService.open(model, tmp_path_factory.mktemp("paths") / "store.sqlite")
    with running(opened) as address, Client(address) as talking:
        yield talking
    opened.close()


@pytest.mark.parametrize("name", IDS)
def test_people_and_items_of_any_id_come_and_go(client: Client, name: str) -> None:
    client.event(name, "bread", "cart")
    client.put_user(name, city="Ghent")
    known = client.user(name)
    assert (known.user, known.total, known.attributes) == (name, 1, {"city": "Ghent"})
    assert client.recommend(name).user == name
    assert client.delete_user(name) == 1
    with pytest.raises(ServiceError, match="nothing is known about user"):
        client.user(name)
    assert client.put_item(name, title="Rye bread with seeds").new
    assert client.item(name).item_id == name
    assert client.patch_item(name, price=2.0).price == 2.0
    assert client.similar(name).items
    assert client.goes_with(name) is not None
    client.delete_item(name)
    with pytest.raises(ServiceError, match=r"taken out|unknown"):
        client.item(name)


def test_a_path_is_decoded_once(service: ShopService) -> None:
    with running(service) as address, Client(address) as client:
        client.event("a/b", "bread")
        client.event("a%2Fb", "bread")
        assert asked(address, "GET", "/api/users/a%2Fb")[0] == 200
        assert b'"user":"a/b"' in asked(address, "GET", "/api/users/a%2fb")[1]
        assert b'"user":"a%2Fb"' in asked(address, "GET", "/api/users/a%252Fb")[1]
        assert asked(address, "GET", "/api/users/a/b")[0] == 404
        assert asked(address, "DELETE", "/api/users/a%252Fb")[0] == 200
        assert client.user("a/b").total == 1
        status, said = asked(address, "GET", "/api/users/%FF")
        assert (status, b"the path must be percent-encoded UTF-8" in said) == (422, True)


def test_metrics_and_allow_name_routes_as_before(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/recommend/a%2Fb")).status_code == 200
        refused = await client.post("/api/items/a%2Fb")
        assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, GET, PATCH, PUT")
        assert 'route="/api/recommend/{user}"' in (await client.get("/metrics")).text

    talk(service, conversation)


TRICKS = (
    *("/api/%75sers/ann", "/%61pi/users/ann", "//api/users/ann", "/api//users/ann", "/api/users/%61nn"),
    *(
        "/api/./users/ann",
        "/api/items/../users/ann",
        "/api/items/%2e%2e/users/ann",
        "/api/items%2f..%2fusers/ann",
    ),
    *("/api%2Fusers%2Fann", "/api%2fusers/ann", "/api/users%2Fann", "/API/users/ann"),
    *(
        "/api/trending/../users/ann",
        "/api/health/../users/ann",
        "/api/health/%2e%2e/users/ann",
        "/docs/../api/users/ann",
    ),
    *(
        "/openapi.json/../api/users/ann",
        "/api/health/live%2f..%2f..%2fusers%2fann",
        "/%6detrics",
        "/metrics%2f",
    ),
    *(
        "/%6d%65trics",
        "/api/%61udit",
        "/api/c%6Fnsole",
        "/api/%6dodels",
        "/api/experiment%73",
        "/page/%2e%2e/metrics",
    ),
)


def test_no_way_of_writing_a_path_opens_what_the_key_does_not(service: ShopService) -> None:
    reading = add_key(service.store, "reader", ["read"])
    admin = add_key(service.store, "admin", ["admin"])
    with running(service) as address:
        for path in TRICKS:
            assert asked(address, "GET", path)[0] in (401, 404), path
            status, said = asked(address, "GET", path, {"x-api-key": reading})
            assert status in (403, 404), (path, said)
            assert asked(address, "GET", path, {"x-api-key": admin})[0] in (200, 404), path
            assert asked(address, "DELETE", path, {"x-api-key": reading})[0] in (403, 404, 405), path
        assert asked(address, "GET", "/api/%75sers/ann", {"x-api-key": admin})[0] == 200
        assert asked(address, "GET", "/api/%72ecommend/ann", {"x-api-key": reading})[0] == 200
        assert asked(address, "POST", "/api/users/show", {"x-api-key": reading})[0] == 403
        assert asked(address, "POST", "/api/users/delete", {"x-api-key": reading})[0] == 403
