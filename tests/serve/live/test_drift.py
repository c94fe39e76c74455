"""Gauges of drift in /metrics."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.drift.summary import Summary
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.drift import DriftGauges
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Event
from tests.models.shops import FIRST_DAY, tiny_shop
from tests.serve.conftest import fitted

LATER = (FIRST_DAY + 30) * 86_400.0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ShopService]:
    data = tiny_shop(users=60)
    base = fitted(data)
    base.reference = Summary.of_model(data)
    base.save(tmp_path / "model")
    service = ShopService.open(tmp_path / "model", tmp_path / "store.sqlite")
    yield service
    service.close()


def events(items: list[str], n: int = 400, kind: str = "purchase", at: float = LATER) -> list[Event]:
    rng = np.random.default_rng(0)
    return [Event(None, f"u{i % 60}", items[rng.integers(len(items))], kind, at + i) for i in range(n)]


def drift_of(service: ShopService) -> dict[str, float]:
    gauges = DriftGauges(seconds=0.0).values(service.shop, service.memory.latest)
    return gauges


BOUGHT = [f"{name}{i}" for name in ("milk", "bread", "spade", "paint") for i in range(5)]


def test_gauges_tell_what_moved(served: ShopService):
    assert drift_of(served) == {"drift_events": 0.0}
    served.memory.count(events(BOUGHT))
    found = drift_of(served)
    assert found["drift_events"] == 400
    assert found["drift_categories"] < 0.1
    assert found["drift_prices"] < 0.1
    served.memory.count(events(["paint4"], 4000))
    found = drift_of(served)
    assert found["drift_categories"] > 0.25
    assert found["drift_prices"] > 0.25
    assert found["drift_new_items"] == 0.0


def test_only_later_events_of_the_kind_that_is_foretold_count(served: ShopService):
    served.memory.count(events(BOUGHT, kind="view"))
    served.memory.count(events(BOUGHT, at=0.0))
    assert drift_of(served) == {"drift_events": 0.0}


def test_items_that_the_model_does_not_have_are_told_apart(served: ShopService):
    served.memory.count(events(["hose"], 100))
    assert drift_of(served) == {"drift_events": 100.0, "drift_new_items": 1.0}


def test_an_answer_is_kept_for_a_while(served: ShopService):
    gauges = DriftGauges(seconds=3600.0)
    assert gauges.values(served.shop, served.memory.latest)["drift_events"] == 0.0
    served.memory.count(events(BOUGHT))
    assert gauges.values(served.shop, served.memory.latest)["drift_events"] == 0.0


def test_drift_gauges_are_in_the_metrics(served: ShopService):
    served.memory.count(events(["paint4"]))
    text = served.metrics.prometheus(served.gauges())
    (line,) = [line for line in text.splitlines() if line.startswith("crossaisle_drift_categories ")]
    assert float(line.split()[1]) > 0.25


def test_a_model_without_a_summary_has_none(shop: Dataset, tmp_path: Path):
    fitted(shop).save(tmp_path / "model")
    assert Recommender.load(tmp_path / "model").reference is None
    service = ShopService.open(tmp_path / "model", tmp_path / "store.sqlite")
    try:
        assert not any(name.startswith("drift") for name in service.gauges())
    finally:
        service.close()
