"""What must not be lost: events, changed items, users, keys, experiments and the audit log."""
