"""Search in PostgreSQL with pgvector answers what `NearestRows` answers, nearly exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("psycopg", reason="needs pip install 'crossaisle[postgres]'")

from benchmarks.local_servers import Missing, Postgres
from crossaisle.errors import ConfigError, StoreError
from crossaisle.models.search.postgres_search import PostgresRows
from tests.models.search.contract import (
    CategoryIndexContract,
    N,
    categories,
    clustered,
    found_of_best,
    vectors,
)

__all__ = ["categories", "vectors"]  # fixtures


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    try:
        one = Postgres()
    except Missing as missing:
        pytest.skip(str(missing))
    try:
        import psycopg

        with psycopg.connect(one.url, autocommit=True) as connection:
            names = connection.execute("SELECT name FROM pg_available_extensions").fetchall()
        if ("vector",) not in names:
            pytest.skip("needs a PostgreSQL with pgvector")
        yield one
    finally:
        one.close()


@pytest.fixture(scope="module")
def rows(server: Postgres, vectors: np.ndarray, categories: np.ndarray) -> Iterator[PostgresRows]:
    made = PostgresRows.of(server.url, "items", vectors, categories, memory_mb=64, few=50)
    yield made
    made.close()


class TestPostgresRows(CategoryIndexContract):
    least = 0.95


def test_a_small_filter_is_compared_as_a_whole(rows: PostgresRows, vectors: np.ndarray) -> None:
    queries = vectors[:20] + vectors[20:40]
    few = np.isin(np.arange(N), np.random.default_rng(2).integers(0, N, 40))
    found = rows.search(queries, 10, few)
    exact = np.where(few, queries @ vectors.T, -np.inf)
    assert found_of_best(found, exact, 10) >= 0.995  # but for half precision


def test_fewer_rows_than_are_asked_for(server: Postgres) -> None:
    small = clustered(7, 5)
    small[2] = 0.0
    made = PostgresRows.of(server.url, "small", small, np.zeros(7, np.int32), memory_mb=64)
    assert sorted(made.search(small[:1], 100)[0].tolist()) == list(range(7))
    assert made.known.tolist() == [True, True, False, True, True, True, True]
    made.close()


def test_a_connection_that_was_cut_is_opened_again(
    rows: PostgresRows, vectors: np.ndarray, server: Postgres
) -> None:
    queries = vectors[:20]
    before = rows.search(queries, 5)
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    with pytest.raises(StoreError, match="vectors in PostgreSQL cannot be searched"):
        rows.search(queries, 5)
    assert (rows.search(queries, 5) == before).all()


def test_an_invalid_table_name_is_refused(server: Postgres) -> None:
    with pytest.raises(ConfigError, match="a name is 1 to 41 small letters"):
        PostgresRows.of(server.url, "x; drop", clustered(5, 5), np.zeros(5, np.int32))
