"""A worker process: it is told what to serve by one line on stdin and ends when stdin does.

`crossaisle.serve.server.supervisor` starts it. So nothing is left behind, whatever becomes of the supervisor.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from crossaisle.serve.limits.server import ServerLimits


def main() -> None:
    """Serves until it is told to stop."""
    task: dict[str, Any] = json.loads(sys.stdin.readline())
    server = ServerLimits() if task["limits"] is None else ServerLimits(**task["limits"]["server"])
    # Before anything is loaded: while this process lives, nobody else can have the port.
    end = threading.Thread(
        target=_end_with_stdin, args=(task["shared_folder"], server.last_seconds), daemon=True
    )
    end.start()
    from crossaisle import sharing
    from crossaisle.errors import CrossaisleError
    from crossaisle.serve.limits.serving import ServingLimits
    from crossaisle.serve.server.balancing import Server
    from crossaisle.serve.server.bootstrap import application, open_shops
    from crossaisle.serve.server.logs import set_up
    from crossaisle.serve.server.protocol import config
    from crossaisle.serve.server.settings import Settings
    from crossaisle.serve.workers.shared_state import SharedState

    sharing.use(Path(task["shared_folder"]))
    worker = int(task["worker"])
    logs = set_up(task["settings"]["log_format"], worker)
    limits = ServingLimits() if task["limits"] is None else ServingLimits.of(task["limits"])
    shared_state = SharedState(task["shared_state"], task["shops"], task["workers"], limits=limits.workers)
    gc.disable()  # nearly everything that a start makes stays
    try:
        settings = Settings(**task["settings"])
        shops = open_shops(settings, shared_state, worker, task["run"], limits=limits)
        app = application(settings, shops, limits=limits)
    except CrossaisleError as error:
        _tell("error", " ".join(str(error).split()))
        raise SystemExit(1) from None
    gc.enable()
    listening = config(app, limits=server, log_level="warning", **logs)
    serving = Server(listening, shared_state, worker, lambda: _tell("ready", ""), limits=server)
    serving.run(sockets=[socket.socket(fileno=task["socket"])])


def _tell(what: str, text: str) -> None:
    print(json.dumps({"crossaisle": what, "text": text}), flush=True)


def _end_with_stdin(shared_folder: str, last_seconds: float) -> None:
    while os.read(0, 4096):
        pass
    shutil.rmtree(shared_folder, ignore_errors=True)  # nobody else is there to do it
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(last_seconds)
    os._exit(1)


if __name__ == "__main__":
    main()
