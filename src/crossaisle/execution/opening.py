"""`opened`: the executor that `--on` names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crossaisle.errors import ConfigError, shown
from crossaisle.execution.executor import Executor, LocalExecutor
from crossaisle.execution.on_ray import RayExecutor, connected

LOCAL, RAY = "local", "ray"


@contextmanager
def opened(on: str) -> Iterator[Executor]:
    """The executor that `--on` names: `local`, `ray`, or `ray://HOST:PORT` of a cluster's Ray Client server.

    `ray` is the cluster that `RAY_ADDRESS` names, or one of this machine that is started for as long as it
    is needed. Raises `ConfigError` for another name and where no cluster answers, and
    `MissingDependencyError` without Ray.
    """
    if on == LOCAL:
        yield LocalExecutor()
        return
    if on != RAY and on.removeprefix(f"{RAY}://") in ("", on):
        raise ConfigError(f"--on {shown(on)}: must be {LOCAL}, {RAY} or {RAY}://HOST:PORT")
    with connected(None if on == RAY else on):
        yield RayExecutor()
