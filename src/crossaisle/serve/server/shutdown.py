"""`EndingServer`: uvicorn's server, in a process that ends in time whatever is under way."""

from __future__ import annotations

import logging
import os
import threading
import time
from types import FrameType

import uvicorn


class EndingServer(uvicorn.Server):
    """Scoring cannot be interrupted, so it is not waited for indefinitely. Nothing acknowledged is lost."""

    def __init__(self, config: uvicorn.Config, *, last_seconds: float) -> None:
        """`last_seconds`: the process ends this long after it is told to, at the latest."""
        super().__init__(config)
        self._last_seconds = last_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            threading.Thread(target=_end, args=(self._last_seconds,), daemon=True).start()
        super().handle_exit(sig, frame)


def _end(seconds: float) -> None:
    time.sleep(seconds)
    logging.getLogger(__name__).error("still busy %g s after it was told to stop: ended", seconds)
    os._exit(1)
