"""Version 1: the first tables."""

from __future__ import annotations

from crossaisle.serve.store.migrations.migration import Migration

SQLITE = """
-- Some may be there: early versions committed each table on its own, and may have been killed between two.
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT UNIQUE,
    "user" TEXT NOT NULL,
    item TEXT NOT NULL,
    kind TEXT NOT NULL,
    time REAL NOT NULL,
    value REAL,
    quantity REAL
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_user ON events ("user");
CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forgotten (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS api_keys (
    digest BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL
) STRICT;
"""
POSTGRES = """
CREATE TABLE events (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key TEXT UNIQUE,
    "user" TEXT NOT NULL,
    item TEXT NOT NULL,
    kind TEXT NOT NULL,
    time DOUBLE PRECISION NOT NULL,
    value DOUBLE PRECISION,
    quantity DOUBLE PRECISION
);
CREATE INDEX events_by_user ON events ("user");
CREATE TABLE items (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE users (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE forgotten (digest BYTEA PRIMARY KEY);
CREATE TABLE api_keys (
    digest BYTEA PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    revoked BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE audit (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time DOUBLE PRECISION NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL
);
"""
TABLES = Migration(version=1, sqlite=SQLITE, postgres=POSTGRES)
