"""Text as people and their files write it: control characters, ids, the words of a query."""
