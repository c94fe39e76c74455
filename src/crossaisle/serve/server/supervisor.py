"""`supervise`: several processes that answer on one port. Who dies is started again; all end together."""

from __future__ import annotations

import errno
import json
import logging
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from crossaisle.errors import ConfigError, CrossaisleError, StoreError
from crossaisle.serve.server.launch import Settings, decided
from crossaisle.serve.server.worker import LAST_SECONDS
from crossaisle.serve.workers.shared_state import SharedState
from crossaisle.sharing import SharedFolder

if TYPE_CHECKING:
    from crossaisle.serve.store.engine import Holding

_LOG = logging.getLogger(__name__)
LOOK_SECONDS = 0.05
PORT_SECONDS = 2.0
"""Workers of a supervisor that was killed hold the port for a moment."""
LONGEST_PAUSE = 30.0
"""Longest time before a worker that does not come up is tried again."""
MEND_SECONDS = 30.0
"""Stores that could not be taken are tried again after this time, as workers try their shops again."""


def supervise(settings: Settings, workers: int) -> None:
    """Starts workers and keeps them until it is told to stop. Raises what keeps them from starting."""
    settings.check()
    with closing(Stores(_places(settings))) as stores:
        settings = decided(settings)  # who is started again later does not decide anew
        board = SharedState.create(list(stores.places), workers)
        try:
            for name in stores.unmarked:
                board.unmarked(name)
            with _bound(settings.host, settings.port) as listening, closing(SharedFolder()) as shared:
                Supervisor(settings, board, listening, shared.path, stores).run()
        finally:
            board.close()


def _places(settings: Settings) -> dict[str, str]:
    """Where the store of each shop is."""
    if settings.shops is None:
        return {"": settings.place}
    from crossaisle.serve.tenants import read_shops

    return {name: shop.place for name, shop in read_shops(settings.shops).items()}


class Stores:
    """The stores of all shops, taken for the workers of this service. Tables are made here, once, before
    several look for them.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        """Raises the error of the only one, or of all where none can be taken."""
        self.places = dict(places)
        self.run = secrets.token_hex(8)
        """What tells this run of the service from others; the stores are marked with it."""
        self.unmarked: set[str] = set()
        """Those that can only be read at the moment."""
        self._held: dict[str, Holding] = {}
        self._wrong: dict[str, str] = {}
        self._end = threading.Event()
        self._take()
        if not self._held:
            why = [f"{name}: {wrong}" if name else wrong for name, wrong in self._wrong.items()]
            raise StoreError("; ".join(why))
        self._mending = threading.Thread(target=self._mend, name="stores", daemon=True)
        self._mending.start()

    @property
    def files(self) -> tuple[int, ...]:
        """For the workers to keep open: the stores are theirs until the last of them has ended."""
        return tuple(one.fd for one in list(self._held.values()) if one.fd is not None)

    def _take(self) -> None:
        from crossaisle.serve.store.store import Store

        for name in self.places.keys() - self._held.keys():
            try:
                store = Store(self.places[name], run=self.run, serving=True)
                if not store.marked:
                    self.unmarked.add(name)
                self._held[name] = store.handed_over()
            except StoreError as error:
                if name and self._wrong.get(name) != str(error):
                    _LOG.warning("shop %s: %s", name, error)
                self._wrong[name] = str(error)

    def _mend(self) -> None:
        while len(self._held) < len(self.places) and not self._end.wait(MEND_SECONDS):
            self._take()

    def close(self) -> None:
        """Gives them up."""
        self._end.set()
        self._mending.join()
        for one in self._held.values():
            one.close()


def _bound(host: str, port: int) -> socket.socket:
    """A socket that refuses until the first worker listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end = time.monotonic() + PORT_SECONDS
    while True:
        try:
            listening.bind((host, port))
            return listening
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                listening.close()
                why = error.strerror or error
                raise ConfigError(f"{host}:{port} cannot be listened on ({why})") from None
            time.sleep(LOOK_SECONDS)


class Worker:
    """One place at the board and the process in it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: subprocess.Popen[str] | None = None
        self.ready = False
        self.error = ""
        self.again = 0.0
        """When to start it again."""
        self.pause = 0.0

    def start(self, told: str, files: tuple[int, ...]) -> None:
        """Starts the process."""
        self.ready, self.error = False, ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "crossaisle.serve.server.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=files,
            start_new_session=True,  # Ctrl-C is for the supervisor, who tells the others
        )
        assert self.process.stdin is not None
        with suppress(OSError):  # it died at once, which is seen later
            self.process.stdin.write(told + "\n")
            self.process.stdin.flush()
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                said = json.loads(line)
                what, text = said["crossaisle"], said["text"]
            except (ValueError, TypeError, KeyError):
                print(line, end="", flush=True)
                continue
            if what == "ready":
                self.ready, self.pause = True, 0.0
            else:
                self.error = text


class Supervisor:
    """The process that was started by hand."""

    def __init__(
        self, settings: Settings, board: SharedState, listening: socket.socket, shared: Path, stores: Stores
    ) -> None:
        self._board, self._settings, self._shared, self._stores = board, settings, shared, stores
        self._files = (board.fd, listening.fileno())
        self._workers = [Worker(number) for number in range(board.workers)]
        self._stop = threading.Event()
        self._hurry = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT; a second one does not wait."""
        before = {one: signal.signal(one, self._signal) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            for worker in self._workers:
                self._start(worker)
            self._wait_for_all()
            while not self._stop.wait(LOOK_SECONDS):
                self._look()
        finally:
            self._end()
            for one, handler in before.items():
                signal.signal(one, handler)

    def _signal(self, *_: int | FrameType | None) -> None:
        self._hurry = self._stop.is_set()
        self._stop.set()

    def _start(self, worker: Worker) -> None:
        told = {
            "settings": asdict(self._settings),
            "board": self._board.fd,
            "socket": self._files[1],
            "shops": self._board.shops,
            "workers": self._board.workers,
            "worker": worker.number,
            "run": self._stores.run,
            "shared": str(self._shared),
        }
        worker.start(json.dumps(told), (*self._files, *self._stores.files))
        if worker.process is not None:
            _say(f"worker {worker.number}: process {worker.process.pid}")

    def _wait_for_all(self) -> None:
        """What keeps one from starting at first keeps all: nothing is tried again."""
        while not self._stop.wait(LOOK_SECONDS) and not all(worker.ready for worker in self._workers):
            for worker in self._workers:
                if worker.process is not None and worker.process.poll() is not None:
                    time.sleep(LOOK_SECONDS)  # for what it said at last
                    raise CrossaisleError(worker.error or f"worker {worker.number} died as it started")
        if not self._stop.is_set():
            where = f"http://{self._settings.host}:{self._settings.port}"
            _say(f"{len(self._workers)} workers serve on {where} (Ctrl-C ends)")

    def _look(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is None:
                if now >= worker.again:
                    self._start(worker)
            elif worker.process.poll() is not None:
                self._board.worker_exited(worker.number)
                why = worker.error or f"exit code {worker.process.returncode}"
                _say(f"worker {worker.number} died ({why}): started again")
                _close(worker.process)
                worker.process = None
                # At once; one that does not come up is given time.
                worker.again = now + worker.pause
                worker.pause = min(max(2 * worker.pause, 1.0), LONGEST_PAUSE)

    def _end(self) -> None:
        """All of them: what is under way is finished, and what does not end is ended."""
        running = [worker.process for worker in self._workers if worker.process is not None]
        for process in running:
            process.terminate()
        end = time.monotonic() + LAST_SECONDS + 2.0
        while any(process.poll() is None for process in running):
            if self._hurry or time.monotonic() > end:
                for process in running:
                    process.kill()
            time.sleep(LOOK_SECONDS)
        for process in running:
            _close(process)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _close(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
