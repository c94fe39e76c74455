"""A worker process: told what to serve by one line on stdin, it ends when stdin does.

`crossaisle.serve.server.supervisor` starts it. So nothing is left behind, whatever becomes of who started it.
"""

from __future__ import annotations

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

LAST_SECONDS = 25.0
"""A process ends so long after it was told to, at the latest."""


def main() -> None:
    """Serves until it is told to stop."""
    told = json.loads(sys.stdin.readline())
    # Before anything is loaded: while this process lives, nobody else can have the port.
    threading.Thread(target=_end_with_stdin, args=(told["shared"],), daemon=True).start()
    from crossaisle import sharing
    from crossaisle.errors import CrossaisleError
    from crossaisle.serve.server.balancing import Server
    from crossaisle.serve.server.launch import Settings, application, open_shops
    from crossaisle.serve.server.protocol import config
    from crossaisle.serve.workers.shared_state import SharedState

    sharing.use(Path(told["shared"]))
    logging.basicConfig(level=logging.WARNING, format=f"worker {told['worker']}: %(levelname)s: %(message)s")
    board = SharedState(told["board"], told["shops"], told["workers"])
    try:
        settings = Settings(**told["settings"])
        shops = open_shops(settings, board, told["worker"], told["run"])
        app = application(settings, shops)
    except CrossaisleError as error:
        _tell("error", " ".join(str(error).split()))
        raise SystemExit(1) from None
    made = config(app, log_level="warning")
    server = Server(made, board, told["worker"], lambda: _tell("ready", ""))
    server.run(sockets=[socket.socket(fileno=told["socket"])])


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
