"""`Threads`: where one shop does slow work beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """One thread builds models and catalogues, others read the store, so that none holds up another."""

    def __init__(self) -> None:
        self._builder = ThreadPoolExecutor(1, "changes")
        self.readers = ThreadPoolExecutor(2, "reading")

    async def build(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs slow work, one piece after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._builder, work, *arguments)

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs what reads the store."""
        return await asyncio.get_running_loop().run_in_executor(self.readers, work, *arguments)

    def close(self) -> None:
        """Ends the threads once their work is done."""
        self._builder.shutdown(wait=True)
        self.readers.shutdown(wait=True)
