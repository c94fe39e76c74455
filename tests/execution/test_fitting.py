"""Fits whose systems of equations are shared out: the weights are those of one process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from crossaisle import cli
from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.execution.executor import Executor
from crossaisle.models.scorers.learning.blocks import ridge_in_blocks
from crossaisle.models.scorers.learning.ridge import ridge_of_neighbours
from crossaisle.models.scorers.linear import EASE, SLIT
from crossaisle.pipeline.fit import fit
from crossaisle.recommend.recommender import Recommender
from tests.execution.ending import KillingExecutor
from tests.models.shops import tiny_shop

WITHIN = 1e-5


@pytest.fixture(scope="module")
def products() -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Of 300 items and 400 users, and what is left without the diagonal."""
    users = sparse.random(400, 300, 0.04, "csr", np.float32, random_state=0)
    gram = (users.T @ users).tocsr()
    together = (gram - sparse.diags_array(gram.diagonal(), format="csr")).tocsr()
    together.eliminate_zeros()
    return gram, together


def test_blocks_are_the_whole(
    products: tuple[sparse.csr_matrix, sparse.csr_matrix], executor: Executor
) -> None:
    whole = ridge_of_neighbours(*products, 2.0, 20)
    found = ridge_in_blocks(executor, *products, 2.0, 20, items=64)
    assert found.shape == whole.shape
    assert found.dtype == np.float32
    assert abs(found - whole).max() <= WITHIN
    assert whole.nnz > 3000


def test_a_worker_that_is_killed_changes_nothing(
    products: tuple[sparse.csr_matrix, sparse.csr_matrix], on_ray: Executor, marks: Path
) -> None:
    killing = KillingExecutor(on_ray, marks, frozenset({0, 3}))
    found = ridge_in_blocks(killing, *products, 2.0, 20, items=64)
    assert len(list(marks.glob("killed-*"))) == 2
    assert abs(found - ridge_of_neighbours(*products, 2.0, 20)).max() <= WITHIN


@pytest.mark.parametrize("model", [EASE, SLIT])
def test_models_are_those_of_one_process(model: type[EASE] | type[SLIT], executor: Executor) -> None:
    shop = tiny_shop(users=80)
    one, other = model(neighbours=6).fit(shop), model(neighbours=6).fit_on(shop, executor)
    assert abs(one.weights_ - other.weights_).max() <= WITHIN
    np.testing.assert_array_equal(one.known_, other.known_)


def test_a_shop_is_fitted_the_same(on_ray: Executor) -> None:
    plain = ModelConfig(
        encoder="none", sequence="off", ranker=False, parts={"slit": {"kind": "slit", "neighbours": 6}}
    )
    shop = tiny_shop(users=60)
    here, there = (
        fit(shop, split_config=SplitConfig(), model_config=plain, executor=one) for one in (None, on_ray)
    )
    for placement, weights in here.past.blend.weights.items():
        assert there.past.blend.weights[placement] == pytest.approx(weights, abs=1e-3)
    one, other = here.to_serve(shop), there.to_serve(shop, executor=on_ray)
    for name, part in one.blend.parts.items():
        twin = other.blend.parts[name]
        for field in part.learned:
            left, right = getattr(part, field), getattr(twin, field)
            if sparse.issparse(left):
                assert abs(left - right).max() <= WITHIN
            else:
                np.testing.assert_array_equal(left, right)


def test_the_fit_command_runs_on_ray(tmp_path: Path, on_ray: Executor) -> None:
    (tmp_path / "items.csv").write_text("item_id,title\n" + "\n".join(f"i{k},thing {k}" for k in range(9)))
    rows = [f"u{n % 12},i{(n * 7 + n // 12) % 9},2024-01-{1 + n // 12:02d}" for n in range(120)]
    (tmp_path / "events.csv").write_text("\n".join(["user_id,item_id,time", *rows]))
    (tmp_path / "shop.toml").write_text(
        '[data.items]\npath = "items.csv"\n[data.events]\npath = "events.csv"\n[model]\nencoder = "none"\n'
    )
    command = ["fit", str(tmp_path / "shop.toml"), "--out", str(tmp_path / "model"), "--on", "ray"]
    assert cli.run(command) == 0
    assert Recommender.load(tmp_path / "model").dataset.n_items == 9
