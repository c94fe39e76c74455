"""Cosines of candidates with the newest item: those of the part, history by history."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.models.ranking.texts import newest_cosines
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.vectors.vector_model import VectorModel
from tests.models.shops import tiny_shop


@pytest.mark.parametrize("dense", [False, True])
def test_cosines_are_those_of_each_candidate_with_the_newest_item(dense: bool) -> None:
    shop = tiny_shop(users=6)
    part: VectorModel = TfidfSimilarity().fit(shop)
    vectors = part.vectors_.tolil()
    vectors[3] = 0.0  # an item of which nothing is known
    part.vectors_ = vectors.toarray() if dense else vectors.tocsr()
    part.vectors_ = part.vectors_.astype(np.float32)
    histories = Histories.of([[5, 1], [], [0, 3], [2]])
    rows = [np.array(at, np.int32) for at in ([0, 1, 3, 7], [2, 4], [0, 5], [])]
    found = newest_cosines(part, histories, rows)
    full = np.asarray(part.vectors_ if dense else part.vectors_.toarray())
    expected = [float(full[1] @ full[at]) for at in (0, 1)]
    np.testing.assert_allclose(found[:2], expected, rtol=1e-5)
    assert found[1] == pytest.approx(1.0, rel=1e-5)
    assert np.isnan(found[2]), "nothing is known of the candidate"
    assert found[3] == pytest.approx(float(full[1] @ full[7]), abs=1e-6)
    assert np.isnan(found[4:]).all(), "no newest item, or one of which nothing is known"
    assert len(found) == 8
    assert newest_cosines(part, Histories.of([]), []).shape == (0,)
