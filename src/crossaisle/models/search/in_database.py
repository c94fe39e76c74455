"""An index of a model's vectors in PostgreSQL: the table there, and what a model's folder keeps of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crossaisle.artifact import check, read_object, reading, write_json, writing
from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ArtifactError, ConfigError, MissingDependencyError, StoreError, shown
from crossaisle.models.search.postgres_search import NAME, PostgresRows
from crossaisle.models.search.row_index import RowIndex
from crossaisle.models.search.sharded_search import KIND, make_room
from crossaisle.models.topk import Mask

_LOG = logging.getLogger(__name__)
TABLE = "crossaisle_vectors_"
"""What names of tables begin with."""
PAUSE = 5.0
"""Seconds for which a database that did not answer is not asked again."""


def build_in_database(
    folder: str | Path, url: str, vectors: Floats, categories: npt.NDArray[np.int32], *, source: str
) -> str:
    """Writes a table for a matrix (n, d) and categories int32 (n,), -1 unknown, and a folder that leads
    to it.

    `source` says what the vectors are (a fingerprint). The address is kept without its password, which libpq
    then takes from `PGPASSWORD` or `~/.pgpass`. Returns the name of the table. Raises what
    `PostgresRows.of` raises, `ConfigError` for another kind of address, and `ArtifactError` where something
    else is in the folder.
    """
    scheme, marked, _ = url.partition("://")
    if not url.strip() or (marked and scheme not in ("postgresql", "postgres")):
        raise ConfigError(f"vectors cannot be held in {shown(url)!r}: give postgresql://HOST/DATABASE")
    make_room(Path(folder))
    categories = np.asarray(categories, np.int32) + np.int32(1)  # -1 is the unknown one
    table = TABLE + sha256(source.encode() + categories.tobytes()).hexdigest()[:16]
    with writing(folder, KIND) as place:
        rows = PostgresRows.of(url, table, vectors, categories)
        rows.close()
        write_json(place / "index.json", {"source": source, "database": _public(url), "table": table})
        np.save(place / "categories.npy", categories, allow_pickle=False)
        np.save(place / "known.npy", np.asarray(np.any(vectors, axis=1)), allow_pickle=False)
    return table


def in_database(folder: str | Path) -> bool:
    """Whether the index of a folder lies in a database; `ArtifactError` where it cannot be read."""
    return "database" in read_object(Path(folder) / "index.json")


def open_in_database(folder: str | Path) -> PostgresRows:
    """Opens what `build_in_database` wrote, without asking the database; `ArtifactError`."""
    folder = check(folder, KIND)
    said = read_object(folder / "index.json")
    with reading(folder):
        categories, known = (
            np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("categories", "known")
        )
        url, table = str(said["database"]), str(said["table"])
        fits = categories.dtype == np.int32 and known.dtype == bool and known.shape == categories.shape
        if not fits or categories.ndim != 1 or not NAME.fullmatch(table) or (categories < 0).any():
            raise ArtifactError(f"{folder}: damaged: its arrays do not fit together; build the index again")
    rows = PostgresRows(url, table, categories)
    rows.__dict__["known"] = known
    return rows


class InDatabase(RowIndex, Protocol):
    """`PostgresRows` is one."""

    def close(self) -> None: ...


class Elsewhere:
    """An index in a database; while that does not answer, one in memory is asked instead."""

    def __init__(
        self,
        index: InDatabase,
        here: Callable[[], RowIndex],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`here`: makes the one in memory, the first time that it is needed."""
        self._elsewhere, self._here, self._clock = index, here, clock
        self._again = -np.inf

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """bool (n,): rows that are not all zeros."""
        return self._elsewhere.known

    def search(self, queries: Floats, k: int, among: Mask | None = None) -> Rows:
        """As `RowIndex.search`."""
        if self._clock() >= self._again:
            try:
                return self._elsewhere.search(queries, k, among)
            except StoreError as error:
                self._again = self._clock() + PAUSE
                _LOG.warning("%s; vectors are searched in memory for %.0f seconds", error, PAUSE)
        return self._here().search(queries, k, among)

    def close(self) -> None:
        """Closes the connection; the next search opens another one."""
        self._elsewhere.close()


def _public(url: str) -> str:
    """An address without its password."""
    try:
        from psycopg.conninfo import conninfo_to_dict, make_conninfo
    except ImportError:
        raise MissingDependencyError("psycopg", "postgres", "a search in PostgreSQL") from None
    parts = conninfo_to_dict(url)
    return make_conninfo("", **{name: value for name, value in parts.items() if name != "password"})
