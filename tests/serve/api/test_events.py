"""Events: durable, counted once, and in the next list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from crossaisle.errors import StoreError
from crossaisle.serve.limits.api import ApiLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Event, Store
from tests.serve.conftest import events_of, talk


def test_an_event_counts_in_the_next_list(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        before = (await client.get("/api/recommend/zoe")).json()
        assert before["served"] == "trending"
        event = {"user": "zoe", "item": "bread", "kind": "cart"}
        assert (await client.post("/api/events", json=event)).json() == {"accepted": 1, "duplicates": 0}
        first = (await client.get("/api/recommend/zoe")).json()
        assert first["served"] == "for_you"
        assert first["items"][0]["item_id"] == "butter"
        await client.post("/api/events", json={"user": "zoe", "item": "butter"})
        second = (await client.get("/api/recommend/zoe")).json()
        assert "butter" not in [r["item_id"] for r in second["items"]]

    talk(service, conversation)


def test_ids_are_those_that_an_import_would_keep(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for user, item in ((" 501.0", "bread"), ("501", " butter "), ("501.0\x07", "soap")):
            await client.post("/api/events", json={"user": user, "item": item})
        page = (await client.post("/api/users/show", json={"user": "501.0"})).json()
        assert [event["item"] for event in page["events"]] == ["bread", "butter", "soap"]
        assert (await client.get("/api/users/501.0")).json()["total"] == 3
        assert (await client.get("/api/items/%20bread")).json()["item_id"] == "bread"

    talk(service, conversation)


@pytest.mark.parametrize(
    "key", ["501", "501.0", " 501", "\t501", "501 ", "a  b", "a\u0007b", "a/b", "..", "\u00a0", "käse-1"]
)
def test_keys_are_compared_character_by_character(service: ShopService, key: str) -> None:
    """Of two keys that an id would make the same, only the one that is named is deleted."""

    async def conversation(client: httpx.AsyncClient) -> None:
        other = "501.0" if key == "501" else "501"
        for one in (other, key):
            await client.post("/api/events", json={"user": "zoe", "item": "bread", "key": one})
        for _ in range(2):
            again = await client.post("/api/events", json={"user": "zoe", "item": "bread", "key": key})
            assert again.json() == {"accepted": 0, "duplicates": 1}
        assert (await client.post("/api/events/delete", json={"key": key})).status_code == 200
        left = [event.key for _, event in service.store.events()]
        assert left == [other]
        assert (await client.post("/api/events/delete", json={"key": key})).status_code == 404
        await client.post("/api/events", json={"user": "zoe", "item": "bread", "key": key})
        path = "/api/events/" + quote(key, safe="")
        if key != "..":  # which is no part of a path
            assert (await client.delete(path)).status_code == 200
            assert [event.key for _, event in service.store.events()] == [other]

    talk(service, conversation)


def test_live_and_stored_events_make_one_history(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        past = service.shop.history_of("ann")
        await client.post("/api/events", json={"user": "ann", "item": "soap", "time": "2024-01-16T00:00:00"})
        await client.post("/api/events", json={"user": "ann", "item": "cake"})
        now = service.shop.history_of("ann")
        names = service.shop.dataset.item_ids
        assert names.ids(now.item) == [*names.ids(past.item), "soap", "cake"]
        assert now.day[-2] == 19738.0
        # The shop's data ends long ago: the time until the service started is no time that passed.
        assert 0 <= now.now[0] - past.now[0] < 1.0

    talk(service, conversation)


def test_keys_make_events_count_once(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        event = {"user": "zoe", "item": "bread", "key": "k1"}
        await client.post("/api/events", json=event)
        again = await client.post("/api/events", json=[event, {**event, "key": "k2"}, {**event, "key": "k2"}])
        assert again.json() == {"accepted": 1, "duplicates": 2}
        header = {"idempotency-key": "k3"}
        body = {"user": "zoe", "item": "bread"}
        assert (await client.post("/api/events", json=body, headers=header)).json()["accepted"] == 1
        assert (await client.post("/api/events", json=body, headers=header)).json()["accepted"] == 0
        assert len(service.live.of("zoe").items) == 3

    talk(service, conversation)


def test_streams_keep_the_good_lines(service: ShopService) -> None:
    lines = b'{"user":"zoe","item":"bread"}\n\nnonsense\n{"user":"zoe"}\n{"user":"zoe","item":"jam"}'

    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.post(
            "/api/events", content=lines, headers={"content-type": "application/x-ndjson"}
        )
        found = answer.json()
        assert (found["accepted"], found["refused"]) == (2, 2)
        assert found["errors"][0].startswith("line 3: not JSON")
        assert "line 4: row 4, column 'item': must be text" in found["errors"][1]
        assert service.live.of("zoe").items == ("bread", "jam")

    talk(service, conversation)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"user": "zoe"}, "column 'item': must be text of 1 to 256 characters"),
        ({"user": "zoe", "item": "bread", "knd": 1}, "unknown field 'knd' (did you mean 'kind'?)"),
        ({"user": "zoe", "item": "bread", "time": "soon"}, "must be ISO 8601"),
        ({"user": "zoe", "item": "bread", "time": 1e11}, "one day from now"),
        ({"user": "zoe", "item": "bread", "value": "much"}, "column 'value': must be a number"),
        ([{"user": "zoe", "item": "bread"}, 7], "row 1: an event must be an object"),
        ("text", "an event must be an object"),
    ],
)
def test_bad_events_are_refused_whole(service: ShopService, body: object, says: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/events", json=body)
        assert answer.status_code == 422
        assert says in answer.json()["detail"]
        assert not service.live.of("zoe").items

    talk(service, conversation)


def test_events_are_there_after_a_restart(service: ShopService, model: Path) -> None:
    async def first(client: httpx.AsyncClient) -> None:
        await client.post("/api/events", json={"user": "zoe", "item": "bread"})

    talk(service, first)
    service.close()
    again = ShopService.open(model, service.store.path)
    try:
        assert again.live.of("zoe").items == ("bread",)
    finally:
        again.close()


def test_a_store_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "s.sqlite")


def test_late_events_find_their_place() -> None:
    rng = np.random.default_rng(0)
    events = [Event(None, "u", f"i{n}", "view", float(t)) for n, t in enumerate(rng.permutation(50))]
    one_by_one = LiveHistories()
    for event in events:
        one_by_one.add([event])
    assert one_by_one.of("u")[:2] == LiveHistories(events).of("u")[:2]
    assert list(one_by_one.of("u").days) == sorted(one_by_one.of("u").days)


def test_one_key_in_the_header_makes_many_events_count_once(service: ShopService) -> None:
    event = {"user": "zoe", "item": "bread"}
    lines = (
        b'{"user":"zoe","item":"jam"}\n\n{"user":"zoe","item":"jam","key":"own"}\n{"user":"zoe","item":"jam"}'
    )

    async def conversation(client: httpx.AsyncClient) -> None:
        header = {"idempotency-key": "h1"}
        for fresh in (2, 0):
            answer = await client.post("/api/events", json=[event, {**event, "key": None}], headers=header)
            assert answer.json() == {"accepted": fresh, "duplicates": 2 - fresh}
        header = {"idempotency-key": "h2", "content-type": "application/x-ndjson"}
        for fresh in (3, 0):
            answer = await client.post("/api/events", content=lines, headers=header)
            assert (answer.json()["accepted"], answer.json()["duplicates"]) == (fresh, 3 - fresh)
        long = {"idempotency-key": "h" * 241}
        assert (await client.post("/api/events", json=event, headers=long)).status_code == 422

    talk(service, conversation)
    keys = {event.key for event in events_of(service.store, "zoe")}
    assert keys == {"h1/0", "h1/1", "h2/1", "own", "h2/4"}


def test_lines_that_are_too_long_are_counted_and_not_gathered(service: ShopService) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"user":"zoe","item":"bread"}\n{"user":"'
        for _ in range(100):
            yield b"a" * 10_000
        yield b'"}\n{"user":"zoe","item":"jam"}'

    async def conversation(client: httpx.AsyncClient) -> None:
        kind = {"content-type": "application/x-ndjson"}
        answer = await client.post("/api/events", content=pieces(), headers=kind)
        assert answer.json() == {
            "accepted": 2,
            "duplicates": 0,
            "refused": 1,
            "errors": ["line 2: a line must not exceed 64,000 bytes"],
        }

    talk(service, conversation)


def test_lines_whose_keys_are_known_of_other_events_are_described(service: ShopService) -> None:
    def lines(item: str) -> bytes:
        return b"".join(b'{"user":"zoe","item":"%s","key":"k%d"}\n' % (item.encode(), n) for n in range(1000))

    async def conversation(client: httpx.AsyncClient) -> None:
        for n in (3, 700):
            event = {"user": "zoe", "item": "bread", "key": f"k{n}"}
            assert (await client.post("/api/events", json=event)).status_code == 200
        kind = {"content-type": "application/x-ndjson"}
        answer = (await client.post("/api/events", content=lines("soap"), headers=kind)).json()
        assert (answer["accepted"], answer["duplicates"], answer["refused"]) == (998, 0, 2)
        rule = "is already known with another user, item, kind, value or quantity"
        assert answer["errors"] == [f"line {n + 1}: key 'k{n}' {rule}" for n in (3, 700)]

    talk(service, conversation)
    kept = {event.key: event.item for _, event in service.store.events()}
    assert kept == {f"k{n}": "bread" if n in (3, 700) else "soap" for n in range(1000)}


@pytest.mark.slow
def test_a_stream_has_a_limit_of_lines_and_lines_that_are_none_hold_up_nobody(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        kind = {"content-type": "application/x-ndjson"}
        good = b'{"user":"zoe","item":"bread"}\n'
        flood = asyncio.create_task(client.post("/api/events", content=good + b"0\n" * 10_000, headers=kind))
        answered = 0
        while not flood.done():
            assert (await client.get("/api/health/live")).status_code == 200
            answered += 1
        assert answered > 2
        answer = flood.result()
        assert answer.status_code == 422
        assert answer.json()["detail"] == (
            "a stream holds at most 5,000 lines: send several requests (of those before, 1 were accepted "
            "and 4,999 refused)"
        )
        whole = await client.post("/api/events", content=good + b"\n" * 4_998 + good, headers=kind)
        assert whole.json()["accepted"] == 2

    talk(service, conversation, limits=ApiLimits(stream_lines=5_000))
