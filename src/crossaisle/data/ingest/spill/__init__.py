"""Columns of events too large for memory, in unnamed temporary files."""
