"""Features of items, of users and of their pairs as one matrix, and which of them are worth keeping."""
