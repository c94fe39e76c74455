"""Version 3: a merchandiser's rules, all in one row: they are checked and changed as a whole."""

from __future__ import annotations

from crossaisle.serve.store.migrations.migration import Migration

SQLITE = "CREATE TABLE rules (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID"
POSTGRES = "CREATE TABLE rules (id TEXT PRIMARY KEY, body TEXT NOT NULL)"
RULES = Migration(version=3, sqlite=SQLITE, postgres=POSTGRES)
