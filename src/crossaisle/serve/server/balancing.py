"""`Server`: uvicorn's, which takes its connections from a socket that other workers take theirs from, too."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from crossaisle.serve.server.protocol import BACKLOG
from crossaisle.serve.server.shutdown import EndingServer
from crossaisle.serve.workers.shared_state import SharedState

POLITE_SECONDS = 0.002
"""A connection is left to workers with fewer of them for this time."""


class Server(EndingServer):
    """Takes connections one by one, and leaves them to a worker that has fewer, if that is awake."""

    def __init__(
        self, config: uvicorn.Config, board: SharedState, worker: int, ready: Callable[[], None]
    ) -> None:
        """`ready` is called once it answers."""
        super().__init__(config)
        self._board, self._worker, self._ready = board, worker, ready
        self._joining: set[asyncio.Task[Any]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        for one in sockets or ():
            one.setblocking(False)
            one.listen(BACKLOG)
            self._watch(one)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        self._crowded()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        for one in sockets or ():
            loop.remove_reader(one)
        await super().shutdown(sockets)

    def _crowded(self) -> bool:
        return self._board.has_spare_worker(
            self._worker, len(self.server_state.connections) + len(self._joining)
        )

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
