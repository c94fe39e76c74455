"""Version 2: digests of deleted users are made with a key of the store, and have the time of the deletion.

Tables that came within version 1, without a number of their own, are made where they are missing.
"""

from __future__ import annotations

import time

from crossaisle.serve.store.deleted_users import keyed
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.meta import make_people_key, mark_unclean
from crossaisle.serve.store.migrations.migration import Migration

SQLITE = """
ALTER TABLE forgotten RENAME TO forgotten_1;
CREATE TABLE forgotten (digest BLOB PRIMARY KEY, time REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX forgotten_by_time ON forgotten (time);
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS experiments (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS exposures (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment TEXT NOT NULL,
    arm TEXT NOT NULL,
    "user" TEXT NOT NULL,
    time REAL NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS exposures_by_experiment ON exposures (experiment, seq);
CREATE INDEX IF NOT EXISTS exposures_by_user ON exposures ("user");
CREATE TABLE IF NOT EXISTS changes (
    what TEXT NOT NULL,
    name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (what, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS changes_by_seq ON changes (seq);
CREATE TABLE IF NOT EXISTS pictures (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    address TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    vector BLOB NOT NULL,
    content BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS service (id TEXT PRIMARY KEY, run TEXT NOT NULL, probe BLOB) STRICT;
"""
POSTGRES = """
ALTER TABLE forgotten RENAME TO forgotten_1;
ALTER INDEX forgotten_pkey RENAME TO forgotten_1_pkey;
CREATE TABLE forgotten (digest BYTEA PRIMARY KEY, time DOUBLE PRECISION NOT NULL);
CREATE INDEX forgotten_by_time ON forgotten (time);
CREATE TABLE meta (name TEXT PRIMARY KEY, value BYTEA NOT NULL);
CREATE TABLE IF NOT EXISTS experiments (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS exposures (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    experiment TEXT NOT NULL,
    arm TEXT NOT NULL,
    "user" TEXT NOT NULL,
    time DOUBLE PRECISION NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS exposures_by_experiment ON exposures (experiment, seq);
CREATE INDEX IF NOT EXISTS exposures_by_user ON exposures ("user");
CREATE TABLE IF NOT EXISTS changes (
    what TEXT NOT NULL,
    name TEXT NOT NULL,
    seq BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (what, name)
);
CREATE INDEX IF NOT EXISTS changes_by_seq ON changes (seq);
CREATE TABLE IF NOT EXISTS pictures (
    id TEXT PRIMARY KEY,
    digest BYTEA NOT NULL,
    address TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    vector BYTEA NOT NULL,
    content BYTEA NOT NULL
);
CREATE TABLE IF NOT EXISTS service (id TEXT PRIMARY KEY, run TEXT NOT NULL, probe BYTEA);
"""
_LINE = "deleted person "
"""How lines of the audit log begin that show the beginning of a digest."""


def _key_digests(connection: SqlConnection) -> None:
    """Digests without a key become digests with one, also in the audit log."""
    key, now = make_people_key(connection), time.time()
    plain = [bytes(row[0]) for row in connection.execute("SELECT digest FROM forgotten_1").fetchall()]
    digests = [keyed(key, digest) for digest in plain]
    connection.executemany(
        "INSERT INTO forgotten (digest, time) VALUES (?, ?)", [(digest, now) for digest in digests]
    )
    shown = {old.hex()[:16]: new.hex()[:16] for old, new in zip(plain, digests, strict=True)}
    lines = connection.execute("SELECT seq, what FROM audit WHERE what LIKE ?", (f"{_LINE}%",)).fetchall()
    for seq, what in lines:
        digest, comma, rest = what.removeprefix(_LINE).partition(",")
        line = f"{_LINE}{shown.get(digest, '(unknown)')}{comma}{rest}"
        connection.execute("UPDATE audit SET what = ? WHERE seq = ?", (line, seq))
    connection.execute("DELETE FROM changes WHERE what = 'forgotten'")
    connection.execute("DROP TABLE forgotten_1")
    if plain or lines:
        mark_unclean(connection)


DELETIONS = Migration(version=2, sqlite=SQLITE, postgres=POSTGRES, data=_key_digests)
