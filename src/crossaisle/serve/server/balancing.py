"""`Server`: uvicorn's server, accepting from a socket that all workers share."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from crossaisle.serve.limits.server import ServerLimits
from crossaisle.serve.server.shutdown import EndingServer
from crossaisle.serve.workers.shared_state import SharedState


class Server(EndingServer):
    """Accepts connections one by one, and leaves them to a worker that has fewer, if that is awake."""

    def __init__(
        self,
        config: uvicorn.Config,
        shared_state: SharedState,
        worker: int,
        ready: Callable[[], None],
        *,
        limits: ServerLimits,
    ) -> None:
        """`ready` is called once it answers."""
        super().__init__(config, last_seconds=limits.last_seconds)
        self._shared_state, self._worker, self._ready, self._limits = shared_state, worker, ready, limits
        self._joining: set[asyncio.Task[Any]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        for listening in sockets or ():
            listening.setblocking(False)
            listening.listen(self._limits.backlog)
            self._watch(listening)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        self._publish_connections()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        for listening in sockets or ():
            loop.remove_reader(listening)
        await super().shutdown(sockets)

    def _publish_connections(self) -> bool:
        """Tells the other workers how many connections this one has; whether another one has fewer."""
        connections = len(self.server_state.connections) + len(self._joining)
        return self._shared_state.has_spare_worker(self._worker, connections)

    def _watch(self, listening: socket.socket) -> None:
        if not self.should_exit:
            asyncio.get_running_loop().add_reader(listening, self._connection_waits, listening)

    def _connection_waits(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if self._publish_connections():
            loop.remove_reader(listening)
            loop.call_later(self._limits.polite_seconds, self._accept, listening)
        else:
            self._accept(listening)

    def _accept(self, listening: socket.socket) -> None:
        if self.should_exit:
            return
        loop = asyncio.get_running_loop()
        try:
            accepted, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # another worker was quicker
            self._watch(listening)
            return
        except OSError as error:
            logging.getLogger(__name__).warning("no connection can be accepted: %s", error)
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
            logging.getLogger(__name__).warning("a connection was lost as it opened: %s", error)

    def _protocol(self) -> asyncio.Protocol:
        # As `uvicorn.Server.startup` makes it.
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
