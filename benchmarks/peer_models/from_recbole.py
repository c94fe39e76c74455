"""RecBole: SASRec with cross-entropy, and LightGCN."""

from __future__ import annotations

import os

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import old_names  # noqa: F401
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.trainer import Trainer
from recbole.utils import get_model, init_seed
from shared import DEVICE, SEED, Events, Fitted, Settings, customers_alone, main

logging.disable(logging.WARNING)
torch.set_num_threads(1)


def _fit(name: str, events: Events, settings: Settings) -> Fitted:
    longest = events.usual_length()
    place = tempfile.TemporaryDirectory()
    folder = Path(place.name) / "shop"
    folder.mkdir()
    lines = [f"{u}\t{i}\t{at}" for at, (u, i) in enumerate(zip(events.user, events.item, strict=True))]
    head = "user_id:token\titem_id:token\ttimestamp:float"
    (folder / "shop.inter").write_text("\n".join([head, *lines]) + "\n")
    config = Config(
        model=name,
        dataset="shop",
        config_dict={
            "data_path": place.name,
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "eval_args": {
                "split": {"RS": [1.0, 0.0, 0.0]},
                "order": "TO",
                "group_by": "none",
                "mode": "full",
            },
            "MAX_ITEM_LIST_LENGTH": longest,
            "train_neg_sample_args": None
            if name == "SASRec"
            else {"distribution": "uniform", "sample_num": 1},
            "checkpoint_dir": place.name,
            "show_progress": False,
            "use_gpu": DEVICE != "cpu",
            "seed": SEED,
            "reproducibility": True,
            **settings,
        },
    )
    init_seed(SEED, True)
    dataset = create_dataset(config)
    train, _, _ = data_preparation(config, dataset)
    model = get_model(name)(config, train.dataset).to(config["device"])
    Trainer(config, model).fit(train, None, saved=False, verbose=False)
    model.eval()
    rows = _rows_of(dataset, "item_id", events.n_items)
    users = _rows_of(dataset, "user_id", events.n_users)
    histories = [[] for _ in range(events.n_users)]
    for user, item in zip(events.user.tolist(), events.item.tolist(), strict=True):
        histories[user].append(rows[item])

    def score(asked: np.ndarray, _histories: Any) -> np.ndarray:
        customers_alone(asked)
        out = np.full((len(asked), events.n_items), np.nan, np.float32)
        there = np.flatnonzero(users[asked] > 0)
        if len(there):
            with torch.no_grad():
                query = _query(asked[there], users, histories, longest if name == "SASRec" else None).to(
                    config["device"]
                )
                scores = model.full_sort_predict(query).view(len(there), -1).cpu().numpy()
            known = np.flatnonzero(rows > 0)
            out[np.ix_(there, known)] = scores[:, rows[known]]
        return out

    return score


def _rows_of(dataset: Any, field: str, n: int) -> np.ndarray:
    """int64 (n,): RecBole's row of each of ours; 0 if it has none."""
    numbers = dataset.field2token_id[field]
    return np.array([numbers.get(str(one), 0) for one in range(n)])


def _query(
    asked: np.ndarray, users: np.ndarray, histories: list[list[int]], longest: int | None
) -> Interaction:
    """The newest products of each customer if the model reads them, else the customer's row."""
    if longest is None:
        return Interaction({"user_id": torch.as_tensor(users[asked])})
    newest = [histories[user][-longest:] for user in asked.tolist()]
    items = torch.zeros(len(asked), longest, dtype=torch.long)
    for at, one in enumerate(newest):
        items[at, : len(one)] = torch.as_tensor(one)
    lengths = torch.as_tensor([len(one) for one in newest])
    return Interaction({"item_id_list": items, "item_length": lengths})


def sasrec(events: Events, settings: Settings) -> Fitted:
    return _fit("SASRec", events, settings)


def lightgcn(events: Events, settings: Settings) -> Fitted:
    return _fit("LightGCN", events, settings)


_SASREC = {"n_layers": 1, "hidden_size": 64, "inner_size": 128, "n_heads": 2, "loss_type": "CE"}
main(
    {
        "sasrec": (
            sasrec,
            [
                _SASREC | {"hidden_dropout_prob": 0.5, "attn_dropout_prob": 0.5, "epochs": 8},
                _SASREC | {"hidden_dropout_prob": 0.2, "attn_dropout_prob": 0.2, "epochs": 5},
            ],
        ),
        "lightgcn": (
            lightgcn,
            [
                {
                    "embedding_size": 64,
                    "n_layers": 2,
                    "reg_weight": 1e-4,
                    "epochs": 20,
                    "learning_rate": 2e-3,
                },
                {
                    "embedding_size": 64,
                    "n_layers": 3,
                    "reg_weight": 1e-5,
                    "epochs": 20,
                    "learning_rate": 2e-3,
                },
                {
                    "embedding_size": 64,
                    "n_layers": 1,
                    "reg_weight": 1e-4,
                    "epochs": 40,
                    "learning_rate": 2e-3,
                },
            ],
        ),
    }
)
