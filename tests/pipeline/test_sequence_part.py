"""When a sequence model takes part, where later fits of it stop, and what is said without torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.errors import ConfigError, MissingDependencyError
from crossaisle.models import defaults
from crossaisle.models.base import Scorer
from crossaisle.models.blend import Blend
from crossaisle.models.defaults import default_parts
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.scorers.sequence import SequenceTransformer
from crossaisle.pipeline.fit import fit_parts, refit
from crossaisle.pipeline.missing import missing_libraries
from tests.models.shops import tiny_shop
from tests.pipeline.shops import bought_once, supermarket

ROOT = Path(__file__).parents[2]
WHAT = ("crossaisle", "all", "ndcg")


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Nobody buys the same again, and there are enough events."""
    monkeypatch.setattr(defaults, "ENOUGH_EVENTS", 1000)
    return bought_once(100)


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)


def parts_of(shop: Dataset, how: str = "auto") -> set[str]:
    return set(default_parts(shop, encoder="none", sequence=how))


def test_takes_part_where_people_buy_once_and_there_is_enough(shop: Dataset) -> None:
    pytest.importorskip("torch")
    assert "sequence" in parts_of(shop)
    assert "sequence" not in parts_of(shop, "off")
    assert "sequence" not in parts_of(shop.with_events(np.arange(999)))
    assert "sequence" not in parts_of(supermarket(repeated=0.8))


@pytest.mark.usefixtures("without_torch")
def test_without_torch_there_is_none_and_fitting_one_says_how(shop: Dataset) -> None:
    assert "sequence" not in parts_of(shop)
    with pytest.raises(MissingDependencyError, match=r"torch.*pip install .*\[sequence\]'"):
        SequenceTransformer().fit(shop)


@pytest.mark.usefixtures("without_torch")
def test_a_run_without_torch_says_what_that_costs(shop: Dataset) -> None:
    (line,) = missing_libraries(shop, SplitConfig(), ModelConfig())
    assert line.endswith("[sequence]'")
    found = json.loads((ROOT / "docs" / "results" / "sequence" / "s3rec-beauty.json").read_text())
    (after,) = [r["value"] for r in found if (r["model"], r["slice"], r["metric"]) == WHAT]
    assert f"to {after:.4f})" in line
    assert missing_libraries(shop, SplitConfig(), ModelConfig(sequence="off")) == []
    assert missing_libraries(tiny_shop(), SplitConfig(), ModelConfig()) == []


@pytest.mark.usefixtures("without_torch")
def test_a_missing_library_is_told_before_anything_is_fitted(shop: Dataset) -> None:
    parts: dict[str, Scorer] = {"popularity": Popularity(), "sequence": SequenceTransformer()}
    with pytest.raises(MissingDependencyError, match="the model 'sequence' needs torch"):
        fit_parts(parts, shop)
    assert not hasattr(parts["popularity"], "item_ids_")


def test_lightgbm_is_missed_where_a_ranker_would_be_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    shop, last_out = tiny_shop(), SplitConfig(protocol="leave_last_out")
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    (line,) = missing_libraries(shop, last_out, ModelConfig())
    assert line.endswith("[rank]'")
    assert missing_libraries(shop, last_out, ModelConfig(ranker=False)) == []
    assert missing_libraries(shop, SplitConfig(), ModelConfig()) == [line]
    assert missing_libraries(shop, SplitConfig(protocol="baskets"), ModelConfig()) == []


def test_a_pass_to_stop_at_is_one_of_the_passes() -> None:
    with pytest.raises(ConfigError, match=r"stop must be from 1 to epochs \(found 13 and 12\)"):
        SequenceTransformer(stop=13)
    assert SequenceTransformer(stop=12).stop == 12


def test_later_fits_stop_where_the_first_did() -> None:
    pytest.importorskip("torch")
    shop = tiny_shop(users=40)
    small = SequenceTransformer(encoder="none", dimensions=8, hidden=8, epochs=3)
    first = Blend(parts={"sequence": small}, weights={"for_you": {"sequence": 1.0}})
    first.fit(shop.with_events(shop.events.user < 30))
    again, _ = refit(first, shop)
    part = again.parts["sequence"]
    assert isinstance(part, SequenceTransformer)
    assert part.stop == small.stop
    assert not np.array_equal(part.vectors_, small.vectors_)
