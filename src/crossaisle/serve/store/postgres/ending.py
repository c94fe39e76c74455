"""`ended`: waits for a thread that talks to the database, but not for a database that does not answer."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_LOG = logging.getLogger(__name__)
ANSWER_SECONDS = 3.0
"""Seconds that an answer may take before the session is given up."""


def ended(
    thread: threading.Thread, session: Callable[[], Any], errors: tuple[type[Exception], ...], name: str
) -> None:
    """Joins a thread that has been told to end. `session`: the connection on which it may wait for an answer,
    or None; after `ANSWER_SECONDS` its line is cut, so that the thread gets an error of `errors`. Closing the
    connection under the thread instead would free what it reads. `name`: of the store.
    """
    thread.join(ANSWER_SECONDS)
    while thread.is_alive():
        if (connection := session()) is not None:
            _LOG.warning("%s: does not answer; its session is given up", name)
            with suppress(OSError, *errors), socket.socket(fileno=os.dup(connection.raw.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)
        thread.join(ANSWER_SECONDS)
