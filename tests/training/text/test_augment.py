"""Augmented texts keep their words' meaning: nothing invented, never empty."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossaisle.train_config import TrainConfig
from crossaisle.training.text.augment import augment

TEXT = "Trail shoe red. Acme. Sports > Shoes. waterproof"


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.9))
def test_words_are_never_invented_and_never_all_lost(seed: int, share: float) -> None:
    config = TrainConfig(moves="lora", word_dropout=share, span_swap=0.5, attribute_shuffle=0.5)
    words = augment(TEXT, config, np.random.default_rng(seed)).split()
    assert words
    assert {w.strip(".") for w in words} <= {w.strip(".") for w in TEXT.split()}


def test_without_augmentation_the_text_stays() -> None:
    assert augment(TEXT, TrainConfig(), np.random.default_rng(0)) == TEXT


def test_parts_change_order_and_spans_change_places() -> None:
    shuffled = augment(TEXT, TrainConfig(attribute_shuffle=1.0), np.random.default_rng(1))
    assert shuffled != TEXT
    assert sorted(shuffled.split(". ")) == sorted(TEXT.split(". "))
    swapped = augment("a b c d", TrainConfig(span_swap=1.0), np.random.default_rng(3))
    assert swapped != "a b c d"
    assert sorted(swapped.split()) == list("abcd")
