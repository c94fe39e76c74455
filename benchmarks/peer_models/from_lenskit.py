"""LensKit: item-kNN, EASE and implicit ALS."""

from __future__ import annotations

import os

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LK_NUM_THREADS": "1"}

from typing import Any

import numpy as np
import pandas as pd
from lenskit.als import ImplicitMFScorer
from lenskit.data import ItemList, RecQuery, from_interactions_df
from lenskit.knn import ItemKNNScorer
from lenskit.knn.ease import EASEScorer
from shared import Events, Fitted, Settings, grid, main


def _fit(scorer: Any, events: Events) -> Fitted:
    frame = pd.DataFrame({"user_id": events.user, "item_id": events.item}).drop_duplicates()
    scorer.train(from_interactions_df(frame))
    every = ItemList(item_ids=np.arange(events.n_items))
    known, sold = set(frame["user_id"].tolist()), frame["item_id"].unique()

    def score(users: np.ndarray, histories: Any) -> np.ndarray:
        out = np.full((len(users), events.n_items), np.nan, np.float32)
        for at, user in enumerate(users.tolist()):
            if user in known or user < 0:
                had = ItemList(item_ids=np.intersect1d(histories[at].indices, sold))
                # An anonymous basket is described by its items.
                query = RecQuery(user_id=user if user >= 0 else None, history_items=had)
                out[at] = scorer(query, every).scores()
        return out

    return score


def item_knn(events: Events, settings: Settings) -> Fitted:
    return _fit(ItemKNNScorer(**settings, feedback="implicit"), events)


def ease(events: Events, settings: Settings) -> Fitted:
    return _fit(EASEScorer(**settings), events)


def als(events: Events, settings: Settings) -> Fitted:
    return _fit(ImplicitMFScorer(**settings), events)


main(
    {
        "item_knn": (item_knn, grid(max_nbrs=[20, 50, 100, 500], save_nbrs=[None, 500, 100])),
        "ease": (ease, grid(regularization=[100.0, 20.0, 50.0, 200.0, 500.0, 1000.0])),
        "als": (
            als,
            grid(embedding_size=[50, 100, 200], weight=[40.0, 10.0, 100.0], regularization=[0.1, 0.01, 1.0]),
        ),
    }
)
