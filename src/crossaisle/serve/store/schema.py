"""What statements of several modules share: version, columns and the names of tables."""

from __future__ import annotations

VERSION = 5
"""Of the last migration. A store of a later one was written by a newer crossaisle and is refused."""
CORE = frozenset({"events", "items", "users", "forgotten", "api_keys", "audit"})
"""Tables of a store of any version; whoever keeps one may have put tables of their own beside them."""
TABLES = CORE | {
    "changes",
    "experiments",
    "exposures",
    "meta",
    "packed_deeds",
    "packed_events",
    "packed_items",
    "packed_users",
    "pictures",
    "rules",
    "service",
    "service_hosts",
    "store_version",
}
INDEXES = frozenset(
    {
        "changes_by_seq",
        "events_by_user",
        "exposures_by_experiment",
        "exposures_by_user",
        "forgotten_by_time",
        "packed_deeds_unused",
        "packed_items_unused",
    }
)
COLUMNS = 'key, "user", item, kind, time, value, quantity'
"""Of `events`, in the order of the fields of `Event`. Statements use what all engines understand: `?` for
parameters, `INSERT ... ON CONFLICT`, and `"user"` in quotes, which is a reserved word elsewhere."""
CLAIM = "INSERT INTO service (id, run) VALUES ('', ?) ON CONFLICT (id) DO UPDATE SET run = excluded.run"
PROBE = bytes(65_536)
"""What is written to find out whether writing works again: more than an event needs."""
