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
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from crossaisle.errors import ConfigError, CrossaisleError, StoreError
from crossaisle.serve.board import Board
from crossaisle.serve.run import Settings, decided
from crossaisle.serve.worker import LAST_SECONDS
from crossaisle.sharing import SharedFolder

_LOG = logging.getLogger(__name__)
LOOK_SECONDS = 0.05
PORT_SECONDS = 2.0
"""Workers of a supervisor that was killed hold the port for a moment."""
LONGEST_PAUSE = 30.0
"""Longest time before a worker that does not come up is tried again."""


def supervise(settings: Settings, workers: int) -> None:
    """Starts workers and keeps them until it is told to stop. Raises what keeps them from starting."""
    settings.check()
    names = _open_stores(settings)
    settings = decided(settings)  # who is started again later does not decide anew
    board = Board.create(names, workers)
    try:
        with _bound(settings.host, settings.port) as listening, closing(SharedFolder()) as shared:
            Supervisor(settings, board, listening, shared.path).run()
    finally:
        board.close()


def _open_stores(settings: Settings) -> list[str]:
    """Names of the shops. Tables are made here, once, before several look for them."""
    from crossaisle.serve.store import Store

    if settings.shops is None:
        Store(settings.place).close()
        return [""]
    from crossaisle.serve.shops import read_shops

    shops = read_shops(settings.shops)
    for name, shop in shops.items():
        try:
            Store(shop.place).close()
        except StoreError as error:
            _LOG.warning("shop %s: %s", name, error)  # the workers try again
    return list(shops)


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
            [sys.executable, "-m", "crossaisle.serve.worker"],
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

    def __init__(self, settings: Settings, board: Board, listening: socket.socket, shared: Path) -> None:
        self._board, self._settings, self._shared = board, settings, shared
        self._files = (board.fd, listening.fileno())
        self._run = secrets.token_hex(8)
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
            "run": self._run,
            "shared": str(self._shared),
        }
        worker.start(json.dumps(told), self._files)
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
                self._board.left(worker.number)
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
