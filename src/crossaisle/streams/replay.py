"""Replays a log of events into a running service: with the original gaps, divided by a speed.

Every event's idempotency key derives from the file's content and its row. So an interrupted replay can be
restarted: events that the service already has are skipped quickly, and the clock resumes after them.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.config import DataConfig, EventColumns, EventsConfig
from crossaisle.data.ingest.codes import Raw
from crossaisle.data.ingest.events import EventReader
from crossaisle.data.ingest.ledger import Ledger
from crossaisle.data.ingest.schema import match_columns
from crossaisle.data.ingest.sources import open_file
from crossaisle.errors import ConfigError
from crossaisle.progress import Advance, unwatched
from crossaisle.streams.sender import Sender, Sent, Stopped

BATCH = 500
"""Maximum number of events that are sent together when several are due."""
REASONS = 20
"""Maximum number of distinct reasons that are counted separately."""


@dataclass
class Log:
    """The events of a file, ordered by time."""

    raw: Raw
    order: npt.NDArray[np.intp]
    seconds: npt.NDArray[np.float64] | None
    """Seconds since 1970, ascending; None for a log without times."""
    has: frozenset[str]
    """Columns present in the file."""
    prefix: str
    set_aside: dict[str, int]
    """Rule -> rows that the reader could not use."""

    def __len__(self) -> int:
        return len(self.order)

    def event(self, place: int, *, with_time: bool) -> dict[str, Any]:
        """One event in the form that the service accepts."""
        raw, row = self.raw, int(self.order[place])
        event: dict[str, Any] = {
            "user": raw.users[raw.user[row]],
            "item": raw.items[raw.item[row]],
            "key": f"{self.prefix}:{row}",
        }
        event["kind"] = raw.kinds[raw.kind[row]]  # the kind that an import assumes if there is no such column
        for name, values in (("value", raw.value), ("quantity", raw.quantity)):
            if name in self.has and np.isfinite(values[row]):
                event[name] = round(float(values[row]), 6)
        if with_time and self.seconds is not None:
            event["time"] = float(self.seconds[place])
        return event


@dataclass
class Replayed:
    """Outcome of a replay."""

    events: int
    """Readable events in the file."""
    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    forgotten: int = 0
    """Events of users who have since been deleted, so not stored."""
    refused: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """Reason -> number of events refused for it."""
    set_aside: dict[str, int] = field(default_factory=dict)
    """Rule -> rows that could not be read."""
    seconds: float = 0.0
    behind_seconds: float = 0.0
    """How far the service lagged behind the log's pace, at most."""
    finished: bool = False


def read_log(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    time_unit: str | None = None,
    progress: bool = False,
) -> Log:
    """Reads events from CSV, TSV, JSONL or parquet, as `crossaisle run` does.

    `columns`: canonical name (`user_id`, `item_id`, `time`, ...) -> the file's name, where they differ.
    Raises `DataError` for an unusable file and `ConfigError` for a column that does not exist.
    """
    known = EventColumns.__dataclass_fields__
    for name in columns or {}:
        if name not in known:
            raise ConfigError(f"column {name!r}: must be one of {', '.join(known)}")
    config = DataConfig(events=EventsConfig(columns=EventColumns(**(columns or {}))), time_unit=time_unit)
    source = open_file(path, config.events)
    found = match_columns(config.events.columns, source.names, source.file)
    ledger = Ledger()
    raw = EventReader(source, found, config, ledger, None, None).read(progress)
    keys = [k for k in (raw.position, raw.micros) if k is not None]
    order = np.lexsort(keys) if keys else np.arange(len(raw))
    seconds = None if raw.micros is None else raw.micros[order] / 1e6
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    aside = dict(ledger.tallies["events"].set_aside.most_common())
    return Log(raw, order, seconds, frozenset(found), f"replay:{digest[:24]}", aside)


def replay(
    log: Log,
    sender: Sender,
    *,
    speed: float | None = 1.0,
    longest_gap: float | None = None,
    log_times: bool = True,
    advance: Advance = unwatched,
    clock: Callable[[], float] = time.monotonic,
) -> Replayed:
    """Replays a log until its end or until `sender.stop` is set.

    `speed`: multiple of the original speed, or None for as fast as the service accepts events. `longest_gap`:
    longer gaps, in seconds of the replay, are shortened to this. `log_times`: events keep the log's times
    instead of the times at which they are sent. Raises `ConfigError` if the log has no times.
    """
    if speed is not None and log.seconds is None:
        raise ConfigError("the log has no times to keep: use --speed max")
    total = Replayed(len(log), set_aside=log.set_aside)
    due = None if speed is None else _due(log, speed, longest_gap)
    reasons: Counter[str] = Counter()
    began = clock()
    start: float | None = None
    """When the first event was due; None while the service already knows the events."""
    place = 0
    try:
        while place < len(log):
            if due is None:
                end = min(place + BATCH, len(log))
            elif start is None:
                end = min(
                    place + (BATCH if place else 1), len(log)
                )  # the first one shows whether it had been sent before
            else:
                ahead = start + float(due[place]) - clock()
                if ahead > 0:
                    if sender.stop.wait(min(ahead, 1.0)):
                        break
                    continue
                total.behind_seconds = max(total.behind_seconds, -ahead)
                end = int(np.searchsorted(due, clock() - start, side="right"))
                end = min(max(end, place + 1), place + BATCH)
            sent = sender.send([log.event(n, with_time=log_times) for n in range(place, end)])
            if due is not None and start is None and sent.duplicates < end - place:
                start = clock() - float(due[end - 1])
            _count(total, sent, end - place, reasons)
            advance(end - place)
            place = end
            if sender.stop.is_set():
                break
    except Stopped:
        pass
    total.finished = place == len(log)
    total.reasons = dict(reasons.most_common(REASONS))
    total.seconds = round(clock() - began, 3)
    total.behind_seconds = round(total.behind_seconds, 3)
    return total


def _due(log: Log, speed: float, longest_gap: float | None) -> npt.NDArray[np.float64]:
    """Seconds from the start of the replay to each event."""
    assert log.seconds is not None
    gaps = np.diff(log.seconds, prepend=log.seconds[:1]) / speed
    return np.asarray(np.cumsum(gaps if longest_gap is None else np.minimum(gaps, longest_gap)), np.float64)


def _count(total: Replayed, sent: Sent, n: int, reasons: Counter[str]) -> None:
    total.sent += n
    total.accepted += sent.accepted
    total.duplicates += sent.duplicates
    total.forgotten += sent.forgotten
    total.refused += len(sent.refused)
    reasons.update(reason.split(" (found")[0] for _, reason in sent.refused)
