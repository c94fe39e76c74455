"""All figures, slice by slice, and what the words mean."""

from __future__ import annotations

from collections.abc import Sequence

from crossaisle.evaluate.glossary import METRICS, metric_title, slice_meaning, slice_title
from crossaisle.evaluate.metrics import AT_K
from crossaisle.evaluate.report.model_names import NAMES, model_title
from crossaisle.evaluate.report.page import number, scroll, table, text
from crossaisle.evaluate.results import LIST_K, Evaluation, Row

METRIC, K = "recall", 10
_LISTS = set(METRICS) - set(AT_K) - {"accuracy", "auc", "log_loss"}


def tables_html(evaluation: Evaluation, model: str) -> str:
    out = []
    for name in _distinct(evaluation):
        found = [(m, k) for s, m, k in evaluation.columns if s == name and k in (K, 1, None)]
        columns = [(m, k) for m, k in found if m in METRICS and (k != K or m not in _LISTS)]
        inner = _model_table(evaluation, name, columns, model)
        opened = " open" if name == "all" else ""
        out.append(
            f"<details{opened}><summary>{text(slice_title(name))} <code>{text(name)}</code></summary>"
            f'<p class="note">{text(slice_meaning(name))}</p>{inner}</details>'
        )
    measured = {(r["metric"], r["k"]) for r in evaluation.rows if r["metric"] in _LISTS}
    columns = [(m, LIST_K) for m in METRICS if (m, LIST_K) in measured]
    lists = _model_table(evaluation, "all", columns, model, best=False)
    costs = [
        [model_title(m), r["fit_seconds"], r["peak_mb"]]
        for m in evaluation.models
        if (r := evaluation.row(m, "all", METRIC, K)) and r["fit_seconds"] is not None
    ]
    cost = table(["Model", "Seconds to fit", "Peak memory, MB"], costs, numeric=(1, 2)) if costs else ""
    return f"{''.join(out)}<details open><summary>The lists themselves</summary>{lists}</details>" + (
        f"<details><summary>What the models cost</summary>{cost}</details>" if cost else ""
    )


def _distinct(evaluation: Evaluation) -> list[str]:
    """The slices without those that hold the same figures under a second name."""
    seen: set[tuple[bytes, ...]] = set()
    out = []
    for name in evaluation.slices:
        columns = [i for i, column in enumerate(evaluation.columns) if column[0] == name and column[2] == K]
        figures = tuple(evaluation.values[m][:, columns].tobytes() for m in evaluation.models)
        if name == "all" or not any(f[: len(figures)] == figures for f in seen):
            out.append(name)
        seen.add(figures)
    return out


def _model_table(
    evaluation: Evaluation,
    name: str,
    columns: Sequence[tuple[str, int | None]],
    model: str,
    *,
    best: bool = True,
) -> str:
    rows = {(m, c): evaluation.row(m, name, *c) for m in evaluation.models for c in columns}
    tops = {}
    for column in columns:
        values = [r["value"] for m in evaluation.models if (r := rows[m, column]) is not None]
        sign = -1 if METRICS[column[0]][2] is False else 1
        tops[column] = max(values, key=lambda v: sign * v, default=None) if best else None

    def cell(row: Row | None, top: float | None) -> str:
        if row is None:
            return '<td class="n">–</td>'
        kind = "n best" if top is not None and row["value"] == top else "n"
        low, high = row["low"], row["high"]
        span = "" if low is None else f"<small>{number(low)}–{number(high)}</small>"
        return f'<td class="{kind}">{number(row["value"])}{span}</td>'

    head = "".join(f'<th scope="col" class="n">{text(metric_title(*c))}</th>' for c in columns)
    body = "".join(
        f'<tr{" class=mine" if m == model else ""}><th scope="row">{text(model_title(m), 40)}</th>'
        + "".join(cell(rows[m, c], tops[c]) for c in columns)
        + "</tr>"
        for m in evaluation.models
    )
    inner = f'<table><thead><tr><th scope="col">Model</th>{head}</tr></thead><tbody>{body}</tbody></table>'
    return scroll(inner, slice_title(name))


def glossary_html(evaluation: Evaluation) -> str:
    metrics = {r["metric"] for r in evaluation.rows}
    entries = [(title, meaning) for key, (title, meaning, _) in METRICS.items() if key in metrics]
    entries.append(("@10", "Counted over the first ten recommendations."))
    entries.append(
        (
            "95 % interval",
            "Of 100 samples of this many customers from the same shop, the intervals of 95 hold the figure "
            "of all its customers.",
        )
    )
    entries.append(("Open list", "All items compete; otherwise only the items the question is about."))
    entries += [(model_title(m), NAMES[m][1]) for m in evaluation.models if m in NAMES]
    return "<dl>" + "".join(f"<dt>{text(t)}</dt><dd>{text(m, 300)}</dd>" for t, m in entries) + "</dl>"
