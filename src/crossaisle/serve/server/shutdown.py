"""`EndingServer`: uvicorn's server, in a process that ends in time even if requests are running."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from types import FrameType

import uvicorn

_LOG = logging.getLogger("uvicorn.error")


class EndingServer(uvicorn.Server):
    """Scoring cannot be interrupted, so it is not waited for indefinitely. Nothing acknowledged is lost."""

    def __init__(self, config: uvicorn.Config, *, last_seconds: float) -> None:
        """`last_seconds`: the process ends this long after it is told to, at the latest."""
        super().__init__(config)
        self._last_seconds = last_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Says where it listens; uvicorn does so only for sockets of its own making."""
        await super().startup(sockets)
        for listening in sockets or ():
            if self.started:
                host, port = listening.getsockname()[:2]
                shown = f"[{host}]" if ":" in host else host
                _LOG.info("Uvicorn running on http://%s:%d (Press CTRL+C to quit)", shown, port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            threading.Thread(target=_end, args=(self._last_seconds,), daemon=True).start()
        super().handle_exit(sig, frame)


def _end(seconds: float) -> None:
    time.sleep(seconds)
    logging.getLogger(__name__).error("still busy %g s after it was told to stop: ended", seconds)
    os._exit(1)
