from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossaisle.execution.executor import Executor, LocalExecutor

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on loopback


@pytest.fixture(scope="session")
def on_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """Two workers of a Ray cluster on this machine that ends with the tests."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    from crossaisle.execution.on_ray import RayExecutor

    ray.init(
        "local",
        num_cpus=2,
        object_store_memory=100_000_000,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield RayExecutor()
    ray.shutdown()


@pytest.fixture(params=["local", "ray"])
def executor(request: pytest.FixtureRequest) -> Executor:
    """Every way to run: each test that asks for it runs on all of them."""
    return LocalExecutor() if request.param == "local" else request.getfixturevalue("on_ray")


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """A folder in which workers record what they did."""
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder
