"""Limits reach every part of the service, and every process."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path

import pytest

from crossaisle.errors import StoreError
from crossaisle.serve.limits.server import ServerLimits
from crossaisle.serve.limits.serving import ServingLimits
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.limits.workers import WorkerLimits
from crossaisle.serve.server.supervisor import Stores
from crossaisle.serve.store.store import Store


def test_workers_are_told_as_json() -> None:
    limits = ServingLimits(
        server=ServerLimits(max_connections=7, head_seconds=0.5), workers=WorkerLimits(follow_seconds=2.0)
    )
    assert ServingLimits.of(json.loads(json.dumps(asdict(limits)))) == limits
    assert ServingLimits.of(asdict(ServingLimits())) == ServingLimits()


@pytest.mark.parametrize("wing", [field.name for field in fields(ServingLimits)])
def test_nobody_changes_limits_that_others_hold(wing: str) -> None:
    found = getattr(ServingLimits(), wing)
    assert is_dataclass(found)
    assert hash(found) == hash(type(found)())


def test_what_holds_the_stores_of_workers_has_their_limits(tmp_path: Path) -> None:
    place = {"": str(tmp_path / "s.sqlite")}
    with closing(Store(place[""], serving=True)):
        start = time.monotonic()
        with pytest.raises(StoreError, match="served already"):
            Stores(place, 1.0, StoreLimits(hold_seconds=0.1))
        assert time.monotonic() - start < StoreLimits().hold_seconds
