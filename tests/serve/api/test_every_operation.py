"""Whatever any operation of the OpenAPI document is sent: a described refusal, soon, no internal error."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk
from tests.serve.server.test_process import free_port

NAMED = {"{user}": "ann", "{item}": "bread", "{name}": "x", "{rule}": "x"}
UNITS = (b"0,", b"[],", b"{},", b'"",', b"[", b'{"a":', b"[{", b"\\", b'"\\"",')
FIELDS = ("history", "items", "include", "quotas", "attributes", "categories", "arms", "goal", "user", "name")
NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400, "1" + "0" * 30)
TEXTS = ('"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"\\u202e"', '"\\ud83d\\udca5"')
VALUES = (
    *NUMBERS,
    *TEXTS,
    '{"\\ud800":1}',
    '["\\ud800"]',
    '{"a":NaN}',
    '{"a":"\\ud800"}',
    "[NaN]",
    '{"a":1e999}',
)
RAW = (b"\xff", b'"\xed\xa0\x80"', b'{"a":"\xed\xa0\x80"}', b'{"a"', b"\xef\xbb\xbf{}", b"", b"\x00", b"NaN")
ODD_IN_URLS = ("nan", "inf", "1e999", "1" + "0" * 400, "%FF", "%ED%A0%80", "%00", "%F0%9F%92%A5", "a%2Fb")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def filled(path: str, odd: str | None = None) -> str:
    for name, value in NAMED.items():
        path = path.replace(name, odd or value)
    return path


def large(size: int) -> Iterator[bytes]:
    """Much of what costs little to send."""
    for unit in UNITS:
        many = unit * (size // len(unit))
        yield b"[" + many + b"0]"
    for name in FIELDS:
        yield b'{"%s":[' % name.encode() + b"0," * (size // 2) + b"0]}"
    pairs = b",".join(b'"%d":[]' % n for n in range(size // 11))
    yield b"{" + pairs + b"}"
    for name in FIELDS:
        yield b'{"%s":{' % name.encode() + pairs + b"}}"
    yield b'"' + b"a" * size + b'"'
    yield b'{"' + b"a" * size + b'":1}'
    yield b'{"title":"' + b"a" * size + b'"}'
    yield b"[" + b'{"id":"a","title":"b"},' * (size // 23) + b"0]"
    yield b'{"title":"t","attributes":{"a":"' + b"x" * size + b'"}}'
    yield b"\n" * size
    yield b'{"b":1}\n' * (size // 8)


def test_much_of_anything_is_refused_in_a_few_words(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        document = (await client.get("/openapi.json")).json()
        for method, path, operation in operations(document):
            for kind in operation.get("requestBody", {}).get("content", {}):
                for content in large(30_000):
                    started = time.monotonic()
                    answer = await client.request(
                        method, filled(path), content=content, headers={"content-type": kind}
                    )
                    where = f"{method} {path} {kind} {content[:30]!r}"
                    assert str(answer.status_code) in operation["responses"], (where, answer.text[:200])
                    assert 400 <= answer.status_code < 500 or "ndjson" in kind, where
                    assert len(answer.content) < 10_000, where
                    assert time.monotonic() - started < 5, where
                    assert len(answer.json().get("errors", ())) <= 20, where

    talk(service, conversation)


def test_odd_numbers_and_texts_are_no_errors_of_ours(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        document = (await client.get("/openapi.json")).json()

        async def sent(method: str, path: str, operation: dict[str, Any], **more: Any) -> None:
            answer = await client.request(method, path, **more)
            where = f"{method} {path} {more} {answer.text[:200]}"
            assert answer.status_code < 500, where
            assert str(answer.status_code) in operation["responses"], where

        for method, path, operation in operations(document):
            for kind, described in operation.get("requestBody", {}).get("content", {}).items():
                bodies = [*RAW, *(value.encode() for value in VALUES)]
                schema = described["schema"]
                schema = schema.get("items") or next(iter(schema.get("oneOf", ())), schema)
                for name in schema.get("properties", {"a": None}):
                    for value in VALUES:
                        whole = {"user": '"ann"', "item": '"bread"', "title": '"t"', "id": '"i"', name: value}
                        known = {
                            n: v for n, v in whole.items() if n in schema.get("properties", {name: None})
                        }
                        body = "{" + ",".join(f'"{n}":{v}' for n, v in known.items()) + "}"
                        bodies += [body.encode(), f"[{body}]".encode()]
                for body in bodies:
                    await sent(method, filled(path), operation, content=body, headers={"content-type": kind})
            for parameter in operation.get("parameters", ()):
                for odd in ODD_IN_URLS:
                    if parameter.get("in") == "query":
                        await sent(method, f"{filled(path)}?{parameter['name']}={odd}", operation)
                    elif parameter.get("in") == "path":
                        await sent(method, filled(path, odd), operation)
            for name in ("idempotency-key", "x-shop", "x-api-key"):
                headers = [(name.encode(), b"\xed\xa0\x80\xff"), (b"content-type", b"application/json")]
                body = b'{"user":"ann","item":"bread"}'
                answer = await client.request(method, filled(path), content=body, headers=headers)
                assert answer.status_code < 500, (name, method, path)
        for page in ("/api/items?q=t&n=100", "/api/console", "/api/users/ann", "/api/items?n=100"):
            assert (await client.get(page)).status_code in (200, 404), page

    talk(service, conversation)


def test_a_query_is_short_and_utf8(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        categories = "&".join(["include_categories=Bread"] * 100 + ["exclude_categories=Soap"] * 100)
        assert (await client.get(f"/api/recommend/ann?{categories}")).status_code in (200, 404)
        many = await client.get("/api/trending?" + "a=1&" * 300)
        assert (many.status_code, many.json()["detail"]) == (422, "a query has at most 256 parameters")
        odd = await client.get("/api/items?q=%ED%A0%80")
        assert (odd.status_code, "must be percent-encoded UTF-8" in odd.json()["detail"]) == (422, True)

    talk(service, conversation)


def test_a_body_is_json_and_says_so(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        for method, path in (("POST", "/api/events"), ("PUT", "/api/items/x"), ("PUT", "/api/users/ann")):
            for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
                answer = await client.request(method, path, content=b"{}", headers={"content-type": kind})
                assert answer.status_code == 415, (path, kind)
                said = answer.json()["detail"]
                assert said == f"a body must be sent as application/json (found {kind!r})"

    talk(service, conversation)


def test_a_broken_rule_is_told_without_repeating_what_was_sent(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        one = (await client.post("/api/events", json={"user": "a", "x" * 1000: 1})).json()["detail"]
        assert one.startswith("unknown field 'xxx")
        assert len(one) < 100
        for path, body in (
            ("/api/items/x", {"y" * 1000: 1, "z" * 1000: 1}),
            ("/api/users/x", {"n" * 500: []}),
        ):
            answer = (await client.put(path, json=body)).json()
            assert all(len(e["where"]) <= 2 * 64 + 20 for e in answer["errors"])
        assert (await client.post("/api/items", json=[{"id": 1}] * 100)).json()["errors"][19]["where"]

    talk(service, conversation)


@contextmanager
def serving(model: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Address and number of a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "crossaisle", "serve", str(model), "--port", str(port)]
    command += ["--store", str(folder / "s.sqlite"), "--models", str(model.parent)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/api/health/ready", timeout=10).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.05)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


class Others:
    """Somebody else, who asks all the time."""

    def __init__(self, address: str) -> None:
        self._address, self._stopped, self._worst = address, threading.Event(), 0.0
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        while not self._stopped.wait(0.02):
            started = time.monotonic()
            urllib.request.urlopen(f"{self._address}/api/recommend/ann", timeout=60).close()
            self._worst = max(self._worst, time.monotonic() - started)

    def stop(self) -> float:
        """The longest that one answer took, in seconds."""
        self._stopped.set()
        self._thread.join()
        return self._worst


def largest_memory(process: int) -> int:
    """kB, since it started."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_largest_bodies_hold_up_nobody_and_leave_the_memory_alone(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path) as (address, process):
        others = Others(address)
        with urllib.request.urlopen(f"{address}/openapi.json") as answer:
            document = json.load(answer)
        before = largest_memory(process)
        with httpx.Client(base_url=address, timeout=60) as client:
            for method, path, operation in operations(document):
                if "application/json" not in operation.get("requestBody", {}).get("content", {}):
                    continue
                for content in (
                    *(b"[" + u * (15_999_000 // len(u)) for u in UNITS),
                    *list(large(15_900_000))[-7:-2],
                ):
                    headers = {"content-type": "application/json"}
                    answer = client.request(method, filled(path), content=content, headers=headers)
                    assert 400 <= answer.status_code < 500
                    assert str(answer.status_code) in operation["responses"]
                    assert len(answer.content) < 10_000
        worst = others.stop()
        assert largest_memory(process) - before < 200_000
        assert worst < 2.0
