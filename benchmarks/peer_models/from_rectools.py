"""RecTools: SASRec with its losses, and EASE."""

from __future__ import annotations

import os

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import EASEModel, SASRecModel
from rectools.models.base import ModelBase
from shared import DEVICE, SEED, Events, Fitted, Settings, customers_alone, grid, main

warnings.simplefilter("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
torch.set_num_threads(1)


def _fit(model: ModelBase, events: Events) -> Fitted:
    seed_everything(SEED, verbose=False)
    order = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(events.user)), unit="s")
    frame = pd.DataFrame(
        {Columns.User: events.user, Columns.Item: events.item, Columns.Weight: 1.0, Columns.Datetime: order}
    )
    dataset = Dataset.construct(frame)
    model.fit(dataset)
    known = np.zeros(events.n_users, bool)
    known[events.user] = True

    def score(users: np.ndarray, _histories: Any) -> np.ndarray:
        customers_alone(users)
        asked, place = np.unique(users, return_inverse=True)
        scores = np.full((len(asked), events.n_items), np.nan, np.float32)
        there = asked[known[asked]]
        if len(there):
            found = model.recommend(
                there, dataset, k=events.n_items, filter_viewed=False, on_unsupported_targets="ignore"
            )
            rows = np.searchsorted(asked, found[Columns.User].to_numpy())
            scores[rows, found[Columns.Item].to_numpy()] = found[Columns.Score]
        return scores[place]

    return score


def sasrec(events: Events, settings: Settings) -> Fitted:
    settings = dict(settings)
    epochs = settings.pop("epochs")

    def trainer() -> Trainer:
        return Trainer(
            max_epochs=epochs,
            min_epochs=epochs,
            deterministic=True,
            accelerator="gpu" if DEVICE == "cuda" else "cpu",
            devices=1,
            logger=False,
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )

    model = SASRecModel(
        **settings,
        lr=1e-3,
        session_max_len=events.usual_length(),
        train_min_user_interactions=2,
        get_trainer_func=trainer,
        recommend_torch_device=DEVICE,
    )
    return _fit(model, events)


def ease(events: Events, settings: Settings) -> Fitted:
    return _fit(EASEModel(**settings, num_threads=1), events)


_SHAPE = {"n_blocks": 1, "n_heads": 2, "dropout_rate": 0.5, "batch_size": 128}
main(
    {
        "sasrec": (
            sasrec,
            [
                _SHAPE | {"n_factors": 64, "loss": "sampled_softmax", "n_negatives": 64, "epochs": 11},
                _SHAPE | {"n_factors": 128, "loss": "sampled_softmax", "n_negatives": 256, "epochs": 11},
                _SHAPE | {"n_factors": 64, "loss": "gBCE", "gbce_t": 0.75, "n_negatives": 256, "epochs": 20},
                _SHAPE | {"n_factors": 64, "loss": "softmax", "epochs": 11},
            ],
        ),
        "ease": (ease, grid(regularization=[500.0, 20.0, 50.0, 100.0, 200.0, 1000.0])),
    }
)
