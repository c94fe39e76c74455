"""`TotalsTable`: sums per day, of recommendations and of events."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future

from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.meta import put_value, values_of
from crossaisle.serve.store.store import Store

_BY_DAY = f"""
    SELECT CAST(time AS BIGINT) / {SECONDS_PER_DAY:.0f} AS day, kind, count(*),
    sum(value * coalesce(quantity, 1))
    FROM events WHERE time >= ? GROUP BY 1, 2 ORDER BY 1, 2
"""


class TotalsTable:
    """Rows of `meta`, one per day and worker: each worker writes its own."""

    def __init__(self, store: Store, worker: int = 0, name: str = "totals") -> None:
        """`name`: of what; "totals" are sums of what lists led to."""
        self._store, self._worker, self._name = store, worker, name

    def put(self, days: Mapping[int, str]) -> Future[None]:
        """Keeps the sums of some days, as JSON."""

        def work(connection: SqlConnection) -> None:
            for day, body in days.items():
                put_value(connection, f"{self._name} {day} {self._worker}", body.encode())

        return self._store.submit(work)

    def own(self) -> list[tuple[int, str]]:
        """Days and sums of this worker."""
        return [(day, body) for day, worker, body in self._rows() if worker == self._worker]

    def others(self, first_day: int) -> list[tuple[int, str]]:
        """Days and sums of other workers, from a day on."""
        return [(d, body) for d, worker, body in self._rows() if worker != self._worker and d >= first_day]

    def _rows(self) -> list[tuple[int, int, str]]:
        with self._store.reading() as connection:
            rows = values_of(connection, f"{self._name} ")
        return [(int(name.split()[1]), int(name.split()[2]), body.decode()) for name, body in rows]

    def events(self, first_day: int) -> list[tuple[int, str, int, float]]:
        """Day, kind, number of events and sum of value by quantity."""
        with self._store.reading() as connection:
            rows = connection.execute(_BY_DAY, (first_day * SECONDS_PER_DAY,)).fetchall()
        return [(int(day), kind, int(n), float(value or 0.0)) for day, kind, n, value in rows]
