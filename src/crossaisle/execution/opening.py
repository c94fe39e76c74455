"""`opened`: the executor selected by `--on`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crossaisle.errors import ConfigError, shown
from crossaisle.execution.executor import Executor, LocalExecutor
from crossaisle.execution.on_ray import RayExecutor, connected

LOCAL, RAY = "local", "ray"


@contextmanager
def opened(on: str) -> Iterator[Executor]:
    """The executor selected by `--on`: `local`, `ray`, or `ray://HOST:PORT` of a cluster's Ray Client server.

    `ray` is the cluster in `RAY_ADDRESS`, or a temporary one on this machine. Raises `ConfigError` for any
    other name and if no cluster answers, and `MissingDependencyError` without Ray.
    """
    if on == LOCAL:
        yield LocalExecutor()
        return
    if on != RAY and on.removeprefix(f"{RAY}://") in ("", on):
        raise ConfigError(f"--on {shown(on)}: must be {LOCAL}, {RAY} or {RAY}://HOST:PORT")
    with connected(None if on == RAY else on):
        yield RayExecutor()
