"""Columns of events that are too many for the memory, in nameless files."""
