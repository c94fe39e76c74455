"""`benchmarks/serve.py` counts a request as answered only if it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TALK = """
import asyncio, contextlib, serve

async def answer(reader, writer):
    with contextlib.suppress(asyncio.IncompleteReadError):  # the client has gone
        while head := await reader.readuntil(b"\\r\\n\\r\\n"):
            status = 404 if b"missing" in head else 503 if b"busy" in head else 200
            writer.write(b"HTTP/1.1 %d X\\r\\nContent-Length: 2\\r\\n\\r\\n{}" % status)

async def main():
    async with await asyncio.start_server(answer, "127.0.0.1", serve.PORT):
        paths = iter(["/a", "/missing", "/b", "/busy", "/missing"])
        found = await serve.load_all(lambda: ("GET", next(paths), b""))
        timed = await serve.load(lambda: ("GET", "/missing", b""), 0.02, 2)
    assert found["failed"] == 3, found
    assert timed["failed"] > 1, timed
    serve.all_answered({"some": {**found, "failed": 0}})
    serve.all_answered({"some": found})

asyncio.run(main())
"""


def test_failed_requests_are_counted_and_end_the_benchmark() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TALK], cwd=BENCHMARKS, capture_output=True, text=True, timeout=60
    )
    assert done.stderr.strip().splitlines()[-1:] == [
        "requests failed, so nothing was measured: {'some': 3}"
    ], done.stderr
    assert done.returncode == 1
