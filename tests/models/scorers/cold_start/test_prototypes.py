from __future__ import annotations

import numpy as np

from crossaisle.models.scorers.cold_start.prototypes import PrototypeRule, View, classify

MEMBERS = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1]], np.float32)
NAMES = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]], np.float32)
LABELS = np.array([0, 0, 1])
PLAIN = PrototypeRule()


def test_a_query_belongs_to_the_nearest_prototype() -> None:
    view, queries = View(MEMBERS, NAMES), np.eye(3, dtype=np.float32)
    scores = classify([view], LABELS, [queries], [PLAIN])
    first = np.array([1.8, 0.6, 0]) / np.linalg.norm([1.8, 0.6, 0])
    np.testing.assert_allclose(scores[:, 0], first, atol=1e-6)
    assert scores[2].argmax() == 1
    assert not scores[:, 2].any()  # a class without members and without a name that counts
    named = classify([view], LABELS, [queries], [PrototypeRule(name=0.1)])
    assert named[1].argmax() == 2


def test_centring_takes_out_what_all_share() -> None:
    shared = np.array([0, 5, 0], np.float32)
    view = View(MEMBERS + shared, NAMES + shared)
    plain = classify([view], LABELS, [MEMBERS + shared], [PLAIN])
    centred = classify([view], LABELS, [MEMBERS + shared], [PrototypeRule(centre=True)])
    assert plain.min() > -0.1
    assert centred[2, 0] < -0.9


def test_the_second_view_decides_where_the_first_is_blind() -> None:
    blind = View(np.ones((3, 3), np.float32), np.ones((3, 3), np.float32))
    query = [np.ones((1, 3), np.float32), np.array([[0, 0, 1]], np.float32)]
    scores = classify([blind, View(MEMBERS, NAMES)], LABELS, query)
    assert scores.shape == (1, 3)
    assert scores[0].argmax() == 1
