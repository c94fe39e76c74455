"""Random augmentation of texts, against memorisation."""

from __future__ import annotations

import numpy as np

from crossaisle.train_config import TrainConfig

PARTS = ". "
"""Separator that `Dataset.item_texts` puts between title, brand, category and attributes."""


def augment(text: str, config: TrainConfig, rng: np.random.Generator) -> str:
    """The text with parts shuffled, neighbouring spans swapped and words dropped, as configured.

    At least one word stays. Word dropout and span swap after Wei and Zou, EDA (EMNLP 2019).
    """
    if config.attribute_shuffle and rng.random() < config.attribute_shuffle:
        parts = text.split(PARTS)
        text = PARTS.join(parts[i] for i in rng.permutation(len(parts)))
    words = text.split()
    if config.span_swap and len(words) > 2 and rng.random() < config.span_swap:
        first, second, third = np.sort(rng.choice(len(words) + 1, 3, replace=False))
        words = words[:first] + words[second:third] + words[first:second] + words[third:]
    if config.word_dropout and words:
        kept = rng.random(len(words)) >= config.word_dropout
        kept[rng.integers(len(words))] = True
        words = [word for word, keep in zip(words, kept, strict=True) if keep]
    return " ".join(words)
