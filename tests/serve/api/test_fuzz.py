"""Whatever is sent, the service answers, and never with 5xx."""

from __future__ import annotations

import json
import random

import httpx

from benchmarks import fuzz
from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk

ODD = [
    *fuzz.ODD,
    *(
        False,
        "ann",
        "bread",
        "../../etc/passwd",
        "%00",
        "for_you",
        "auto",
        "Dairy",
        [["Bakery", "Bread"]],
        ["bread"],
    ),
]
RAW = [*fuzz.RAW]
RAW += [
    b'{"user":"a","item":"b","value":1e999}',
    b'{"user":"a","user":"b","item":"c"}',
    b"\n\r\n\x00\n",
    b"[[[[]]]]",
]
EVENT_FIELDS = ("user", "item", "kind", "time", "key", "value", "quantity", "odd")
ITEM_FIELDS = ("title", "description", "brand", "categories", "price", "in_stock", "attributes", "odd")
QUESTION_FIELDS = (
    "placement",
    "user",
    "history",
    "items",
    "n",
    "offset",
    "include_categories",
    "cross_share",
    "quota",
    "quotas",
)
QUERY_FIELDS = (
    "placement",
    "n",
    "offset",
    "include_categories",
    "cross_share",
    "quota",
    "min_price",
    "max_price",
    "diversity",
)


def test_odd_input_never_breaks_the_service(service: ShopService) -> None:
    rng = random.Random(0)

    def body(fields: tuple[str, ...]) -> bytes:
        chosen = {name: rng.choice(ODD) for name in fields if rng.random() < 0.6}
        return json.dumps(chosen).encode() if rng.random() < 0.9 else rng.choice(RAW)

    def name() -> str:
        odd = [
            "ann",
            "bread",
            "ghost",
            "%00",
            "%ff%fe",
            "%F0%9F%92%A5",
            "a%2Fb",
            "..",
            "%2e%2e",
            "x" * 300,
            "%",
            "'",
        ]
        return rng.choice(odd)

    def request() -> tuple[str, str, bytes, str]:
        kind = rng.choice(
            ["application/json", "application/x-ndjson", "text/plain", "application/json; charset=x"]
        )
        choice = rng.randrange(8)
        if choice == 0:
            return "POST", "/api/events", body(EVENT_FIELDS), kind
        if choice == 1:
            return "POST", "/api/events", b"\n".join(body(EVENT_FIELDS) for _ in range(5)), kind
        if choice == 2:
            return rng.choice(["PUT", "PATCH"]), f"/api/items/{name()}", body(ITEM_FIELDS), kind
        if choice == 3:
            return "POST", "/api/recommend", body(QUESTION_FIELDS), kind
        if choice == 4:
            place = rng.choice(["", "/similar", "/goes-with"])
            return rng.choice(["GET", "DELETE", "POST"]), f"/api/items/{name()}{place}", b"", kind
        if choice == 5:
            return rng.choice(["GET", "PUT", "DELETE"]), f"/api/users/{name()}", body(("a", "b")), kind
        if choice == 6:
            return "POST", "/api/items", b"[" + body(ITEM_FIELDS) + b"]", kind
        query = httpx.QueryParams({n: str(rng.choice(ODD))[:50] for n in QUERY_FIELDS if rng.random() < 0.25})
        return "GET", f"/api/recommend/{name()}?{query}", b"", kind

    async def conversation(client: httpx.AsyncClient) -> None:
        statuses = []
        for _ in range(1500):
            method, path, content, kind = request()
            answer = await client.request(method, path, content=content, headers={"content-type": kind})
            assert answer.status_code < 500, (method, path, content[:200], answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json"
            statuses.append(answer.status_code)
        assert {200, 404, 422} <= set(statuses)

    talk(service, conversation)
