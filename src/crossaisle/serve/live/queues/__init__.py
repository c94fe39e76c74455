"""Work that waits for a thread: lists in batches, and what takes long in a queue of its own."""
