"""Each route says what it needs, and that is checked before anything is done for a request."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pydantic
import pytest
from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.routing import APIRoute

from crossaisle.serve.api.access import KEYED
from crossaisle.serve.api.app import create_app
from crossaisle.serve.api.routes import state
from crossaisle.serve.api.routing import Route, Router, RouteTable
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import SCOPES, add_key
from tests.serve.conftest import talk

SCOPE_OF = {
    "public": {
        *("GET /", "GET /console", "GET /docs", "GET /openapi.json", "HEAD /openapi.json"),
        "GET /crossaisle.js",
    },
    "health": {"GET /api/health/live", "GET /api/health/ready"},
    "visitor": {"POST /api/visitor/list", "POST /api/visitor/events"},
    "read": {
        *("GET /api/recommend/{user}", "POST /api/recommend", "POST /api/rank"),
        *("GET /api/trending", "GET /api/categories"),
        *("GET /api/items", "GET /api/items/{item}", "GET /api/shop", "GET /api/items/{item}/picture"),
        *("GET /api/items/{item}/goes-with", "GET /api/items/{item}/similar"),
    },
    "write": {
        *("POST /api/events", "DELETE /api/events/{key}", "POST /api/events/delete"),
        *("POST /api/items", "PUT /api/items/{item}", "PATCH /api/items/{item}", "DELETE /api/items/{item}"),
        *("PATCH /api/items", "GET /api/changes", "POST /api/changes/drop"),
        *("PUT /api/items/{item}/picture", "DELETE /api/items/{item}/picture"),
        *("GET /api/users/{user}", "PUT /api/users/{user}", "DELETE /api/users/{user}"),
        *("POST /api/users/show", "POST /api/users/delete"),
    },
    "merchandise": {
        *("GET /api/rules", "PUT /api/rules", "DELETE /api/rules"),
        *("GET /api/rules/{rule}", "PUT /api/rules/{rule}", "PATCH /api/rules/{rule}"),
        "DELETE /api/rules/{rule}",
    },
    "admin": {
        *(
            "GET /metrics",
            "GET /api/console",
            "GET /api/console/coverage",
            "GET /api/console/links",
            "GET /api/audit",
        ),
        *("GET /api/console/totals", "POST /api/console/visitor"),
        *("GET /api/models", "POST /api/models/activate", "POST /api/models/roll-back"),
        *("POST /api/experiments", "GET /api/experiments", "GET /api/experiments/{name}"),
        *("POST /api/experiments/{name}/stop", "GET /api/experiments/{name}/exposures"),
    },
}


async def nothing() -> Response:
    return Response()


@pytest.fixture
def planted() -> Iterator[list[Any]]:
    """The routes of a router, as they were once the test is over."""
    before = list(state.router.routes)
    yield state.router.routes
    state.router.routes[:] = before


def test_every_route_has_its_scope(service: ShopService) -> None:
    found: dict[str, set[str]] = {scope: set() for scope in SCOPE_OF}
    for route in create_app(service).routes:
        assert isinstance(route, Route)
        if not route.path.startswith(("/page/", "/docs/")):
            found[str(route.scope)] |= {f"{method} {route.path}" for method in route.methods or ()}
        else:
            assert route.scope == "public"
    assert found == SCOPE_OF
    assert set(SCOPES) == KEYED


@pytest.mark.parametrize("kind", [APIRoute, Route])
def test_a_route_without_a_scope_is_refused_at_the_start(
    service: ShopService, planted: list[Any], kind: type[APIRoute]
) -> None:
    planted.append(kind("/api/secrets", nothing, methods=["GET"]))
    with pytest.raises(TypeError, match=r"route GET /api/secrets declares no scope: give scope=\.\.\. to it"):
        create_app(service)


def test_a_path_has_another_scope_for_another_method_and_the_first_match_counts() -> None:
    router = Router("/api/things", tags=["things"], scope="read")
    router.get("/{thing}")(nothing)
    router.put("/{thing}", scope="write")(nothing)
    router.get("/all", scope="admin")(nothing)  # never reached: `/{thing}` is tried first
    router.post("/all", scope="admin")(nothing)
    table = RouteTable(router.routes)
    one, other, _, every = router.routes
    assert table.find("GET", "/api/things/a") == (one, "read")
    assert table.find("PUT", "/api/things/a") == (other, "write")
    assert table.find("GET", "/api/things/all") == (one, "read")
    assert table.find("POST", "/api/things/all") == (every, "admin")


def test_what_no_route_answers_needs_as_much_as_its_neighbours(service: ShopService) -> None:
    table = RouteTable(create_app(service).routes)
    for method, path, scope in (
        *(("GET", "/nowhere", "public"), ("POST", "/", "public"), ("POST", "/metrics", "admin")),
        *(("GET", "/api/nowhere", "read"), ("HEAD", "/api/trending", "read"), ("PUT", "/api/x", "write")),
        *(("PUT", "/api/trending", "write"), ("DELETE", "/api/recommend/ann", "write")),
        *(("GET", "/api/users", "write"), ("GET", "/api/users/a/b", "write"), ("GET", "/api/events", "read")),
        *(
            ("GET", "/api/models/x", "admin"),
            ("POST", "/api/audit", "admin"),
            ("TRACE", "/api/console", "admin"),
        ),
        *(("GET", "/api/health/x", "health"), ("POST", "/api/health/live", "health")),
        *(("GET", "/api/", "read"), ("OPTIONS", "/api/items/x", "write"), ("GET", "//api/users/a", "public")),
    ):
        assert table.find(method, path) == (None, scope), (method, path)


def test_a_route_answers_nothing_that_was_not_let_in_for_it() -> None:
    route = Route("/api/secrets", nothing, scope="read")
    bare = FastAPI(routes=[route])

    async def run() -> None:
        transport = httpx.ASGITransport(app=bare, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.get("/api/secrets")).status_code == 500

    asyncio.run(run())


def test_nobody_is_refused_only_after_the_body_was_read(service: ShopService) -> None:
    token = add_key(service.store, "reader", ["read"])
    app = create_app(service)

    async def status(method: str, path: str, *headers: tuple[bytes, bytes]) -> int:
        said: list[Any] = []

        async def receive() -> Any:
            raise AssertionError("the body was read")

        async def send(message: Any) -> None:
            said.append(message)

        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode()}
        scope |= {"headers": [(b"content-type", b"application/json"), *headers], "query_string": b""}
        await app(scope | {"client": ("127.0.0.1", 1), "http_version": "1.1"}, receive, send)
        found: int = said[0]["status"]
        return found

    async def run() -> None:
        for path in (
            "/api/events",
            "/api/recommend",
            "/api/models/activate",
            "/api/users/show",
            "/api/nowhere",
        ):
            assert await status("POST", path) == 401
            if path != "/api/recommend":
                assert await status("POST", path, (b"x-api-key", token.encode())) == 403
        assert await status("PUT", "/api/items/a/picture", (b"x-api-key", token.encode())) == 403

    asyncio.run(run())


def test_no_request_waits_for_routes_to_be_built_or_parses_python(
    service: ShopService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ast.parse` may fail where two threads call it at once (CPython 3.11), and reading a model calls it."""
    app = create_app(service)

    def late(*_: object, **__: object) -> None:
        raise AssertionError("not at a request")

    async def run() -> None:
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            app.openapi()  # as a second after the start; parses nothing, but builds adapters for defaults
            monkeypatch.setattr(pydantic.TypeAdapter, "__init__", late)
            monkeypatch.setattr(ast, "parse", late)
            for route in app.routes:
                assert isinstance(route, Route)
                for method in route.methods or ():
                    path = route.path.replace("{user}", "ann").replace("{item}", "bread")
                    answer = await client.request(method, path.replace("{name}", "x"), json={})
                    assert answer.status_code < 500, (method, path)

    try:
        asyncio.run(run())
    finally:
        monkeypatch.undo()


def test_scopes_are_those_of_the_document(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        document = (await client.get("/openapi.json")).json()
        keyed = {
            f"{method.upper()} {path}"
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if "security" in operation
        }
        assert keyed == set().union(*(SCOPE_OF[scope] for scope in KEYED))

    talk(service, conversation)
