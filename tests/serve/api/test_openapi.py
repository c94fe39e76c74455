"""The OpenAPI document is complete, and the service keeps to it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from tests.serve.conftest import talk


def test_every_answer_is_described_and_has_an_example(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        document = (await client.get("/openapi.json")).json()
        assert "HTTPValidationError" not in document["components"]["schemas"]
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                where = f"{method} {path}"
                assert operation["tags"], where
                for status, answer in operation["responses"].items():
                    if status.startswith("2") and status != "204":
                        for kind, content in answer["content"].items():
                            assert content["schema"], where
                            assert "example" in content or kind.startswith("image/"), where
                    if int(status) >= 400:
                        name = answer["$ref"].rsplit("/", 1)[1]
                        problem = document["components"]["responses"][name]
                        assert problem["content"]["application/problem+json"]["example"]["status"] == int(
                            status
                        )
                assert {"403", "413", "422", "429", "503"} <= set(operation["responses"]), where

    talk(service, conversation)


def test_a_path_names_all_its_methods(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.request("OPTIONS", "/api/items/bread")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "DELETE, GET, PATCH, PUT"
        assert (await client.request("TRACE", "/api/items")).headers["allow"] == "GET, PATCH, POST"
        assert (await client.request("OPTIONS", "/api/users/show")).headers["allow"] == "POST"

    talk(service, conversation)


def test_numbers_are_no_booleans(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for body in ({"in_stock": 1}, {"price": False}, {"price": "2"}):
            assert (await client.patch("/api/items/bread", json=body)).status_code == 422
        assert (await client.patch("/api/items/bread", json={"price": 2})).status_code == 200

    talk(service, conversation)


def test_where_a_key_is_needed_the_document_says_so(service: ShopService) -> None:
    add_key(service.store, "shop", ["read"])

    async def conversation(client: httpx.AsyncClient) -> None:
        document = (await client.get("/openapi.json")).json()
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                named = path.replace("{item}", "bread").replace("{user}", "ann")
                status = (await client.request(method, named)).status_code
                assert (status == 401) == ("401" in operation["responses"]), path
                assert ("security" in operation) == (status == 401), path

    talk(service, conversation)


@pytest.mark.slow
def test_made_up_requests_are_answered_as_described(tmp_path: Path) -> None:
    pytest.importorskip("schemathesis", reason="needs pip install schemathesis")
    from benchmarks.fuzz import run

    found = run(tmp_path, cases=100, lines=5000)
    assert found["document"]["cases"] > 1000
    assert found["ndjson"]["accepted"] > 1000
    assert found["ndjson"]["refused"] > 1000
    assert found["passed"], found
