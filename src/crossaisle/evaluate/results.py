"""`evaluate`: models, a split and a data set in; every metric of every slice, with intervals, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.kinds import PURCHASE
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ConfigError, nearest
from crossaisle.evaluate import beyond_accuracy as whole
from crossaisle.evaluate.families import NOTE, Families
from crossaisle.evaluate.files import write_json
from crossaisle.evaluate.metrics import AT_K, Relevant, auc, hr
from crossaisle.evaluate.ranking import Ranks, rank_cases
from crossaisle.evaluate.scoring import Score
from crossaisle.evaluate.significance import Bootstrap, holm
from crossaisle.evaluate.slices import Slice, slices_of
from crossaisle.execution.executor import Executor

Count = Literal["items", "groups"]
Column = tuple[str, str, int | None]
"""(slice, metric, k); k is None where a metric looks at everything."""
LIST_K = 10
OBVIOUS = 50
"""Length of the item-kNN list that serendipity is measured against."""


class Row(TypedDict):
    """A line of a result file: one metric of one model in one slice, with its 95 % interval."""

    dataset: str
    protocol: str
    split: str
    model: str
    slice: str
    metric: str
    k: int | None
    value: float
    low: float | None
    """None, as `high`, where a figure of the whole list has no interval."""
    high: float | None
    n: int
    """Cases in the slice."""
    fit_seconds: float | None
    peak_mb: float | None
    """Most memory while fitting, in megabytes."""


class Comparison(TypedDict):
    """One model against another in one slice, paired by case, with 95 % intervals."""

    slice: str
    metric: str
    k: int
    model: str
    baseline: str
    value: float
    baseline_value: float
    difference: float
    low: float
    high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    p: float
    n: int
    p_holm: float
    """`p` corrected for all comparisons that were made together."""


@dataclass(frozen=True)
class Evaluation:
    """What some models did on one set of cases."""

    dataset: str
    protocol: str
    split: Literal["validation", "test"]
    models: tuple[str, ...]
    slices: tuple[str, ...]
    """Slices with at least one case, in the order of `slices_of`."""
    columns: tuple[Column, ...]
    values: dict[str, Floats]
    """Per model, float32 (n, columns): one value per case, NaN where the case is not in the slice."""
    rows: list[Row]
    """What `results.json` holds: one row per model, slice, metric and k."""
    lists: dict[str, Rows]
    """Per model, int32 (n, k): the open top-k list of each case."""
    cases: EvalCases
    notes: tuple[str, ...] = ()
    bootstrap: Bootstrap = field(default_factory=lambda: Bootstrap(n=0))
    count: Count = "items"
    """What was counted as one: an item, or the items of a group."""
    bought: bool = False
    """Whether all events are purchases, so that what was chosen was bought."""

    def per_case(self, model: str, slice_: str, metric: str, k: int | None = 10) -> Floats:
        """float32 (n,): one metric of one model in one slice, NaN for cases outside it."""
        return self.values[self._known(model)][:, self.columns.index((slice_, metric, k))]

    def row(self, model: str, slice_: str, metric: str, k: int | None = 10) -> Row | None:
        """One row of the results, or None when the slice is empty or the metric was not measured."""
        wanted = (model, slice_, metric, k)
        return next(
            (r for r in self.rows if (r["model"], r["slice"], r["metric"], r["k"]) == wanted),
            None,
        )

    def compare(
        self,
        model: str,
        against: Sequence[str] | None = None,
        *,
        slices: Sequence[str] | None = None,
        metric: str = "ndcg",
        k: int = 10,
        level: float = 0.95,
    ) -> list[Comparison]:
        """One model against others, slice by slice: paired difference and ratio with intervals.

        `level` is that of each interval. `p_holm` is corrected for all comparisons returned together.
        """
        self._known(model)
        others = [m for m in (against or self.models) if m != model]
        names = self.slices if slices is None else slices
        columns = [self.columns.index((s, metric, k)) for s in names]
        mine = self.values[model][:, columns]
        bootstrap = replace(self.bootstrap, level=level)
        out: list[Comparison] = []
        for other in others:
            theirs = self.values[self._known(other)][:, columns]
            gap, p = bootstrap.difference(mine, theirs)
            ratio = bootstrap.ratio(mine, theirs)
            for i, name in enumerate(names):
                own, base = self.row(model, name, metric, k), self.row(other, name, metric, k)
                difference, low, high = gap.of(i)
                times, ratio_low, ratio_high = ratio.of(i)
                out.append(
                    {
                        "slice": name,
                        "metric": metric,
                        "k": k,
                        "model": model,
                        "baseline": other,
                        "value": own["value"] if own else np.nan,
                        "baseline_value": base["value"] if base else np.nan,
                        "difference": difference,
                        "low": low,
                        "high": high,
                        "ratio": times,
                        "ratio_low": ratio_low,
                        "ratio_high": ratio_high,
                        "p": float(p[i]),
                        "n": own["n"] if own else 0,
                        "p_holm": float(p[i]),
                    }
                )
        for row, adjusted in zip(out, holm(np.array([r["p"] for r in out])), strict=True):
            row["p_holm"] = float(adjusted)
        return out

    def _known(self, model: str) -> str:
        if model not in self.models:
            raise ConfigError(f"model {model!r} was not evaluated{nearest(model, self.models)}")
        return model


def evaluate(
    scorers: Mapping[str, Score],
    split: Split,
    dataset: Dataset,
    *,
    on: Literal["validation", "test"] = "test",
    ks: Sequence[int] = (5, 10, 20),
    knn: str | None = None,
    vectors: Floats | None = None,
    costs: Mapping[str, Mapping[str, float]] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    count: Count = "items",
    executor: Executor | None = None,
    progress: bool = False,
) -> Evaluation:
    """Ranks every target of every case under every model and summarises the ranks.

    `knn` names the scorer whose top 50 is the obvious list of serendipity. `vectors` float32
    (n_items, d) measure intra-list diversity; take some that no model uses. `costs` gives
    `fit_seconds` and `peak_mb` per model. `count`: "groups" takes the items of a group for one, among the
    targets, the candidates and in lists (`Families`). `executor`: where cases are scored. `progress` draws a
    bar.
    """
    cases, known = (split.test, split.past) if on == "test" else (split.validation, split.train)
    families = Families.of_items(dataset.items) if count == "groups" else None
    notes = split.notes
    if families is not None:
        cases, notes = families.once(cases), (*notes, NOTE)
    if not len(cases):
        raise ConfigError(f"the {on} split has no cases: nothing to evaluate ({'; '.join(split.notes)})")
    if knn is not None and knn not in scorers:
        raise ConfigError(f"knn={knn!r} is not one of the scorers{nearest(knn, scorers)}")
    counts = known.item_counts
    slices = [s for s in slices_of(cases, dataset.taxonomy, counts) if s.targets.any()]
    length = min(max(OBVIOUS, *ks), dataset.n_items)
    ranks = rank_cases(
        scorers,
        cases,
        dataset.taxonomy,
        slices,
        k=length,
        executor=executor,
        progress=progress,
        families=families,
    )
    cluster = None if cases.of is None else np.unique(cases.of, return_inverse=True)[1]
    bootstrap = Bootstrap(n=len(cases), cluster=cluster, resamples=resamples, seed=seed)
    obvious = ranks[knn].lists[:, :OBVIOUS] if knn else None
    rows: list[Row] = []
    values: dict[str, Floats] = {}
    columns: tuple[Column, ...] = ()
    for model, ranked in ranks.items():
        shown = ranked.lists[:, :LIST_K]
        table = _ranking_columns(ranked, cases, slices, ks)
        table |= _list_columns(shown, cases, dataset, counts, obvious, vectors)
        columns, values[model] = tuple(table), np.stack(list(table.values()), axis=1).astype(np.float32)
        interval = bootstrap.interval(values[model])
        there = np.count_nonzero(~np.isnan(values[model]), axis=0)
        cost = (costs or {}).get(model, {})
        row = partial(
            result_row,
            dataset.name,
            split.protocol,
            on,
            model,
            fit_seconds=cost.get("fit_seconds"),
            peak_mb=cost.get("peak_mb"),
        )
        for i, (name, metric, k) in enumerate(columns):
            if there[i]:
                rows.append(row(metric, k, interval.of(i), int(there[i]), slice_=name))
        for metric, value in _shop_metrics(shown, dataset.n_items).items():
            rows.append(row(metric, LIST_K, (value, None, None), len(cases)))
    return Evaluation(
        dataset.name,
        split.protocol,
        on,
        tuple(scorers),
        tuple(s.name for s in slices),
        columns,
        values,
        rows,
        {name: r.lists[:, : max(ks)] for name, r in ranks.items()},
        cases,
        notes,
        bootstrap,
        count,
        dataset.role == PURCHASE,
    )


def _ranking_columns(
    ranks: Ranks, cases: EvalCases, slices: Iterable[Slice], ks: Sequence[int]
) -> dict[Column, np.ndarray]:
    owner = np.repeat(np.arange(len(cases)), np.diff(cases.target_indptr))
    out: dict[Column, np.ndarray] = {}
    for one in slices:
        rank, ties = ranks.rank[one.limit][one.targets], ranks.ties[one.limit][one.targets]
        relevant = Relevant(owner[one.targets], rank, len(cases), ties)
        for metric, function in AT_K.items():
            for k in ks:
                out[one.name, metric, k] = function(relevant, k)
        out[one.name, "accuracy", 1] = hr(relevant, 1)
        out[one.name, "auc", None] = auc(relevant, ranks.candidates[one.limit])
    out["all", "log_loss", None] = ranks.log_loss
    return out


def _list_columns(
    shown: Rows,
    cases: EvalCases,
    dataset: Dataset,
    counts: np.ndarray,
    obvious: Rows | None,
    vectors: Floats | None,
) -> dict[Column, np.ndarray]:
    histories, taxonomy = cases.histories, dataset.taxonomy
    out = {
        "novelty": whole.novelty(shown, counts),
        "category_diversity": whole.category_diversity(shown, taxonomy),
        "outside_history": whole.outside_history(shown, histories, taxonomy),
        "calibration": whole.calibration(shown, histories, taxonomy),
    }
    if vectors is not None:
        out["vector_diversity"] = whole.vector_diversity(shown, vectors)
    if obvious is not None:
        out["serendipity"] = whole.serendipity(shown, cases, obvious)
    return {("all", metric, LIST_K): values for metric, values in out.items()}


def _shop_metrics(shown: Rows, n_items: int) -> dict[str, float]:
    return {"coverage": whole.coverage(shown, n_items), "gini": whole.gini(shown, n_items)}


def result_row(
    dataset: str,
    protocol: str,
    split: str,
    model: str,
    metric: str,
    k: int | None,
    figures: Sequence[float | None],
    n: int,
    *,
    slice_: str = "all",
    fit_seconds: float | None = None,
    peak_mb: float | None = None,
) -> Row:
    """One row of a result file; `figures` are value, low and high, both None where there is no interval."""
    value, low, high = (None if figure is None else float(figure) for figure in figures)
    assert value is not None
    return {
        "dataset": dataset,
        "protocol": protocol,
        "split": split,
        "model": model,
        "slice": slice_,
        "metric": metric,
        "k": k,
        "value": value,
        "low": low,
        "high": high,
        "n": n,
        "fit_seconds": fit_seconds,
        "peak_mb": peak_mb,
    }


def interval_of(row: Row) -> tuple[float, float]:
    """Low and high end of a row's interval; its value twice where it has none."""
    low, high = row["low"], row["high"]
    return (row["value"], row["value"]) if low is None or high is None else (low, high)


def write_metrics(path: str | Path, evaluation: Evaluation, **more: Any) -> None:
    """`metrics.json`: one evaluation with its notes; `more` is added at the top level."""
    head = {"dataset": evaluation.dataset, "protocol": evaluation.protocol, "split": evaluation.split}
    head["count"] = evaluation.count
    body = {"cases": len(evaluation.cases), "notes": list(evaluation.notes), "rows": evaluation.rows}
    write_json(path, head | body | more)


def write_no_metrics(path: str | Path, split: Split, dataset: str, **more: Any) -> None:
    """The same for a shop of which nothing was held out: no rows, and notes that say why."""
    head = {"dataset": dataset, "protocol": split.protocol, "split": "test"}
    write_json(path, head | {"cases": 0, "notes": list(split.notes), "rows": []} | more)
