"""`EndingServer`: uvicorn's, whose process ends some seconds after it was told to, whatever is under way."""

from __future__ import annotations

import logging
import os
import threading
import time
from types import FrameType

import uvicorn

from crossaisle.serve.server.worker import LAST_SECONDS


class EndingServer(uvicorn.Server):
    """Scoring cannot be interrupted, so it is not waited for for ever. Nothing acknowledged is lost."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            threading.Thread(target=_end, daemon=True).start()
        super().handle_exit(sig, frame)


def _end() -> None:
    time.sleep(LAST_SECONDS)
    logging.getLogger(__name__).error("still busy %g s after it was told to stop: ended", LAST_SECONDS)
    os._exit(1)
