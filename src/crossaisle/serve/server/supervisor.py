"""`supervise`: several worker processes on one port. Restarts workers that exit; stops them together."""

from __future__ import annotations

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

from crossaisle.errors import CrossaisleError, StoreError
from crossaisle.serve.limits.server import ServerLimits
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.limits.workers import WorkerLimits
from crossaisle.serve.server.bootstrap import decide_keyless
from crossaisle.serve.server.listening import bound
from crossaisle.serve.server.logs import say
from crossaisle.serve.server.settings import Settings
from crossaisle.serve.workers.shared_state import SharedState
from crossaisle.sharing import SharedFolder

if TYPE_CHECKING:
    from crossaisle.serve.limits.serving import ServingLimits
    from crossaisle.serve.store.engine import Holding

_LOG = logging.getLogger(__name__)
LOOK_SECONDS = 0.05
"""How often the workers are checked."""


def supervise(settings: Settings, workers: int, *, limits: ServingLimits | None = None) -> None:
    """Starts workers and keeps them running until it is told to stop. Raises what keeps them from starting.

    `limits`: other sizes and timeouts than the defaults. They are not loaded here without need: this process
    stays small.
    """
    settings.check()
    if settings.model is not None and "://" in settings.model:
        from crossaisle.serve.live.saved_models import local_copy

        local_copy(settings.model)  # once, before several workers look for it
    server = ServerLimits() if limits is None else limits.server
    of_stores = StoreLimits() if limits is None else limits.store
    with closing(Stores(_places(settings), server.reopen_seconds, of_stores)) as stores:
        settings = decide_keyless(settings, of_stores)  # a worker that is restarted does not decide again
        of_workers = WorkerLimits() if limits is None else limits.workers
        shared_state = SharedState.create(list(stores.places), workers, limits=of_workers)
        try:
            for name in stores.unmarked:
                shared_state.set_unmarked(name)
            with (
                bound(settings.host, settings.port, server.port_seconds) as listening,
                closing(SharedFolder()) as shared,
            ):
                Supervisor(settings, shared_state, listening, shared.path, stores, limits=limits).run()
        finally:
            shared_state.close()


def _places(settings: Settings) -> dict[str, str]:
    """Where the store of each shop is."""
    if settings.shops is None:
        return {"": settings.place}
    from crossaisle.serve.tenants import read_shops

    return {name: shop.place for name, shop in read_shops(settings.shops).items()}


class Stores:
    """The stores of all shops, held for the workers of this service. Tables are made here, once, before
    several workers look for them.
    """

    def __init__(
        self, places: Mapping[str, str], reopen_seconds: float, limits: StoreLimits = StoreLimits()
    ) -> None:
        """Raises the error of the only one, or of all where none can be held. `reopen_seconds`: those that
        cannot be held are tried again after this time.
        """
        self.places = dict(places)
        self.run = secrets.token_hex(8)
        """What tells this run of the service from others; the stores are marked with it."""
        self.unmarked: set[str] = set()
        """Those that can only be read at the moment."""
        self._held: dict[str, Holding] = {}
        self._wrong: dict[str, str] = {}
        self._reopen_seconds, self._limits = reopen_seconds, limits
        self._end = threading.Event()
        self._open()
        if not self._held:
            why = [f"{name}: {wrong}" if name else wrong for name, wrong in self._wrong.items()]
            raise StoreError("; ".join(why))
        self._reopening = threading.Thread(target=self._reopen_failed, name="stores", daemon=True)
        self._reopening.start()

    @property
    def files(self) -> tuple[int, ...]:
        """For the workers to keep open: the stores are theirs until the last of them has ended."""
        return tuple(held.fd for held in list(self._held.values()) if held.fd is not None)

    def _open(self) -> None:
        from crossaisle.serve.store.store import Store

        for name in self.places.keys() - self._held.keys():
            try:
                store = Store(self.places[name], run=self.run, serving=True, limits=self._limits)
                if not store.marked:
                    self.unmarked.add(name)
                self._held[name] = store.handed_over()
            except StoreError as error:
                if name and self._wrong.get(name) != str(error):
                    _LOG.warning("shop %s: %s", name, error)
                self._wrong[name] = str(error)

    def _reopen_failed(self) -> None:
        while len(self._held) < len(self.places) and not self._end.wait(self._reopen_seconds):
            self._open()

    def close(self) -> None:
        """Releases them."""
        self._end.set()
        self._reopening.join()
        for held in self._held.values():
            held.close()


class Worker:
    """One worker: its number, its process, and when to restart it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: subprocess.Popen[str] | None = None
        self.ready = False
        self.error = ""
        self.restart_at = 0.0
        self.pause = 0.0
        """Seconds to wait before the next restart."""

    def start(self, task: str, files: tuple[int, ...]) -> None:
        """Starts the process."""
        self.ready, self.error = False, ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "crossaisle.serve.server.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=files,
            start_new_session=True,  # Ctrl-C is for the supervisor, which tells the workers
        )
        assert self.process.stdin is not None
        with suppress(OSError):  # it exited at once, which is noticed later
            self.process.stdin.write(task + "\n")
            self.process.stdin.flush()
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                message = json.loads(line)
                what, text = message["crossaisle"], message["text"]
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
        self,
        settings: Settings,
        shared_state: SharedState,
        listening: socket.socket,
        shared_folder: Path,
        stores: Stores,
        *,
        limits: ServingLimits | None = None,
    ) -> None:
        self._settings, self._shared_state, self._stores = settings, shared_state, stores
        self._shared_folder, self._limits = shared_folder, limits
        self._server = ServerLimits() if limits is None else limits.server
        self._files = (shared_state.fd, listening.fileno())
        self._workers = [Worker(number) for number in range(shared_state.workers)]
        self._stop = threading.Event()
        self._hurry = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT; a second one does not wait."""
        before = {sig: signal.signal(sig, self._signal) for sig in (signal.SIGTERM, signal.SIGINT)}
        try:
            for worker in self._workers:
                self._start(worker)
            self._wait_for_all()
            while not self._stop.wait(LOOK_SECONDS):
                self._look()
        finally:
            self._end()
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _signal(self, *_: int | FrameType | None) -> None:
        self._hurry = self._stop.is_set()
        self._stop.set()

    def _start(self, worker: Worker) -> None:
        task = {
            "settings": asdict(self._settings),
            "limits": None if self._limits is None else asdict(self._limits),
            "shared_state": self._shared_state.fd,
            "socket": self._files[1],
            "shops": self._shared_state.shops,
            "workers": self._shared_state.workers,
            "worker": worker.number,
            "run": self._stores.run,
            "shared_folder": str(self._shared_folder),
        }
        worker.start(json.dumps(task), (*self._files, *self._stores.files))
        if worker.process is not None:
            say(f"worker {worker.number}: process {worker.process.pid}")

    def _wait_for_all(self) -> None:
        """What keeps one worker from starting at first ends all of them: nothing is tried again."""
        while not self._stop.wait(LOOK_SECONDS) and not all(worker.ready for worker in self._workers):
            for worker in self._workers:
                if worker.process is not None and worker.process.poll() is not None:
                    time.sleep(LOOK_SECONDS)  # for its last message
                    raise CrossaisleError(worker.error or f"worker {worker.number} exited during startup")
        if not self._stop.is_set():
            where = f"http://{self._settings.host}:{self._settings.port}"
            say(f"{len(self._workers)} workers serve on {where} (Ctrl-C ends)")

    def _look(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is None:
                if now >= worker.restart_at:
                    self._start(worker)
            elif worker.process.poll() is not None:
                self._shared_state.worker_exited(worker.number)
                why = worker.error or f"exit code {worker.process.returncode}"
                say(f"worker {worker.number} exited ({why}): restarted")
                _close(worker.process)
                worker.process = None
                # At once at first, then after longer and longer pauses if it does not come up.
                worker.restart_at = now + worker.pause
                worker.pause = min(max(2 * worker.pause, 1.0), self._server.max_restart_seconds)

    def _end(self) -> None:
        """Stops all workers: requests under way are finished, and processes that do not end are killed."""
        running = [worker.process for worker in self._workers if worker.process is not None]
        for process in running:
            process.terminate()
        end = time.monotonic() + self._server.last_seconds + 2.0
        while any(process.poll() is None for process in running):
            if self._hurry or time.monotonic() > end:
                for process in running:
                    process.kill()
            time.sleep(LOOK_SECONDS)
        for process in running:
            _close(process)


def _close(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
