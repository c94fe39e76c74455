"""Target encoding: a category's or brand's share of positive labels, computed without the row's own label."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.errors import MissingDependencyError
from crossaisle.features.table import Table

Texts = npt.NDArray[np.object_]


def target_encoded(
    values: Mapping[str, Texts],
    label: npt.NDArray[np.int8],
    fold: npt.NDArray[np.integer],
    later: Mapping[str, Texts],
) -> tuple[Table, Table]:
    """Columns `item.target:NAME` for the labelled rows and for later rows.

    `values`, `later`: per name texts (m,) and (m2,); `label` (m,); `fold` (m,). A labelled row is encoded by
    the labels of the other folds (out-of-fold), a later one by all of them. Shares are shrunk towards the
    overall share by empirical Bayes (Micci-Barreca 2001, as in scikit-learn); unknown values get that share.
    """
    try:
        from sklearn.preprocessing import TargetEncoder
    except ModuleNotFoundError:
        raise MissingDependencyError("scikit-learn", "features", "target encoding") from None
    names = tuple(f"item.target:{name}" for name in values)
    x, after = np.stack([*values.values()], axis=1), np.stack([*later.values()], axis=1)

    def encoder(rows: npt.NDArray[np.bool_]) -> TargetEncoder:
        return TargetEncoder(target_type="binary").fit(x[rows], label[rows])

    out: Floats = np.full(x.shape, label.mean(), np.float32)
    for number in np.unique(fold).tolist():
        inside = fold == number
        if len(np.unique(label[~inside])) == 2:
            out[inside] = encoder(~inside).transform(x[inside])
    found = encoder(np.ones(len(label), bool)).transform(after)
    return Table(names, out), Table(names, np.asarray(found, np.float32))
