"""Features of items, users and user-item pairs in one matrix, and the selection of those worth keeping."""
