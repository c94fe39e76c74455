"""Shops learn together in one process; what is personal is chosen on validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.splits.cases import Split
from crossaisle.data.splits.split import leave_last_out
from crossaisle.errors import ArtifactError, ConfigError, DataError
from crossaisle.training.federated.comparison import (
    WAYS,
    Member,
    compare,
    described,
    in_one_space,
    load_adapter,
    save_adapter,
)
from crossaisle.training.federated.config import FederatedConfig
from tests.models.shops import tiny_shop

CONFIG = FederatedConfig(rounds=2, local_steps=3, users=20, negatives=10)


def letters(texts: Sequence[str]) -> Floats:
    """float32 (n, 36): how often a text has each letter and digit."""
    signs = "abcdefghijklmnopqrstuvwxyz0123456789"
    return np.array([[text.count(sign) for sign in signs] for text in texts], np.float32)


def shops(n: int = 3) -> list[tuple[str, Dataset, Split]]:
    made = [replace(tiny_shop(users=40, seed=seed), name=f"shop{seed}") for seed in range(n)]
    return [(one.name, one, leave_last_out(one)) for one in made]


@pytest.fixture(scope="module")
def members() -> list[Member]:
    return in_one_space(shops(), letters)[0]


def test_all_shops_stand_in_one_space(members: list[Member]) -> None:
    np.testing.assert_allclose(members[0].vectors, members[2].vectors, atol=1e-6)  # the same texts
    np.testing.assert_allclose(np.linalg.norm(members[0].vectors, axis=1), 1.0, rtol=1e-4)


def test_every_way_is_measured_and_what_is_personal_is_no_worse_alone_on_validation(
    members: list[Member],
) -> None:
    said: list[str] = []
    found = compare(members, CONFIG, rates=(0.1, 0.5), cases=30, on="validation", say=said.append)
    assert [row.shop for row in found.rows] == ["shop0", "shop1", "shop2"]
    for row in found.rows:
        assert tuple(row.ndcg) == WAYS
        assert row.ndcg["personal"] >= max(row.ndcg["each alone"], row.ndcg["federated"]) - 1e-6
        difference, low, high = row.over_alone["personal"]
        assert low <= difference <= high
        assert difference == pytest.approx(row.ndcg["personal"] - row.ndcg["each alone"], abs=1e-5)
    assert found.rate in (0.1, 0.5)
    assert sum("on validation" in line for line in said) == 8
    assert described(found)[0]["of_pooled"].keys() == {"federated", "personal"}


def test_an_adapter_is_saved_with_what_belongs_to_it(members: list[Member], tmp_path: Path) -> None:
    three = shops()
    whitening = in_one_space(three, letters)[1]
    found = compare(members[:2], CONFIG, rates=(0.5,), cases=10)
    save_adapter(found.shared, whitening, "minilm", tmp_path / "shared")
    adapter, space, encoder = load_adapter(tmp_path / "shared")
    assert encoder == "minilm"
    histories = members[0].dataset.histories([0, 1])
    np.testing.assert_array_equal(
        adapter.score_rows(histories, space.apply(letters(members[0].dataset.item_texts))),
        found.shared.score_rows(histories, members[0].vectors),
    )
    (tmp_path / "shared" / "weights.npy").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"weights\.npy does not match its checksum"):
        load_adapter(tmp_path / "shared")


def test_one_shop_or_one_without_cases_is_refused() -> None:
    with pytest.raises(ConfigError, match="two shops or more"):
        in_one_space(shops(1), letters)
    name, dataset, split = shops(1)[0]
    silent = replace(split, test=split.test.take([]))
    with pytest.raises(DataError, match="shop0: has too few events"):
        in_one_space([(name, dataset, split), (name, dataset, silent)], letters)
