"""Models over texts."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.content import EncoderSimilarity, TfidfSimilarity
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
