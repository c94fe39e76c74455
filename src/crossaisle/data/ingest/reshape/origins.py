"""`Origins`: maps rows back to the file for steps that change the number of rows."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from crossaisle.data.ingest.source import Source

Rows = npt.NDArray[np.int64]


class Origins:
    """Built batch by batch; looks up row numbers in the file."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._starts: list[int] = []
        self._chunks: list[Rows] = []
        self._length = 0

    def add(self, origins: Rows) -> None:
        """Adds the source positions of the next rows."""
        self._chunks.append(origins)
        self._starts.append(self._length)  # appended after the chunk, as another thread may be reading
        self._length += len(origins)

    def file_rows(self, index: npt.NDArray[np.integer]) -> Rows:
        """See `Source.file_rows`."""
        if not len(index):
            return np.empty(0, np.int64)
        place = bisect_right(self._starts, int(index.min())) - 1
        start, chunk = self._starts[place], self._chunks[place]
        if index.max() - start < len(chunk):
            return self._source.file_rows(chunk[index - start])
        return self._source.file_rows(np.concatenate(self._chunks)[index])
