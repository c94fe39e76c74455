"""Problems say what a client can do, and nothing about the machine."""

from __future__ import annotations

import logging

import httpx
import pytest

from crossaisle.errors import StoreError
from crossaisle.serve.api import problems
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.writer import Busy
from tests.serve.conftest import talk


def test_a_store_that_does_not_answer_is_not_named(
    service: ShopService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = "/var/lib/shop/secret.sqlite"

    def broken(*_: object) -> None:
        raise StoreError(f"{place}: could not be read (disk I/O error)")

    monkeypatch.setattr(service.store, "audit", broken)

    async def conversation(client: httpx.AsyncClient) -> None:
        for _ in range(3):
            answer = await client.get("/api/audit")
            assert (answer.status_code, answer.json()["detail"]) == (503, problems.UNAVAILABLE)
            assert answer.headers["retry-after"] == "1"
            assert place not in answer.text

    with caplog.at_level(logging.ERROR):
        talk(service, conversation)
    assert [place in record.getMessage() for record in caplog.records] == [True]


def test_a_busy_store_says_so(service: ShopService, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise Busy("the store is busy: try again in a moment")

    monkeypatch.setattr(service.store, "add", busy)

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/events", json={"user": "a", "item": "b"})
        assert (answer.status_code, answer.json()["detail"]) == (
            503,
            "the store is busy: try again in a moment",
        )

    talk(service, conversation)
