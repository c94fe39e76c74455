"""A worker process: told what to serve by one line on stdin, it ends when stdin does.

`crossaisle.serve.workers` starts it. So nothing is left behind, whatever becomes of who started it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn

from crossaisle import sharing
from crossaisle.errors import CrossaisleError
from crossaisle.serve.board import Board
from crossaisle.serve.connections import BACKLOG, config
from crossaisle.serve.run import LAST_SECONDS, Settings, application, open_shops

POLITE_SECONDS = 0.002
"""A connection is left to workers with fewer of them for this time."""


def main() -> None:
    """Serves until it is told to stop."""
    told = json.loads(sys.stdin.readline())
    sharing.use(Path(told["shared"]))
    threading.Thread(target=_end_with_stdin, args=(told["shared"],), daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format=f"worker {told['worker']}: %(levelname)s: %(message)s")
    settings = Settings(**told["settings"])
    board = Board(told["board"], told["shops"], told["workers"])
    try:
        shops = open_shops(settings, board, told["worker"], told["run"])
        app = application(settings, shops)
    except CrossaisleError as error:
        _tell("error", " ".join(str(error).split()))
        raise SystemExit(1) from None
    server = Server(config(app, log_level="warning"), board, told["worker"])
    server.run(sockets=[socket.socket(fileno=told["socket"])])


class Server(uvicorn.Server):
    """Takes connections one by one, and leaves them to a worker that has fewer, if that is awake."""

    def __init__(self, config: uvicorn.Config, board: Board, worker: int) -> None:
        super().__init__(config)
        self._board, self._worker = board, worker
        self._joining: set[asyncio.Task[Any]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        for one in sockets or ():
            one.setblocking(False)
            one.listen(BACKLOG)
            self._watch(one)
        _tell("ready", "")

    async def on_tick(self, counter: int) -> bool:
        self._crowded()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        for one in sockets or ():
            loop.remove_reader(one)
        await super().shutdown(sockets)

    def _crowded(self) -> bool:
        return self._board.crowded(self._worker, len(self.server_state.connections) + len(self._joining))

    def _watch(self, listening: socket.socket) -> None:
        if not self.should_exit:
            asyncio.get_running_loop().add_reader(listening, self._knock, listening)

    def _knock(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if self._crowded():
            loop.remove_reader(listening)
            loop.call_later(POLITE_SECONDS, self._take, listening)
        else:
            self._take(listening)

    def _take(self, listening: socket.socket) -> None:
        if self.should_exit:
            return
        loop = asyncio.get_running_loop()
        try:
            accepted, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # another worker was quicker
            self._watch(listening)
            return
        except OSError as error:
            logging.getLogger(__name__).warning("no connection can be taken: %s", error)
            loop.remove_reader(listening)
            loop.call_later(1.0, self._watch, listening)
            return
        accepted.setblocking(False)
        joining = asyncio.ensure_future(loop.connect_accepted_socket(self._protocol, accepted))
        self._joining.add(joining)
        joining.add_done_callback(self._joined)
        self._watch(listening)

    def _joined(self, joining: asyncio.Task[Any]) -> None:
        self._joining.discard(joining)
        if not joining.cancelled() and (error := joining.exception()) is not None:
            logging.getLogger(__name__).warning("a connection was lost as it began: %s", error)

    def _protocol(self) -> asyncio.Protocol:
        # As `uvicorn.Server.startup` makes it.
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _tell(what: str, text: str) -> None:
    print(json.dumps({"crossaisle": what, "text": text}), flush=True)


def _end_with_stdin(shared: str) -> None:
    while os.read(0, 4096):
        pass
    shutil.rmtree(shared, ignore_errors=True)  # nobody else is there to do it
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
