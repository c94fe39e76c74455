"""A model's vectors in PostgreSQL: found again, no password in a file, done without for a while."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("psycopg", reason="needs pip install 'crossaisle[postgres]'")

from benchmarks.local_servers import Postgres
from crossaisle.cli import run
from crossaisle.errors import CrossaisleError, StoreError
from crossaisle.models.search.in_database import PAUSE, Elsewhere, build_in_database, open_in_database
from crossaisle.models.search.int8_search import NearestRows
from crossaisle.models.search.postgres_search import PostgresRows
from tests.models.search.contract import CategoryIndexContract, categories, vectors
from tests.models.search.test_postgres_search import server
from tests.models.test_index_beside import encoder_of, retrieve_alike, save

__all__ = ["categories", "server", "vectors"]  # fixtures


@pytest.fixture(scope="module")
def rows(
    server: Postgres,
    vectors: np.ndarray,
    categories: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PostgresRows]:
    place = tmp_path_factory.mktemp("opened") / "items.index"
    build_in_database(place, server.url, vectors, categories - 1, source="drawn")
    opened = open_in_database(place)
    yield opened
    opened.close()


class TestOpened(CategoryIndexContract):
    least = 0.95

    def test_within_categories_is_among_their_rows(
        self, rows: PostgresRows, queries: np.ndarray, categories: np.ndarray
    ) -> None:
        """Categories are kept one higher, so that the unknown one is 0."""
        assert (rows.categories == categories).all()


def test_a_model_searches_in_the_database(server: Postgres, tmp_path: Path) -> None:
    save(tmp_path / "model")
    before = encoder_of(tmp_path / "model")
    assert run(["index", str(tmp_path / "model"), "--in", server.url]) == 0
    after = encoder_of(tmp_path / "model")
    assert isinstance(after._index, Elsewhere)
    retrieve_alike(before, after)
    assert after.in_memory is after._nearest
    after._index.close()


def test_the_password_is_in_no_file(server: Postgres, tmp_path: Path, vectors: np.ndarray) -> None:
    address, _, rest = server.url.partition("://")
    login, _, host = rest.rpartition("@")
    secret = f"{address}://{login.partition(':')[0]}:open-sesame@{host}"
    table = build_in_database(
        tmp_path / "x.index", secret, vectors[:50], np.zeros(50, np.int32), source="drawn"
    )
    for file in (tmp_path / "x.index").iterdir():
        assert b"open-sesame" not in file.read_bytes()
    said = json.loads((tmp_path / "x.index" / "index.json").read_text())
    assert said["table"] == table
    opened = open_in_database(tmp_path / "x.index")
    assert len(opened.search(vectors[:3], 5)) == 3
    opened.close()


@pytest.mark.parametrize(
    "address",
    ["", "mysql://h/v", "host=127.0.0.1 port=1 password=a s3cr3tPW", "postgresql://u:s3cr3tPW@127.0.0.1:1/v"],
)
def test_what_is_no_database_is_refused_without_its_password(tmp_path: Path, address: str) -> None:
    save(tmp_path / "model")
    with pytest.raises(CrossaisleError) as caught:
        build_in_database(
            tmp_path / "x.index", address, np.zeros((3, 4), np.float32), np.zeros(3, np.int32), source=""
        )
    assert "s3cr3tPW" not in str(caught.value)
    assert ("postgresql://" in str(caught.value)) == (address in ("", "mysql://h/v"))


class Silent:
    """An index whose database does not answer."""

    asked = 0
    known = np.ones(20, bool)

    def search(self, queries: np.ndarray, k: int, among: np.ndarray | None = None) -> np.ndarray:
        self.asked += 1
        raise StoreError("vectors in PostgreSQL cannot be searched (gone)")

    def close(self) -> None:
        """Nothing is open."""


def test_while_the_database_is_away_vectors_are_searched_in_memory(
    vectors: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    there, now = Silent(), [100.0]
    here = NearestRows.of(vectors[:20])
    index = Elsewhere(there, lambda: here, clock=lambda: now[0])
    wanted = here.search(vectors[:2], 5)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (index.search(vectors[:2], 5) == wanted).all()
    assert there.asked == 1
    (line,) = caplog.messages
    assert (
        line
        == "vectors in PostgreSQL cannot be searched (gone); vectors are searched in memory for 5 seconds"
    )
    now[0] += PAUSE
    index.search(vectors[:2], 5)
    assert there.asked == 2


@pytest.mark.parametrize("name", ["known.npy", "index.json", "manifest.json"])
def test_a_damaged_one_is_built_again(
    server: Postgres, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "model")
    command = ["index", str(tmp_path / "model"), "--in", server.url]
    assert run(command) == 0
    (tmp_path / "model.index" / name).write_bytes(b"{")
    with caplog.at_level(logging.WARNING):
        assert isinstance(encoder_of(tmp_path / "model")._index, NearestRows)
    assert run(command) == 0
    assert isinstance(encoder_of(tmp_path / "model")._index, Elsewhere)
