"""The socket that the service listens on, bound before anything is loaded."""

from __future__ import annotations

import errno
import socket
import time

from crossaisle.errors import ConfigError, ConflictError

LOOK_SECONDS = 0.1
"""How often a port in use is tried again."""


def bound(host: str, port: int, seconds: float = 0.0) -> socket.socket:
    """A socket that refuses connections until somebody listens on it.

    A port in use is tried again for some `seconds`, then `ConfigError`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end = time.monotonic() + seconds
    while True:
        try:
            made.bind((host, port))
            return made
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                made.close()
                why = error.strerror or error
                told = f"cannot listen on {host}:{port} ({why})"
                if error.errno == errno.EADDRINUSE:
                    raise ConflictError(f"{told}: choose another with --port") from None
                raise ConfigError(told) from None
            time.sleep(LOOK_SECONDS)
