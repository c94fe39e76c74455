"""Windows of histories, what is held out, where vectors start, and where new items are put."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from crossaisle.data.history import Histories
from crossaisle.encoders.base import unit_rows
from crossaisle.models.scorers.sequence import SequenceTransformer
from tests.models.shops import tiny_shop

pytest.importorskip("torch")

from crossaisle.training.sequence import start
from crossaisle.training.sequence.held_out import HeldOut
from crossaisle.training.sequence.learner import _loss
from crossaisle.training.sequence.network import Block
from crossaisle.training.sequence.windows import Windows

LISTS = [[0, 1, 2, 3, 4, 5, 6], [7], [8, 9], [], [1, 1, 3]]
AS_THEY_ARE = np.arange(10)


def test_every_event_but_a_first_one_is_once_an_answer() -> None:
    windows = Windows.of(Histories.of(LISTS), AS_THEY_ARE, 3)
    assert windows.lengths.max() == 3
    answers = np.concatenate([windows.batch(np.array([row])).answers for row in range(len(windows))])
    assert sorted(answers.tolist()) == sorted(i for one in LISTS for i in one[1:])


def test_windows_stand_side_by_side_at_their_newest_events() -> None:
    windows = Windows.of(Histories.of([[5, 6, 7], [8, 9]]), AS_THEY_ARE, 4)
    batch = windows.batch(np.argsort(-windows.lengths))
    np.testing.assert_array_equal(batch.there, [[True, True], [False, True]])
    np.testing.assert_array_equal(batch.items[batch.there], [5, 6, 8])
    np.testing.assert_array_equal(batch.answers, [6, 7, 9])


def test_events_are_read_as_shares_of_the_strongest_and_learned_from_as_they_are() -> None:
    weight = np.array([0.1, 0.2, 0.1, 0.5, 1.0], np.float32)
    histories = replace(Histories.of([[5, 6, 7], [8, 9]]), weight=weight)
    windows = Windows.of(histories, AS_THEY_ARE, 4)
    batch = windows.batch(np.argsort(-windows.lengths))
    np.testing.assert_allclose(batch.weight, [[0.5, 1.0], [1.0, 0.5]])  # padding counts 1
    np.testing.assert_allclose(batch.worth, [0.2, 0.1, 1.0])
    alike = Windows.of(Histories.of([[5, 6, 7], [8, 9]]), AS_THEY_ARE, 4).batch(np.arange(2))
    assert (alike.weight == 1).all()
    assert (alike.worth == 1).all()


@pytest.mark.parametrize("negatives", [1, 1024])
def test_the_loss_is_a_mean_by_what_answers_are_worth(negatives: int) -> None:
    import torch

    shop = tiny_shop(users=4)
    model = SequenceTransformer(encoder="random", dimensions=8, hidden=8)
    block = Block(model, torch.from_numpy(np.random.default_rng(0).random((24, 8), np.float32))).eval()
    batch = Windows.of(shop.histories(), np.arange(24), 5).batch(np.arange(4))

    def loss(worth: np.ndarray) -> float:
        return float(_loss(block, batch._replace(worth=worth), negatives, np.random.default_rng(0)).detach())

    n = len(batch.answers)
    first, rest = np.zeros(n, np.float32), np.ones(n, np.float32)
    first[0], rest[0] = 1.0, 0.0
    both = (first + 3.0 * rest).astype(np.float32)
    assert loss(both) == pytest.approx(
        (loss(first) + 3.0 * (n - 1) * loss(rest)) / (1 + 3.0 * (n - 1)), rel=1e-5
    )
    assert loss(first) != pytest.approx(loss(rest), rel=1e-3)


def test_a_pass_reads_every_window_once_or_as_many_as_it_may() -> None:
    rng = np.random.default_rng(0)
    lists = [rng.integers(0, 10, rng.integers(2, 9)).tolist() for _ in range(200)]
    windows = Windows.of(Histories.of(lists), AS_THEY_ARE, 5)
    whole = np.concatenate([b.answers for b in windows.batches(16, 10**6, rng)])
    assert sorted(whole.tolist()) == sorted(i for one in lists for i in one[1:])
    part = np.concatenate([b.answers for b in windows.batches(16, 100, rng)])
    assert 95 < len(part) <= 105


def test_held_out_events_are_not_learned_from() -> None:
    lists = [[user, 5, user, 9] for user in range(5)] + [[1, 2]]
    histories, held = HeldOut.of(Histories.of(lists), AS_THEY_ARE, 20, np.random.default_rng(0))
    assert held is not None
    assert len(held.windows) == 1  # a tenth of six users, rounded up
    (user,) = held.had[0][:1].tolist()
    assert histories.items_of(user).tolist() == lists[user][:-1]
    assert held.windows.batch(np.array([0])).answers[-1] == 9
    assert HeldOut.of(Histories.of([[1, 2]]), AS_THEY_ARE, 20, np.random.default_rng(0))[1] is None


def test_vectors_start_as_the_principal_directions_of_texts() -> None:
    rng = np.random.default_rng(0)
    raw = unit_rows(rng.standard_normal((500, 12)) * np.linspace(3, 0.1, 12) + 1.0)
    raw[7] = 0.0
    found = start._whitened(raw, 4)
    there = np.arange(500) != 7
    assert not found[7].any()
    np.testing.assert_allclose(np.linalg.norm(found[there], axis=1), 1.0, rtol=1e-5)
    spread = np.cov(found[there].T)
    assert np.diag(spread).max() < 1.3 * np.diag(spread).min()
    assert np.abs(spread - np.diag(np.diag(spread))).max() < 0.03


def test_without_an_encoder_they_start_as_singular_vectors_of_words() -> None:
    rng = np.random.default_rng(0)
    words = sparse.random(80, 60, 0.2, random_state=rng, format="csr") @ sparse.diags(0.9 ** np.arange(60))
    found = start._of_words(words.tocsr(), 5)
    left, _, _ = np.linalg.svd(words.toarray(), full_matrices=False)
    expected = unit_rows(left[:, :5])
    np.testing.assert_allclose(np.abs(found @ found.T), np.abs(expected @ expected.T), atol=0.02)


def test_an_item_nobody_bought_moves_as_its_text_says() -> None:
    """Learned vectors are a linear map of the texts, so that what a new text becomes is known."""
    rng = np.random.default_rng(0)
    texts = unit_rows(rng.standard_normal((300, 6)))
    texts[4] = 0.0
    begin = start.starting_vectors(texts, rng)
    became = begin @ (np.eye(6) + 0.5 * rng.standard_normal((6, 6))).astype(np.float32)
    warm, counts = np.arange(10, 300), np.ones(300, np.int64)
    found = start.moved_by_text(begin, texts, became[warm], warm, counts)
    assert not found[4].any()
    new = np.array([0, 1, 2, 3, 5, 6])
    gone = np.linalg.norm(became[new] - begin[new])
    assert np.linalg.norm(found[new] - became[new]) < 0.25 * gone


def test_a_sample_of_wrong_answers_teaches_the_same() -> None:
    """With 20 items learned and 4 wrong ones a step, kitchens still come to kitchens."""
    shop = tiny_shop(users=60)
    model = SequenceTransformer(
        encoder="random", dimensions=8, hidden=8, epochs=8, learning_rate=1e-2, gentle=1.0, negatives=4
    ).fit(shop)
    kitchen, garden = ["milk3", "milk4", "bread3"], ["spade3", "spade4", "paint3"]
    scores = model.score([["milk0", "bread1", "milk2"]], kitchen + garden)[0]
    assert scores[:3].min() > scores[3:].max()


def test_no_more_items_than_the_limit_are_learned() -> None:
    shop = tiny_shop(users=60)
    model = SequenceTransformer(encoder="random", dimensions=8, hidden=8, epochs=2, max_items=7).fit(shop)
    busiest = np.argsort(-shop.item_counts, kind="stable")[:7]
    assert set(np.flatnonzero(model.vectors_.any(axis=1))) == set(busiest.tolist())
