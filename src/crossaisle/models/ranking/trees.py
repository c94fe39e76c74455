"""`Trees`: boosted regression trees by LightGBM, kept as its text format.

Scores need no LightGBM: to import it takes a second and 130 MB.
"""

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
from crossaisle.models.ranking.leaf_bits import LeafBits
from crossaisle.models.ranking.tree_text import canonical

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
    """A fitted ensemble. `MissingDependencyError` where it takes LightGBM, and that is not installed: to grow
    trees, and to ask those with more leaves than `leaf_bits.MOST_LEAVES`."""

    text: str
    """In LightGBM's format: names of the features, splits and leaves. Only what `canonical` wrote."""

    @cached_property
    def _booster(self) -> Any:
        library = _library()
        try:
            return library.Booster(model_str=self.text)
        except library.basic.LightGBMError as error:
            raise ArtifactError(f"the trees of a ranker cannot be read ({error}): fit again") from None

    @cached_property
    def _bits(self) -> LeafBits | None:
        return LeafBits.read(self.text)

    @classmethod
    def read(cls, text: str, features: Sequence[str]) -> Trees:
        """Out of a text of LightGBM's; `ArtifactError` unless it is sound in every line, and the trees were
        grown on these features, in this order.
        """
        trees = cls(canonical(text, [_plain(name) for name in features]))
        if trees._bits is None:
            _library()  # whoever reads trees will ask them
        return trees

    def predict(self, features: Floats) -> Floats:
        """float32 (m,): raw scores of rows of features float32 (m, f), in one thread."""
        if not len(features):
            return np.empty(0, np.float32)
        if self._bits is not None:
            return self._bits.predict(features).astype(np.float32)
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
        return cls.read(library.train(settings, table, num_boost_round=trees).model_to_string(), names)


def _plain(name: str) -> str:
    """LightGBM's names hold no colons."""
    return name.replace(":", ".")
