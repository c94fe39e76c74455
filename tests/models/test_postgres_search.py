"""Search in PostgreSQL with pgvector answers what `NearestRows` answers, nearly exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("psycopg", reason="needs pip install 'crossaisle[postgres]'")

from benchmarks.local_servers import Missing, Postgres
from crossaisle.errors import ConfigError, StoreError
from crossaisle.models.search.int8_search import NearestRows
from crossaisle.models.search.postgres_search import PostgresRows
from tests.models.test_int8_search import clustered, found_of_best

N, D = 4_000, 48


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
def vectors() -> np.ndarray:
    return clustered(N, D)


@pytest.fixture(scope="module")
def categories() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 10, N).astype(np.int32)


@pytest.fixture(scope="module")
def rows(server: Postgres, vectors: np.ndarray, categories: np.ndarray) -> Iterator[PostgresRows]:
    made = PostgresRows.of(server.url, "items", vectors, categories, memory_mb=64, few=50)
    yield made
    made.close()


@pytest.fixture(scope="module")
def queries(vectors: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack([vectors[rng.integers(0, N, 3)].sum(axis=0) for _ in range(30)])


def test_the_best_ten_are_nearly_those_of_the_exact_index(
    rows: PostgresRows, vectors: np.ndarray, queries: np.ndarray
) -> None:
    found = rows.search(queries, 10)
    assert found.shape == (30, 10)
    assert found.dtype == np.int32
    assert found_of_best(found, queries @ vectors.T, 10) >= 0.95
    near = NearestRows.of(vectors).search(queries, 10)
    assert (
        np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), near.tolist(), strict=True)]) > 0.9
    )


@pytest.mark.parametrize("kind", ["categories", "some rows", "few rows", "one category"])
def test_filters_come_first(
    kind: str, rows: PostgresRows, vectors: np.ndarray, queries: np.ndarray, categories: np.ndarray
) -> None:
    rng = np.random.default_rng(2)
    among = {
        "categories": np.isin(categories, [1, 4]),
        "one category": categories == 7,
        "some rows": rng.random(N) < 0.1,
        "few rows": np.isin(np.arange(N), rng.integers(0, N, 40)),
    }[kind]
    found = rows.search(queries, 10, among)
    assert among[found].all()
    assert all(len(set(one)) == 10 for one in found.tolist())
    exact = np.where(among, queries @ vectors.T, -np.inf)
    assert found_of_best(found, exact, 10) >= 0.95
    if "categor" in kind:
        named = [1, 4] if kind == "categories" else [7]
        assert [list(one) for one in found] == rows.within(queries, 10, named)


def test_odd_sizes(rows: PostgresRows, queries: np.ndarray, server: Postgres, categories: np.ndarray) -> None:
    assert rows.search(queries[:0], 5).shape == (0, 5)
    assert rows.search(queries, 0).shape == (30, 0)
    few = np.isin(np.arange(N), [3, 5])
    found = rows.search(queries[:1], 10, few)
    assert sorted(found[0, :2].tolist()) == [3, 5]
    assert len(set(found[0].tolist())) == 10
    small = clustered(7, 5)
    small[2] = 0.0
    made = PostgresRows.of(server.url, "small", small, np.zeros(7, np.int32), memory_mb=64)
    assert sorted(made.search(small[:1], 100)[0].tolist()) == list(range(7))
    assert made.known.tolist() == [True, True, False, True, True, True, True]
    made.close()


def test_a_connection_that_was_cut_is_opened_again(
    rows: PostgresRows, queries: np.ndarray, server: Postgres
) -> None:
    before = rows.search(queries, 5)
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    with pytest.raises(StoreError, match="vectors in PostgreSQL cannot be searched"):
        rows.search(queries, 5)
    assert (rows.search(queries, 5) == before).all()


def test_what_cannot_be(server: Postgres) -> None:
    with pytest.raises(ConfigError, match="a name is 1 to 41 small letters"):
        PostgresRows.of(server.url, "x; drop", clustered(5, 5), np.zeros(5, np.int32))
