"""What is answered without the framework is, byte for byte, what the framework answers."""

from __future__ import annotations

import httpx
import pytest

from crossaisle.serve.api.middleware import direct, stack
from crossaisle.serve.api.routes import items, lists
from crossaisle.serve.api.routing import Router
from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk

PATHS = (
    "/api/recommend/ann",
    "/api/recommend/nobody",
    "/api/recommend/ann?n=3&quota=1",
    "/api/recommend/ann?placement=discover&n=2",
    "/api/recommend/ann?include_categories=Nothing",
    "/api/recommend/ann?n=2&explain=true",
    "/api/recommend/an%6E?n=3",
    "/api/recommend/zo%C3%AB?n=3",
    "/api/recommend/%FF?n=3",
    f"/api/recommend/{'a' * 2000}?n=3",
    "/api/recommend/ann?n=0",
    "/api/items/bread/goes-with?n=2",
    "/api/items/unheard-of/goes-with?n=2",
    "/api/items/bread/similar?user=ann",
    "/api/trending?n=2",
)


class Through:
    """In its place: passes everything on."""

    def __init__(self, app: object) -> None:
        self.app = app

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        await self.app(scope, receive, send)  # type: ignore[operator]


def forget(*routers: Router) -> None:
    for route in [one for router in routers for one in router.routes]:
        if route.remembered is not None:
            route.remembered.forget()


def answers(service: ShopService) -> list[tuple[int, list[tuple[bytes, bytes]], bytes]]:
    """Status, headers and body of the second answer to each."""
    found = []

    async def check(client: httpx.AsyncClient) -> None:
        for path in PATHS:
            for method in ("GET", "GET", "HEAD", "POST"):
                answer = await client.request(method, path)
                found.append((answer.status_code, answer.headers.raw, answer.content))

    talk(service, check)
    return found


def test_both_ways_answer_the_same(service: ShopService, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(lists.router, items.router)
    taken: list[str] = []
    call = direct.DirectMiddleware.__call__

    async def counted(self: direct.DirectMiddleware, scope: dict, receive: object, send: object) -> None:  # type: ignore[type-arg]
        await call(self, scope, receive, send)  # type: ignore[arg-type]
        taken.extend([scope["path"]] if "fastapi_inner_astack" not in scope else [])

    with monkeypatch.context() as patched:
        patched.setattr(direct.DirectMiddleware, "__call__", counted)
        quick = answers(service)
    monkeypatch.setattr(stack, "DirectMiddleware", Through)
    slow = answers(service)
    assert {status for status, _, _ in quick} >= {200, 404, 405, 422}
    assert len(taken) >= 9
    for path, mine, theirs in zip([path for path in PATHS for _ in range(4)], quick, slow, strict=True):
        assert mine == theirs, path


def test_it_is_counted_under_its_route(service: ShopService) -> None:
    async def check(client: httpx.AsyncClient) -> None:
        before = service.metrics.requests["/api/recommend/{user}", 200]
        for _ in range(3):
            assert (await client.get("/api/recommend/ann?n=4")).status_code == 200
        assert service.metrics.requests["/api/recommend/{user}", 200] == before + 3

    talk(service, check)
