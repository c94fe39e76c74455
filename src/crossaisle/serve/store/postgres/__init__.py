"""The store in a PostgreSQL database, held by a lock of a session."""
