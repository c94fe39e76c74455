"""Logs as JSON, from a real process; traces, into an exporter in memory and to a collector."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossaisle import cli
from crossaisle.errors import ConfigError, MissingDependencyError
from crossaisle.serve.api.app import create_app
from crossaisle.serve.server import traces
from crossaisle.serve.server.logs import JsonFormatter
from crossaisle.serve.service import ShopService
from tests.serve.server.test_process import free_port, get


def test_a_record_is_one_line_whatever_it_holds() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("a.b", logging.ERROR, "f", 1, "odd %s\n", ("\u2028",), sys.exc_info())
    text = JsonFormatter(3).format(record)
    assert text.splitlines() == [text]
    line = json.loads(text)
    assert {name: line[name] for name in ("level", "logger", "message", "worker")} == {
        "level": "error",
        "logger": "a.b",
        "message": "odd \u2028\n",
        "worker": 3,
    }
    assert line["error"].endswith("ValueError: two\nlines")
    assert line["time"].endswith("Z")


@pytest.mark.parametrize("workers", [1, 2])
def test_every_line_of_the_log_is_json(model: Path, tmp_path: Path, workers: int) -> None:
    port = free_port()
    command = [sys.executable, "-m", "crossaisle", "serve", str(model), "--port", str(port)]
    command += ["--store", str(tmp_path / "s.sqlite"), "--log-format", "json", "--workers", str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(1200):
            try:
                assert get(f"http://127.0.0.1:{port}/api/health/ready")["status"] == "ready"
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.05)
    finally:
        process.terminate()
        _, log = process.communicate(timeout=60)
    lines = [json.loads(line) for line in log.splitlines()]
    messages = [line["message"] for line in lines]
    expected = f"http://127.0.0.1:{port}" if workers == 1 else "worker 1: process"
    assert any(expected in message for message in messages), messages
    assert {"time", "level", "logger", "message"} <= set(lines[0])


def test_another_format_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["serve", "model", "--log-format", "xml"]) == 2
    assert "--log-format must be text or json (found 'xml')" in capsys.readouterr().err


def test_a_span_tells_the_route_and_no_id(service: ShopService) -> None:
    pytest.importorskip("opentelemetry.instrumentation.fastapi", reason="needs crossaisle[otel]")
    import asyncio

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    app = create_app(service)
    traces.trace(app, provider)
    parent = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"

    async def conversation() -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            asked = await client.get("/api/recommend/ann?n=3", headers={"traceparent": parent})
            assert asked.status_code == 200
            assert (await client.get("/api/recommend/ann?n=0")).status_code == 422
            assert (await client.get("/api/health/ready")).status_code == 200

    asyncio.run(conversation())
    first, second = kept.get_finished_spans()
    assert first.name == "GET /api/recommend/{user}"
    assert f"{first.context.trace_id:x}" == "ab" * 16
    assert "ann" not in json.dumps(dict(first.attributes))
    assert "n=3" not in json.dumps(dict(first.attributes))
    statuses = [
        {value for name, value in span.attributes.items() if name.endswith("status_code")}
        for span in (first, second)
    ]
    assert statuses == [{200}, {422}]


def test_spans_reach_the_collector_that_the_environment_names(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs crossaisle[otel]")
    got: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *words: Any) -> None:
            """Quiet."""

    collector = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    port = free_port()
    command = [sys.executable, "-m", "crossaisle", "serve", str(model), "--port", str(port), "--traces"]
    command += ["--store", str(tmp_path / "s.sqlite")]
    told = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_SERVICE_NAME": "my-shop",
    }
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ | told)
    try:
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/trending?n=1", timeout=10).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.05)
        end = time.monotonic() + 30
        while not got:
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait(timeout=60)
        collector.shutdown()
        thread.join(timeout=10)
        collector.server_close()
    assert b"GET /api/trending" in got[0]
    assert b"my-shop" in got[0]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin", "must be otlp or console"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "must be http/protobuf"),
    ],
)
def test_what_cannot_be_exported_to_is_refused(
    service: ShopService, monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="needs crossaisle[otel]")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=says):
        traces.trace(create_app(service))


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"tracing needs OpenTelemetry, .*\[otel\]"):
        traces.needs_otel()
