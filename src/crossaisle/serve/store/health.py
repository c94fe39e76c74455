"""`Condition`: whether a store takes writes, and one line in the log when that changes."""

from __future__ import annotations

import logging
import time

from crossaisle.serve.store.engine import Trouble

_LOG = logging.getLogger(__name__)


class Condition:
    """Collects failures from the writer and from readers, and logs each reason once."""

    def __init__(self, name: str, calm_seconds: float) -> None:
        """`name`: of the store. `calm_seconds`: without a failure, before a write that succeeds counts as the
        end of the trouble.
        """
        self._name, self._calm_seconds = name, calm_seconds
        self._told: set[str] = set()
        self._failed_at = 0.0
        self.reason = ""
        """Why writes fail; "" while they do not."""
        self.lasting = False
        """Whether only a restart helps."""

    def failed(self, trouble: Trouble) -> None:
        """Notes a failure."""
        if self.lasting:  # there is no more to say
            return
        self._failed_at = time.monotonic()
        if trouble.reason not in self._told:
            self._told.add(trouble.reason)
            _LOG.error("%s: %s", self._name, trouble.reason)  # whoever sees the state finds why in the log
        self.reason, self.lasting = trouble.reason, trouble.lasting

    def worked(self) -> None:
        """Notes a write that succeeded."""
        if self.reason and not self.lasting and time.monotonic() - self._failed_at >= self._calm_seconds:
            self.reason = ""
            self._told.clear()
            _LOG.warning("%s: writing works again", self._name)
