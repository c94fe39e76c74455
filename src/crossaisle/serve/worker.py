"""A worker process: told what to serve by one line on stdin, it ends when stdin does.

`crossaisle.serve.workers` starts it. So nothing is left behind, whatever becomes of who started it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
import time

import uvicorn

from crossaisle.errors import CrossaisleError
from crossaisle.serve.board import Board
from crossaisle.serve.connections import BACKLOG, config
from crossaisle.serve.run import LAST_SECONDS, Settings, application, open_shops


def main() -> None:
    """Serves until it is told to stop."""
    told = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format=f"worker {told['worker']}: %(levelname)s: %(message)s")
    settings = Settings(**told["settings"])
    board = Board(told["board"], told["shops"], told["workers"])
    try:
        shops = open_shops(settings, board, told["worker"], told["run"])
        app = application(settings, shops)
    except CrossaisleError as error:
        _tell("error", " ".join(str(error).split()))
        raise SystemExit(1) from None
    # One connection at a time is taken from the queue, so that workers that wait get their part of them.
    server = Server(config(app, backlog=1, log_level="warning"))
    server.run(sockets=[socket.socket(fileno=told["socket"])])


class Server(uvicorn.Server):
    """Says when it answers."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for one in sockets or ():
            one.listen(BACKLOG)
        _tell("ready", "")


def _tell(what: str, text: str) -> None:
    print(json.dumps({"crossaisle": what, "text": text}), flush=True)


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
