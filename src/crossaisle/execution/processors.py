"""`cores`: how many threads are worth starting."""

from __future__ import annotations

import os


def cores() -> int:
    """CPUs available to this process, but at most four: beyond that, threads mostly wait for each other
    here."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, 4)
