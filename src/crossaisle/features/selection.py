"""`select_features`: selects columns by five tests, repeated on several folds.

| test | a column passes if |
|---|---|
| variance | scaled to 0..1 its variance is above `FLAT` |
| twin | no more important column has an absolute rank correlation above `TWIN` with it |
| mutual information | it is above that with a shuffled label, measured on `SHUFFLES` columns |
| chi-square | the p-value is at most .05 after Benjamini and Hochberg |
| L1 | a linear model with an L1 penalty gives it a non-zero weight |
| permutation | shuffling it lowers the AUC of boosted trees on the held-out fold by more than its own noise |

A column is good in a fold if it has variance and no twin, and passes any of the other tests: with few labels,
each of them misses some columns. It is stable if it is good in a share `STABLE` of the folds (after stability
selection, Meinshausen and Buehlmann 2010). Of the stable columns, the `most` with the largest permutation
importance are kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats

from crossaisle.data.history import Floats
from crossaisle.errors import DataError, MissingDependencyError
from crossaisle.features.table import Table

FLAT = 1e-4
TWIN = 0.98
SHUFFLES = 20
STABLE = 0.6
ROWS = 5000
"""Maximum number of rows per fold used for mutual information and permutation importance."""
REPEATS = 3
RATE = 0.05
PENALTY = 0.01
"""Inverse strength of the L1 penalty (scikit-learn's `C`)."""
TESTS = ("mutual_information", "chi_square", "l1", "permutation")

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Selection:
    """The columns kept, and why."""

    kept: tuple[str, ...]
    """Names of the kept columns, in their original order."""
    report: pl.DataFrame
    """One row per column, the most important first: `feature`, `kept`, `why`, `folds` (share in which it was
    good), means over folds of `variance`, `mutual_information`, `chi_square` (log10 of p), `l1` (weight) and
    `permutation` (loss of AUC)."""


def select_features(
    table: Table,
    label: npt.NDArray[np.int8],
    fold: npt.NDArray[np.integer],
    *,
    most: int | None = None,
    seed: int = 0,
) -> Selection:
    """Selects columns. `label` (m,), 1 or 0; `fold` (m,); `most`: by default half of the columns.

    `DataError` for labels of one kind or a single fold; `MissingDependencyError` without scikit-learn.
    """
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError:
        raise MissingDependencyError("scikit-learn", "features", "selection of features") from None
    folds = np.unique(fold).tolist()
    if len(folds) < 2 or len(np.unique(label)) < 2:
        raise DataError("selection needs two folds or more, and labels of both kinds")
    most = max(len(table.names) // 2, 1) if most is None else most
    filled = _filled(table.values)
    seen = [
        _one_fold(table.values, filled, label, fold == number, np.random.default_rng([seed, number]))
        for number in folds
    ]
    means = {name: np.mean([one[name] for one in seen], axis=0) for name in ("variance", *TESTS)}
    good = np.mean([one["good"] for one in seen], axis=0)
    stable = good >= STABLE
    order = np.lexsort((-means["mutual_information"], -means["permutation"]))
    chosen = np.zeros(len(order), bool)
    chosen[[c for c in order.tolist() if stable[c]][:most]] = True
    why = [_why(seen, column, bool(stable[column]), bool(chosen[column])) for column in range(len(order))]
    report = pl.DataFrame({"feature": table.names, "kept": chosen, "why": why, "folds": good, **means})[
        order.tolist()
    ]
    return Selection(tuple(n for n, c in zip(table.names, chosen, strict=True) if c), report)


def _filled(values: Floats) -> Floats:
    """Columns min-max scaled to 0..1, with missing values at the median, for tests that need both."""
    out = np.empty_like(values)
    for column in range(values.shape[1]):
        one = values[:, column]
        known = one[np.isfinite(one)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
        middle = float(np.median(known)) if len(known) else 0.0
        span = float(high - low) or 1.0
        out[:, column] = (np.where(np.isfinite(one), one, middle) - low) / span
    return out


def _one_fold(
    values: Floats, filled: Floats, label: npt.NDArray[np.int8], held: Flags, rng: np.random.Generator
) -> dict[str, Any]:
    from sklearn.feature_selection import chi2

    rest = np.flatnonzero(~held)
    sample = rest[rng.permutation(len(rest))[:ROWS]]
    variance = filled[rest].var(axis=0)
    information, floor = _information(filled[sample], label[sample], rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # for columns without any known value
        p = np.nan_to_num(chi2(filled[rest], label[rest])[1], nan=1.0)
    weight = _l1(filled[rest], label[rest])
    varied = variance > FLAT
    loss, noise = np.zeros((2, values.shape[1]))
    if varied.any():
        loss[varied], noise[varied] = _permutation(values[:, varied], label, rest, np.flatnonzero(held), rng)
    passes = {
        "mutual_information": information > floor,
        "chi_square": stats.false_discovery_control(p) <= RATE,
        "l1": weight != 0,
        "permutation": loss > np.maximum(noise, 1e-6),
    }
    twin = _twins(filled[sample], information + 1e3 * np.maximum(loss, 0), varied)
    good = np.any([passes[name] for name in TESTS], axis=0)
    return {
        "variance": variance,
        "mutual_information": information,
        "chi_square": np.log10(np.maximum(p, 1e-300)),
        "l1": np.abs(weight),
        "permutation": loss,
        "varied": varied,
        "twin": twin,
        "passes": passes,
        "good": varied & ~twin & good,
    }


def _information(
    values: Floats, label: npt.NDArray[np.int8], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], float]:
    """Mutual information of each column with the label, in nats, and the maximum under chance."""
    from sklearn.feature_selection import mutual_info_classif

    few = np.array([len(np.unique(column)) <= 2 for column in values.T], bool)
    found = mutual_info_classif(values, label, discrete_features=few, random_state=0)
    columns = rng.permutation(values.shape[1])[:SHUFFLES]
    chance = mutual_info_classif(
        values[:, columns], rng.permutation(label), discrete_features=few[columns], random_state=0
    )
    return np.asarray(found, np.float64), float(chance.max(initial=0.0))


def _l1(values: Floats, label: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    model = LinearSVC(penalty="l1", dual=False, C=PENALTY, max_iter=200, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # zero weights are settled before convergence
        model.fit(StandardScaler().fit_transform(values), label)
    return np.asarray(model.coef_[0], np.float64)


def _permutation(
    values: Floats,
    label: npt.NDArray[np.int8],
    rest: npt.NDArray[np.int64],
    held: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean loss of AUC per column on held-out rows, and its standard deviation over repeats."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.inspection import permutation_importance

    asked = held[rng.permutation(len(held))[:ROWS]]
    if len(np.unique(label[asked])) < 2:
        raise DataError("a fold has labels of one kind only: ask for more users")
    trees = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(values[rest], label[rest])
    found = permutation_importance(
        trees, values[asked], label[asked], scoring="roc_auc", n_repeats=REPEATS, random_state=0
    )
    return np.asarray(found.importances_mean), np.asarray(found.importances_std)


def _twins(values: Floats, worth: npt.NDArray[np.float64], varied: Flags) -> Flags:
    """bool (k,): columns that are near copies of a more important one."""
    ranks = stats.rankdata(values, axis=0)
    ranks -= ranks.mean(axis=0)
    length = np.maximum(np.sqrt((ranks**2).sum(axis=0)), 1e-12)
    alike = np.abs((ranks.T @ ranks) / np.outer(length, length)) > TWIN
    out = np.zeros(len(worth), bool)
    taken = np.zeros(len(worth), bool)
    for column in np.argsort(-worth, kind="stable").tolist():
        out[column] = varied[column] and bool((alike[column] & taken).any())
        taken[column] = varied[column] and not out[column]
    return out


def _why(seen: Sequence[dict[str, Any]], column: int, stable: bool, chosen: bool) -> str:
    """In words: the tests that a column passed in most folds, or those that it failed."""

    def mostly(flags: Sequence[bool]) -> bool:
        return sum(flags) >= STABLE * len(flags)

    passed = [
        name.replace("_", " ")
        for name in TESTS
        if mostly([bool(one["passes"][name][column]) for one in seen])
    ]
    if not mostly([bool(one["varied"][column]) for one in seen]):
        return "hardly varies"
    if mostly([bool(one["twin"][column]) for one in seen]):
        return "says what another column says"
    if chosen:
        return f"passes {', '.join(passed)}" if passed else "passes different tests in different folds"
    if stable:
        return "less important than the columns that are kept"
    return f"only {', '.join(passed)}" if passed else "passes no test in most folds"
