"""The process behind `served.Honest`: asks a service for lists at a constant rate until its stdin ends.

The first line of stdin is JSON: an API key, users and items. Prints one line per request: when it was due,
seconds until the answer, status.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import threading
import time
from typing import Any

AT_ONCE = 64
"""Requests that may run at a time; more are left out."""
GIVE_UP = 120.0
"""Seconds to wait for an answer."""


async def be_honest(port: int, rate: float, events: float) -> None:
    """Asks for lists, and sends an event now and then, until stdin ends."""
    told = json.loads(sys.stdin.readline())
    rng, users, run = random.Random(0), told["users"], f"{time.time_ns():x}"
    ended, idle, under_way = asyncio.Event(), list[Any](), set[asyncio.Task[None]]()
    threading.Thread(target=_until_closed, args=(asyncio.get_running_loop(), ended), daemon=True).start()
    key = f"Authorization: Bearer {told['key']}\r\n" if told["key"] else ""

    async def once(method: str, path: str, body: bytes, again: bool) -> int:
        """Status, 0 for none. `again`: on a connection used before, which may be closed by now."""
        reader, writer = idle.pop() if again else await asyncio.open_connection("127.0.0.1", port)
        try:
            head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{key}"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
            writer.write(head.encode() + b"\r\n" + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
        except (OSError, EOFError):
            writer.close()
            return 0
        except BaseException:
            writer.close()
            raise
        idle.append((reader, writer))
        return int(answer[9:12])

    async def ask(due: float, method: str, path: str, body: bytes = b"") -> None:
        status = 0
        try:
            async with asyncio.timeout(GIVE_UP):
                while idle and not status:
                    status = await once(method, path, body, True)
                status = status or await once(method, path, body, False)
        except (OSError, TimeoutError):
            pass
        print(f"{due:.4f} {time.monotonic() - due:.4f} {status}", flush=True)

    due, number = time.monotonic(), 0
    while not ended.is_set():
        due = max(due + 1 / rate, time.monotonic() - 1.0)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if len(under_way) >= AT_ONCE:
            continue
        number += 1
        user = rng.choice(users)
        if events and number % max(1, round(rate / events)) == 0:
            event = {"user": f"honest-{rng.randrange(50)}", "item": rng.choice(told["items"])}
            event["key"] = f"{run}-{number}"
            task = asyncio.create_task(ask(due, "POST", "/api/events", json.dumps(event).encode()))
        else:
            task = asyncio.create_task(ask(due, "GET", f"/api/recommend/{user}"))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)


def _until_closed(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    sys.stdin.read()
    loop.call_soon_threadsafe(ended.set)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True, help="port of the service")
    parser.add_argument("--rate", type=float, default=20.0, help="lists a second (default: %(default)s)")
    parser.add_argument("--events", type=float, default=2.0, help="events a second (default: %(default)s)")
    chosen = parser.parse_args()
    asyncio.run(be_honest(chosen.port, chosen.rate, chosen.events))
