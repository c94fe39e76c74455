"""Sizes, timeouts and intervals: what may be set, one object per wing."""
