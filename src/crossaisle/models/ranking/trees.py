"""`Trees`: boosted regression trees by LightGBM, kept as its text format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.errors import ArtifactError, MissingDependencyError

Objective = Literal["lambdarank", "binary"]
TREES, LEAVES, RATE = 120, 15, 0.05
FEWEST_IN_LEAF = 100
TRUNCATION = 30
"""Pairs are compared where one of the two is among this many first places."""


def is_installed() -> bool:
    """Whether LightGBM can be imported."""
    return find_spec("lightgbm") is not None


def _library() -> Any:
    try:
        return import_module("lightgbm")
    except ImportError:
        raise MissingDependencyError("lightgbm", "rank", "the learned ranker of this model") from None


@dataclass(frozen=True, eq=False)
class Trees:
    """A fitted ensemble. `MissingDependencyError` where LightGBM is not installed."""

    text: str
    """What LightGBM saves: names of the features, splits and leaves, in plain text."""

    @cached_property
    def _booster(self) -> Any:
        library = _library()
        try:
            return library.Booster(model_str=self.text)
        except library.basic.LightGBMError as error:
            raise ArtifactError(f"the trees of a ranker cannot be read ({error}): fit again") from None

    def check(self, features: Sequence[str]) -> None:
        """`ArtifactError` unless the trees were grown on these features, in this order.

        LightGBM follows whatever a file says, so nothing in it may point elsewhere.
        """
        if not _is_sound(self.text, len(features)):
            raise ArtifactError("the trees of a ranker point out of themselves: fit again")
        if self._booster.feature_name() != [_plain(name) for name in features]:
            raise ArtifactError("the trees of a ranker read other features than this version: fit again")

    def predict(self, features: Floats) -> Floats:
        """float32 (m,): raw scores of rows of features (m, f), in one thread."""
        if not len(features):
            return np.empty(0, np.float32)
        raw = self._booster.predict(features, raw_score=True, num_threads=1)
        return np.asarray(raw, np.float32)

    def gains(self) -> dict[str, float]:
        """What all splits by each feature gained, as a share of everything gained."""
        gain = self._booster.feature_importance("gain")
        total = max(float(gain.sum()), 1e-12)
        return dict(zip(self._booster.feature_name(), (gain / total).tolist(), strict=True))

    @classmethod
    def grow(
        cls,
        features: Floats,
        right: npt.NDArray[np.bool_],
        sizes: npt.NDArray[np.int64],
        names: Sequence[str],
        *,
        objective: Objective,
        directions: Sequence[int],
        seed: int = 0,
        trees: int = TREES,
    ) -> Trees:
        """Fitted on groups of candidates.

        `features` float32 (m, f), `right` bool (m,), `sizes` int64 (groups,) that sum to m.
        `directions`: per feature 1, 0 or -1, see `features.directions`.
        "lambdarank": LambdaMART, whose gradients are the change of NDCG from swapping two candidates (Burges
        2010); "binary": log-loss of each candidate. The same input gives the same trees.
        """
        library = _library()
        settings: dict[str, Any] = {
            "objective": objective,
            "num_leaves": LEAVES,
            "learning_rate": RATE,
            "min_data_in_leaf": FEWEST_IN_LEAF,
            "lambda_l2": 1.0,
            "feature_fraction": 0.7,
            "monotone_constraints": list(directions),
            "verbosity": -1,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
        }
        if objective == "lambdarank":
            settings |= {"lambdarank_truncation_level": TRUNCATION, "label_gain": [0, 1]}
        table = library.Dataset(
            features,
            label=np.asarray(right, np.int32),
            group=sizes if objective == "lambdarank" else None,
            feature_name=[_plain(name) for name in names],
            params={"verbosity": -1},
        )
        return cls(library.train(settings, table, num_boost_round=trees).model_to_string())


def _is_sound(text: str, n_features: int) -> bool:
    """Whether every split of every tree reads a known feature, and leads to a split or leaf that is there."""
    for tree in text.split("\nTree=")[1:]:
        said = dict(line.split("=", 1) for line in tree.splitlines() if "=" in line)
        try:
            leaves = int(said["num_leaves"])
            if int(said["num_cat"]) or leaves < 1 or len(said["leaf_value"].split()) != leaves:
                return False
            if leaves == 1:
                continue
            splits = np.arange(leaves - 1)
            read = np.array(said["split_feature"].split(), np.int64)
            sides = [np.array(said[side].split(), np.int64) for side in ("left_child", "right_child")]
        except (KeyError, ValueError):
            return False
        if len(read) != len(splits) or read.min() < 0 or read.max() >= n_features:
            return False
        for child in sides:
            # A split stands before those it leads to; leaves are counted from -1 down.
            if (
                len(child) != len(splits)
                or not (((child > splits) & (child < leaves - 1)) | (child < 0)).all()
            ):
                return False
            if (~child[child < 0] >= leaves).any():
                return False
    return True


def _plain(name: str) -> str:
    """LightGBM's names hold no colons."""
    return name.replace(":", ".")
