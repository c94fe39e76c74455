"""Models over texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.content import EncoderSimilarity, TfidfSimilarity
from crossaisle.models.scorers.vectors.vector_model import DISLIKED
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop


class TestTfidfSimilarity(ScorerContract):
    weighs_fit = False
    scores_cold = True

    def make(self) -> TfidfSimilarity:
        return TfidfSimilarity()


class TestEncoderSimilarity(ScorerContract):
    weighs_fit = False
    scores_cold = True

    @pytest.fixture(autouse=True)
    def small_encoder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Letters:
            """Counts of letters: a stand-in with the encoder's promises and no weights to fetch."""

            fingerprint = "letters"

            def encode(self, texts: list[str], *, progress: bool = False) -> np.ndarray:
                rows = np.array([[t.count(c) for c in "abcdefghijklmnop"] for t in texts], np.float32)
                return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

        monkeypatch.setattr("crossaisle.encoders.cache.pretrained", lambda name, here=False: Letters())

    def make(self) -> EncoderSimilarity:
        return EncoderSimilarity()


def test_shared_words_are_parts_of_the_cosine_and_telling() -> None:
    shop = tiny_shop()
    model = TfidfSimilarity().fit(shop)
    words = dict(model.shared_words(0, 3))  # of one brand
    cosine = model.item_similarity(np.array([0], np.int32), np.array([3], np.int32))[0, 0]
    assert words
    assert 0 < sum(words.values()) < cosine
    assert "fresh" not in words  # every item is fresh


def test_the_most_similar_text_wins() -> None:
    shop = tiny_shop()
    model: Scorer = TfidfSimilarity().fit(shop)
    scores = model.score_rows(Histories.of([[0]]))[0]
    scores[0] = -np.inf
    assert shop.item_ids.id(int(scores.argmax())).startswith("milk")


@pytest.mark.parametrize("average", [False, True])
def test_what_is_like_a_disliked_item_loses(average: bool) -> None:
    shop = tiny_shop()
    scorer = TfidfSimilarity(average=average).fit(shop)
    row = shop.item_ids.row
    plain = Histories.of([[row("milk0"), row("bread1")]])
    against = replace(plain, disliked=Histories.of([[row("spade0"), row("spade1")]]))
    before, after = scorer.score_rows(plain)[0], scorer.score_rows(against)[0]
    cosines = scorer.item_similarity(
        np.array([row("spade0"), row("spade1")], np.int32), np.arange(shop.n_items)
    )
    np.testing.assert_allclose(before - after, DISLIKED * cosines.mean(axis=0), atol=1e-6)
    assert after[row("spade4")] < before[row("spade4")]
    [some] = scorer.score_at(against, [np.arange(shop.n_items, dtype=np.int32)])
    np.testing.assert_allclose(some, after, atol=1e-6)
    for item in (row("spade4"), row("milk3"), row("spade0")):
        events, rest = scorer.evidence(against, item)
        assert float(events.sum()) + rest == pytest.approx(float(after[item]), abs=1e-5)
        assert rest <= 0
    # In a batch, each history has its own.
    both = scorer.score_rows(Histories.joined([plain, against]))
    np.testing.assert_allclose(both, np.stack([before, after]), atol=1e-6)


def test_both_ways_to_multiply_by_shared_words_add_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an inverted index where queries say little, by all vectors where they say much: bit for bit."""
    part = TfidfSimilarity().fit(tiny_shop())
    histories = Histories.of([[0, 1, 2, 3], [4], list(range(10)), []])
    found = []
    for denser in (0, 10**9):
        monkeypatch.setattr("crossaisle.models.scorers.vectors.vector_model.DENSER", denser)
        found.append(part.score_rows(histories))
    np.testing.assert_array_equal(*found)
