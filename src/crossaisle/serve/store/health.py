"""`Condition`: whether a store takes writes, and one line in the log when that changes."""

from __future__ import annotations

import logging
import time

from crossaisle.serve.store.engine import Trouble

_LOG = logging.getLogger(__name__)


class Condition:
    """Told by the writer and by readers, of every failure; tells the operator once."""

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
        """Whether nothing but a new start helps."""

    def failed(self, trouble: Trouble) -> None:
        """The store failed."""
        if self.lasting:  # there is no more to say
            return
        self._failed_at = time.monotonic()
        self.reason, self.lasting = trouble.reason, trouble.lasting
        if trouble.reason not in self._told:
            self._told.add(trouble.reason)
            _LOG.error("%s: %s", self._name, trouble.reason)

    def worked(self) -> None:
        """Something was written."""
        if self.reason and not self.lasting and time.monotonic() - self._failed_at >= self._calm_seconds:
            self.reason = ""
            self._told.clear()
            _LOG.warning("%s: writing works again", self._name)
