"""The embedded store: one SQLite file, held by one service, cleaned after deletions."""
