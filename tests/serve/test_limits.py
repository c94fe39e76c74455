"""Limits reach every wing, and every process."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass

import pytest

from crossaisle.serve.limits.server import ServerLimits
from crossaisle.serve.limits.serving import ServingLimits
from crossaisle.serve.limits.workers import WorkerLimits


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
