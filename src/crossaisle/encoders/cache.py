"""`CachedEncoder`: stores vectors on disk, so that no text is ever encoded twice."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.encoders.base import Encoder, unit_rows
from crossaisle.encoders.loading import open_encoder
from crossaisle.execution.executor import Executor, LocalExecutor, Task
from crossaisle.fetch import cache_dir
from crossaisle.progress import bar

CHUNK = 1024
"""Texts encoded between writes: the most that an interrupted run loses."""
BUSY_SECONDS = 60.0
_TABLE = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
_LOG = logging.getLogger(__name__)


class BlobFile:
    """Bytes under keys in one SQLite file that several processes may share.

    A damaged file is rebuilt; an inaccessible one costs time, never a result.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def blobs(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values of the keys that are stored."""
        found: dict[bytes, bytes] = {}
        with self._guarded("read"), closing(self._connect()) as connection:
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                marks = ",".join("?" * len(part))
                found.update(
                    connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part)
                )
        return found

    def keep(self, blobs: Mapping[bytes, bytes]) -> None:
        """Stores values, replacing existing ones."""
        with self._guarded("written"), closing(self._connect()) as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", list(blobs.items()))

    def _connect(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._file, timeout=BUSY_SECONDS)
        try:
            connection.execute(_TABLE)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @contextmanager
    def _guarded(self, verb: str) -> Iterator[None]:
        """Deletes a damaged cache file, and works without an inaccessible one."""
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            _LOG.warning("%s: could not be %s (%s): going on without the cache", self._file, verb, error)
        except sqlite3.DatabaseError as error:
            _LOG.warning("%s: damaged (%s): starting a new one", self._file, error)
            self._file.unlink(missing_ok=True)


class VectorFile(BlobFile):
    """Unit vectors, float16, under the hash of the content they were computed from."""

    def read(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """The intact vectors stored under the given keys."""
        found = self.blobs(keys)
        return _intact(
            {k: np.frombuffer(blob, np.float16) for k, blob in found.items() if len(blob) % 2 == 0}
        )

    def write(self, vectors: Mapping[bytes, np.ndarray]) -> None:
        """Stores float16 vectors under their keys."""
        self.keep({key: vector.tobytes() for key, vector in vectors.items()})


class CachedEncoder:
    """Stores vectors in one SQLite file per encoder, under the hash of their text.

    Vectors are stored as float16 (768 bytes for d = 384): the relative error of a component is at most 5e-4,
    the error of a cosine below 1e-4. Fresh vectors are rounded in the same way, so that first and later runs
    agree. Several processes may share the file. A damaged file or vector is computed again; a folder that
    cannot be written costs time, never a result.
    """

    def __init__(self, encoder: Encoder, folder: Path | None = None) -> None:
        self.encoder = encoder
        self._vectors = VectorFile((folder or cache_dir() / "vectors") / f"{encoder.fingerprint}.sqlite")

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the encoder."""
        return self.encoder.fingerprint

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Floats:
        """float32 (len(texts), d), rows of unit length; an empty text gives a row of zeros."""
        unique = list(dict.fromkeys(text for text in texts if text.strip()))
        known = self._vectors.read([_key(text) for text in unique])
        missing = [text for text in unique if _key(text) not in known]
        for fresh in self._made(missing, LocalExecutor(), lambda: self.encoder.encode, progress=progress):
            known |= fresh
        if not known:
            return self.encoder.encode(texts)
        zero = np.zeros(len(next(iter(known.values()))), np.float16)
        out: Floats = np.stack([known.get(_key(t), zero) for t in texts]).astype(np.float32)
        return unit_rows(out)

    def fill(
        self,
        texts: Sequence[str],
        executor: Executor,
        task: Task[Sequence[str], Floats],
        *,
        progress: bool = False,
    ) -> int:
        """Encodes and stores the texts that are not cached yet; returns their number.

        `task` opens the same encoder in a worker. Work done before an interruption is kept.
        """
        unique = list(dict.fromkeys(text for text in texts if text.strip()))
        known = self._vectors.read([_key(text) for text in unique])
        missing = [text for text in unique if _key(text) not in known]
        return sum(len(fresh) for fresh in self._made(missing, executor, task, progress=progress))

    def _made(
        self,
        missing: list[str],
        executor: Executor,
        task: Task[Sequence[str], Floats],
        *,
        progress: bool,
    ) -> Iterator[dict[bytes, np.ndarray]]:
        """Yields float16 vectors of distinct texts, chunk by chunk, each stored before it is yielded."""
        missing = sorted(missing, key=len, reverse=True)
        parts = [missing[start : start + CHUNK] for start in range(0, len(missing), CHUNK)]
        with bar("reading texts", len(missing), show=progress) as advance:
            for part, vectors in zip(parts, executor.map(task, parts), strict=True):
                half = vectors.astype(np.float16)
                fresh = {_key(text): vector for text, vector in zip(part, half, strict=True)}
                self._vectors.write(fresh)
                yield fresh
                advance(len(part))


_opened: WeakValueDictionary[tuple[str, Path], CachedEncoder] = WeakValueDictionary()
_opening = Lock()


def pretrained(name: str = "minilm", *, here: bool = False) -> CachedEncoder:
    """A pretrained encoder with its cache: a known name, a local folder, or "owner/name" on the hub.

    Returns the same object for the same weights (by hash) as long as it is in use, so that several models and
    shops in one process load them only once. Downloads the weights on first use; raises `FetchError` if they
    are unavailable, and `MissingDependencyError` if the library that contains them is not installed. `here`:
    downloads nothing.
    """
    fresh = CachedEncoder(open_encoder(name, here=here))
    with _opening:
        return _opened.setdefault((fresh.fingerprint, cache_dir()), fresh)


def _key(text: str) -> bytes:
    return content_key(text.encode(errors="surrogatepass"))


def content_key(content: bytes) -> bytes:
    """The cache key of some content."""
    return hashlib.blake2b(content, digest_size=16).digest()


def _intact(found: dict[bytes, np.ndarray]) -> dict[bytes, np.ndarray]:
    """Drops vectors of deviating width, or neither of unit length nor all zeros; these get encoded again."""
    widths = [len(vector) for vector in found.values()]
    if not widths:
        return {}
    width = max(set(widths), key=widths.count)
    whole = {key: vector for key, vector in found.items() if len(vector) == width}
    length = np.linalg.norm(np.stack(list(whole.values())).astype(np.float32), axis=1)
    good = (np.abs(length - 1) < 0.01) | (length == 0)
    return {key: vector for (key, vector), ok in zip(whole.items(), good, strict=True) if ok}
