"""`cores`: how many threads are worth starting."""

from __future__ import annotations

import os


def cores() -> int:
    """Processors that this process may use, at most four: more threads wait for each other here."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, 4)
