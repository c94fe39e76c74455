"""`export_features`: the feature matrices of a shop and what selection keeps of them, as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle import __version__
from crossaisle.config import SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.labels.negatives import Scheme
from crossaisle.data.profile.fingerprint import fingerprint
from crossaisle.data.provenance import write_table
from crossaisle.data.splits.cases import Split
from crossaisle.data.splits.split import UNSPLIT, basket_split, leave_last_out, temporal_split
from crossaisle.encoders.cache import pretrained
from crossaisle.errors import ConfigError, DataError
from crossaisle.features.keywords import Keywords, by_encoder, by_tfidf, by_yake
from crossaisle.features.matrix import USERS, FeatureMatrix, Side, feature_matrices
from crossaisle.features.selection import Selection, select_features
from crossaisle.features.space import ItemSpace
from crossaisle.features.table import Table
from crossaisle.pipeline.fit import split_of

TRAIN, VALIDATION, SELECTION, SUMMARY = (
    "train.parquet",
    "validation.parquet",
    "selection.csv",
    "features.json",
)

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Features:
    """Matrices of two windows, one after the other."""

    train: FeatureMatrix
    validation: FeatureMatrix
    dataset: Dataset


def build_features(
    dataset: Dataset,
    split_config: SplitConfig,
    *,
    encoder: str = "minilm",
    scheme: Scheme = "popularity",
    per_positive: int = 4,
    seed: int = 0,
    users: int = USERS,
    say: Say = lambda _: None,
) -> Features:
    """Features of the validation window and, to learn from, of a window before it.

    The second cut is made in the training events, by the same protocol. `encoder`: a name, a folder, or
    "none". `DataError` where nothing can be held out twice.
    """
    split = split_of(dataset, split_config)
    if split.protocol == UNSPLIT:
        raise DataError(f"{dataset.name}: {split.notes[0]}")
    inner = _earlier(split)
    say("reading titles")
    titles = dataset.items["title"].to_list()
    reader = None if encoder == "none" else pretrained(encoder)
    vectors = None if reader is None else reader.encode(list(dataset.item_texts))
    space = ItemSpace.of(dataset, vectors)
    keywords: dict[str, Keywords] = {"tfidf": by_tfidf(space), "yake": by_yake(titles)}
    if reader is not None:
        keywords["encoder"] = by_encoder(titles, reader)
    say("computing features")
    train, validation = feature_matrices(
        Side(inner.past, inner.test),
        Side(split.train, split.validation),
        space,
        keywords,
        scheme=scheme,
        per_positive=per_positive,
        seed=seed,
        users=users,
    )
    return Features(train, validation, dataset)


def _earlier(split: Split) -> Split:
    """The training events, cut once more."""
    ways: dict[str, Callable[[Dataset], Split]] = {"temporal": temporal_split, "baskets": basket_split}
    again = ways.get(split.protocol, leave_last_out)
    try:
        return again(split.train)
    except (ConfigError, DataError) as error:
        raise DataError(f"the training events are too few to hold some out once more: {error}") from None


def auc(train: FeatureMatrix, validation: FeatureMatrix, names: tuple[str, ...], seed: int = 0) -> float:
    """AUC on validation of boosted trees that learned from some columns of the training matrix."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(validation.label, chances(train, validation, names, seed)))


def chances(
    train: FeatureMatrix, validation: FeatureMatrix, names: tuple[str, ...], seed: int = 0
) -> npt.NDArray[np.float64]:
    """float64 (m,): what these trees give validation. `seed`: of the rows that stop their growth."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    def values(table: Table) -> np.ndarray:
        return table.only(names).values

    trees = HistGradientBoostingClassifier(max_iter=200, learning_rate=0.05, random_state=seed)
    trees.fit(values(train.table), train.label)
    return np.asarray(trees.predict_proba(values(validation.table))[:, 1], np.float64)


def export_features(
    dataset: Dataset,
    split_config: SplitConfig,
    out: str | Path,
    *,
    select: bool = True,
    encoder: str = "minilm",
    scheme: Scheme = "popularity",
    per_positive: int = 4,
    seed: int = 0,
    users: int = USERS,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Writes `train.parquet`, `validation.parquet`, `selection.csv` and `features.json`, which it returns."""
    out = Path(out)
    found = build_features(
        dataset,
        split_config,
        encoder=encoder,
        scheme=scheme,
        per_positive=per_positive,
        seed=seed,
        users=users,
        say=say,
    )
    facts: dict[str, Any] = {
        "version": __version__,
        "data": fingerprint(dataset),
        "shop": dataset.name,
        "scheme": scheme,
        "per_positive": per_positive,
        "seed": seed,
        "encoder": encoder,
        "protocol": split_config.protocol,
        "columns": len(found.train.table.names),
    }
    for name, matrix in ((TRAIN, found.train), (VALIDATION, found.validation)):
        rows = {"rows": len(matrix), "positive": int(matrix.label.sum())}
        facts[name] = rows
        write_table(matrix.frame(dataset), out / name, {k: v for k, v in facts.items() if k != TRAIN} | rows)
    if select:
        say("selecting features")
        facts["selection"] = _selected(found, out, seed)
    (out / SUMMARY).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return facts


def _selected(found: Features, out: Path, seed: int) -> Mapping[str, Any]:
    train = found.train
    selection: Selection = select_features(train.table, train.label, train.fold, seed=seed)
    selection.report.write_csv(out / SELECTION)
    return {
        "kept": list(selection.kept),
        "auc_all": auc(train, found.validation, train.table.names),
        "auc_kept": auc(train, found.validation, selection.kept) if selection.kept else None,
    }
