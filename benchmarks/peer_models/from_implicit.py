"""implicit: ALS, and item-item models weighted by BM25 or cosine."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

from typing import Any

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
from shared import SEED, Events, Fitted, Settings, grid, main


def als(events: Events, settings: Settings) -> Fitted:
    model = AlternatingLeastSquares(**settings, num_threads=1, random_state=SEED)
    model.fit(events.matrix(), show_progress=False)

    def score(users: np.ndarray, histories: Any) -> np.ndarray:
        factors, unknown = model.user_factors[users], np.flatnonzero(users < 0)
        if len(unknown):
            factors[unknown] = model.recalculate_user(unknown, histories[unknown])
        return factors @ model.item_factors.T

    return score


def bm25(events: Events, settings: Settings) -> Fitted:
    return _neighbours(BM25Recommender(**settings, num_threads=1), events)


def cosine(events: Events, settings: Settings) -> Fitted:
    return _neighbours(CosineRecommender(**settings, num_threads=1), events)


def _neighbours(model: BM25Recommender | CosineRecommender, events: Events) -> Fitted:
    model.fit(events.matrix(), show_progress=False)
    return lambda users, histories: np.asarray((histories @ model.similarity).todense(), np.float32)


main(
    {
        "als": (
            als,
            grid(
                factors=[64, 128, 256],
                regularization=[0.01, 0.1, 1.0],
                alpha=[1.0, 10.0, 40.0],
                iterations=[15, 30],
            ),
        ),
        "bm25": (bm25, grid(K1=[1.2, 0.5, 2.0, 100.0], B=[0.75, 0.2, 0.5, 0.9], K=[100, 500, 20])),
        "cosine": (cosine, grid(K=[100, 20, 50, 200, 500])),
    }
)
