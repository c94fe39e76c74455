"""The command itself: a real server on a real port, and what it does not load."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
    return found


def test_the_command_serves_and_keeps_acknowledged_events(model: Path, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "crossaisle", "serve", str(model), "--port", str(port)]
    command += ["--store", str(tmp_path / "s.sqlite")]

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                assert get(f"http://127.0.0.1:{port}/api/health/ready")["status"] == "ready"
                return process
            except urllib.error.URLError:
                assert process.poll() is None
                time.sleep(0.05)
        raise AssertionError("the service did not start")

    process = start()
    try:
        event = json.dumps({"user": "zoe", "item": "bread", "key": "k"}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/events", event, method="POST")
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["accepted"] == 1
    finally:
        process.kill()
        process.wait()
    process = start()
    try:
        assert get(f"http://127.0.0.1:{port}/api/recommend/zoe")["served"] == "for_you"
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_in_use_is_told_before_the_model_is_read(tmp_path: Path, workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "crossaisle", "serve", "nothing", "--port", str(port)]
        command += ["--workers", str(workers)]
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_serving_loads_no_training_library(model: Path, tmp_path: Path) -> None:
    code = (
        "import sys, asyncio; from crossaisle.serve.service import ShopService;"
        "from crossaisle.serve.live.warmup import warm;"
        "from crossaisle.serve.api.app import create_app;"
        f"s = ShopService.open({str(model)!r}, {str(tmp_path / 's.sqlite')!r});"
        "create_app(s); warm(s.shop); s.gauges(); s.close(); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"torch", "transformers", "sklearn", "matplotlib", "pandas", "onnxruntime", "lightgbm"}
    heavy |= {"scipy.stats", "scipy.optimize", "scipy.cluster"}  # half a second of a start
    assert not heavy & set(loaded.split())


def test_others_are_served_with_a_key_only(model: Path, tmp_path: Path) -> None:
    from crossaisle.errors import ConfigError
    from crossaisle.serve.server.launch import serve

    with pytest.raises(ConfigError, match="crossaisle keys add"):
        serve(model, store=tmp_path / "s.sqlite", host="0.0.0.0", port=free_port())


def test_the_process_that_keeps_workers_is_small() -> None:
    code = (
        "import sys, crossaisle.cli, crossaisle.serve.tenants, crossaisle.serve.store.store;"
        "import crossaisle.serve.server.supervisor; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"polars", "scipy", "uvicorn", "fastapi"} & set(loaded.split())
