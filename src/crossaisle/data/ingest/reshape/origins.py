"""`Origins`: from which row of a source each row of the next one comes, where a step changes their number."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from crossaisle.data.ingest.source import Source

Rows = npt.NDArray[np.int64]


class Origins:
    """Grows batch by batch, and tells the rows of the file."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._starts: list[int] = []
        self._chunks: list[Rows] = []
        self._length = 0

    def add(self, origins: Rows) -> None:
        """The positions in the source of the next rows."""
        self._chunks.append(origins)
        self._starts.append(self._length)  # after the chunk: another thread may be looking
        self._length += len(origins)

    def file_rows(self, index: npt.NDArray[np.integer]) -> Rows:
        """As `Source.file_rows`."""
        if not len(index):
            return np.empty(0, np.int64)
        place = bisect_right(self._starts, int(index.min())) - 1
        start, chunk = self._starts[place], self._chunks[place]
        if index.max() - start < len(chunk):
            return self._source.file_rows(chunk[index - start])
        return self._source.file_rows(np.concatenate(self._chunks)[index])
