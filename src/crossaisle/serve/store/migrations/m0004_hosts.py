"""Version 4: which processes serve from a store, so that those on several hosts wait for each other."""

from __future__ import annotations

from crossaisle.serve.store.migrations.migration import Migration

SQLITE = """
CREATE TABLE service_hosts (
    place INTEGER PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    seen REAL NOT NULL,
    changes_read INTEGER NOT NULL,
    changes_applied INTEGER NOT NULL,
    serving INTEGER NOT NULL,
    model TEXT NOT NULL
) STRICT
"""
POSTGRES = """
CREATE TABLE service_hosts (
    place BIGINT PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    seen DOUBLE PRECISION NOT NULL,
    changes_read BIGINT NOT NULL,
    changes_applied BIGINT NOT NULL,
    serving BIGINT NOT NULL,
    model TEXT NOT NULL
)
"""
HOSTS = Migration(version=4, sqlite=SQLITE, postgres=POSTGRES)
