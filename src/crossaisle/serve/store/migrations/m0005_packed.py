"""Version 5: events packed into arrays. They are packed when the store is served, some at a time."""

from __future__ import annotations

from crossaisle.serve.store.migrations.migration import Migration

SQLITE = """
CREATE TABLE packed_users (code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE packed_items (code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, n INTEGER NOT NULL) STRICT;
CREATE INDEX packed_items_unused ON packed_items (code) WHERE n <= 0;
CREATE TABLE packed_deeds (code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, n INTEGER NOT NULL) STRICT;
CREATE INDEX packed_deeds_unused ON packed_deeds (code) WHERE n <= 0;
CREATE TABLE packed_events (
    part INTEGER NOT NULL,
    last INTEGER NOT NULL,
    n INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (part, last)
) STRICT;
"""
POSTGRES = """
CREATE TABLE packed_users (code BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE packed_items (code BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, n BIGINT NOT NULL);
CREATE INDEX packed_items_unused ON packed_items (code) WHERE n <= 0;
CREATE TABLE packed_deeds (code BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, n BIGINT NOT NULL);
CREATE INDEX packed_deeds_unused ON packed_deeds (code) WHERE n <= 0;
CREATE TABLE packed_events (
    part BIGINT NOT NULL,
    last BIGINT NOT NULL,
    n BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (part, last)
);
"""
PACKED = Migration(version=5, sqlite=SQLITE, postgres=POSTGRES)
