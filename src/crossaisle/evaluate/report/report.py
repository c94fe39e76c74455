"""One self-contained HTML file that says, in plain words, how good the recommendations are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle import __version__
from crossaisle.errors import ConfigError
from crossaisle.evaluate.files import write_text
from crossaisle.evaluate.metrics import AT_K
from crossaisle.evaluate.report.chances import chances
from crossaisle.evaluate.report.charts import dots, heat
from crossaisle.evaluate.report.glossary import METRICS, PROTOCOLS, SLICES, metric_title, slice_title
from crossaisle.evaluate.report.page import facts, number, page, percent, scroll, table, text
from crossaisle.evaluate.results import LIST_K, Comparison, Evaluation, Row, interval_of

SHOWN = ("all", "cross_limited", "novel_limited", "new_item", "repeat", "cold_item", "cold_user", "same_open")
"""Slices that get a card and a chart, in this order; the tables hold all of them."""
METRIC, K = "recall", 10
_HISTORY = 8
_LISTS = set(METRICS) - set(AT_K) - {"accuracy", "auc", "log_loss"}


def write_report(
    path: str | Path,
    *,
    title: str,
    evaluation: Evaluation,
    describe: Mapping[str, Any] | None = None,
    import_report: Mapping[str, Any] | None = None,
    drift: Mapping[str, Any] | None = None,
    examples: Sequence[Mapping[str, Any]] = (),
    heatmap: tuple[npt.NDArray[np.integer], Sequence[str]] | None = None,
    notes: Sequence[str] = (),
    rankers: Mapping[str, Any] | None = None,
    model: str = "crossaisle",
    baselines: Sequence[str] | None = None,
) -> None:
    """Writes the report, atomically.

    `model` is the one the report is about; `baselines` are those it must beat (all others by
    default). `describe` is any nested plain data. `import_report` has `tables` (per table:
    `rows_read`, `rows_kept`, `set_aside`, `repaired`) and `warnings`. `drift` is what `drift()`
    gave, `heatmap` what `category_flow` gave, `rankers` the figures of learned ones. An example is
    `{"user", "interests": [{"label", "share"}], "history": [{"title", "category"}], "items": [{"title",
    "category", "score", "reasons": [str]}]}`. All text is escaped. The evaluation must hold recall at 10.
    """
    if ("all", METRIC, K) not in evaluation.columns:
        raise ConfigError(f"a report needs {METRIC} at {K}: evaluate with ks that contain {K}")
    others = [m for m in (baselines or evaluation.models) if m != model]
    compared = _compare(evaluation, model, others) if others else []
    against = _strongest(compared)
    sections = [
        ("result", "The result", _headline(evaluation, model, against)),
        ("models", "All models, by kind of question", _charts(evaluation, model)),
        ("categories", "From which category to which", _heat(heatmap)),
        ("examples", "What some customers would see", examples_html(examples)),
        ("data", "The data", data_html(describe, import_report)),
        ("drift", "Has the shop changed?", _drift(drift)),
        ("chances", "How sure it may be", chances(rankers)),
        ("measured", "How it was measured", _protocol(evaluation, notes)),
        ("metrics", "All figures", _tables(evaluation, model)),
        ("words", "What the words mean", _glossary(evaluation)),
    ]
    eyebrow = f"{evaluation.dataset} · {len(evaluation.cases):,} {evaluation.split} cases"
    write_text(path, page(title, eyebrow, sections, f"Made by crossaisle {__version__}."))


def _strongest(compared: Sequence[Comparison]) -> dict[str, Comparison]:
    """slice -> the comparison with the model that is best in that slice, so that no rival is a straw man."""
    out: dict[str, Comparison] = {}
    for row in compared:
        if row["slice"] not in out or row["baseline_value"] > out[row["slice"]]["baseline_value"]:
            out[row["slice"]] = row
    return out


def _compare(evaluation: Evaluation, model: str, others: Sequence[str]) -> list[Comparison]:
    return evaluation.compare(model, others, slices=_shown(evaluation), metric=METRIC, k=K)


def _shown(evaluation: Evaluation) -> list[str]:
    # Of baskets, `cross_limited` is `all` under another name.
    twice = {"cross_limited"} if evaluation.cases.other_categories_only else set()
    return [name for name in SHOWN if name in evaluation.slices and name not in twice]


def _headline(evaluation: Evaluation, model: str, against: Mapping[str, Comparison]) -> str:
    row = evaluation.row(model, "all", METRIC, K)
    if row is None:
        raise ConfigError(f"{model}: no result in the slice 'all'")
    low, high = interval_of(row)
    lead = (
        f"Of what customers went on to choose, <strong>{text(model)}</strong> has "
        f"<strong>{percent(row['value'])}</strong> in its first ten recommendations "
        f"(95 % interval {percent(low)} to {percent(high)})."
    )
    if not against:
        return f'<p class="lead">{lead}</p>'
    lead += f" {_verdict(against['all'])}"
    cards = "".join(_card(name, against[name]) for name in _shown(evaluation))
    note = (
        "Each compared with the model that is strongest on that kind of question. Differences are paired by "
        "case; “better” and “worse” are said only where chance is ruled out at 5 % after Holm's correction "
        "for all comparisons. Intervals are for one comparison alone. Where a customer chose more than ten "
        "items, ten hits count as all."
    )
    return f'<p class="lead">{lead}</p><div class="grid">{cards}</div><p class="note">{note}</p>'


def _sure(row: Comparison) -> bool:
    return bool(row["p_holm"] < 0.05)


def _verdict(row: Comparison) -> str:
    rival = f"the best other model, {text(row['baseline'])}, has {percent(row['baseline_value'])}"
    if not _sure(row):
        return f"There is no clear difference: {rival}."
    word = "more" if row["difference"] > 0 else "less"
    if not np.isfinite(row["ratio"]):
        return f"That is {word}: {rival}."
    span = f"{row['ratio_low'] - 1:+.0%} to {row['ratio_high'] - 1:+.0%}"
    return f"That is <strong>{percent(abs(row['ratio'] - 1), 0)} {word}</strong> (interval {span}): {rival}."


def _card(name: str, row: Comparison) -> str:
    sure, up = _sure(row), row["difference"] > 0
    word, kind, mark = ("better", "better", "▲") if up else ("worse", "worse", "▼")
    if not sure:
        word, kind, mark = "no clear difference", "soft", "≈"
    change = f" {row['ratio'] - 1:+.0%}" if sure and np.isfinite(row["ratio"]) else ""
    return (
        f'<div class="card"><h3>{text(slice_title(name))}</h3><p class="note">{text(_meaning(name))}</p>'
        f'<p class="figure">{percent(row["value"])} '
        f"<small>against {percent(row['baseline_value'])} of {text(row['baseline'])}</small></p>"
        f'<p><span class="verdict {kind}">{mark} {word}{change}</span><br>'
        f'<span class="note">difference {100 * row["difference"]:+.2f} points, interval '
        f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f}; {row['n']:,} cases</span></p></div>"
    )


def _meaning(name: str) -> str:
    return SLICES[name][1] if name in SLICES else ""


def _charts(evaluation: Evaluation, model: str) -> str:
    cards = []
    for name in _shown(evaluation):
        rows = [r for m in evaluation.models if (r := evaluation.row(m, name, METRIC, K))]
        label = f"{metric_title(METRIC, K)}, {slice_title(name)}"
        cards.append(
            f'<div class="card"><h3>{text(slice_title(name))}</h3>'
            f'<p class="note">{rows[0]["n"]:,} cases</p>{dots(rows, model, label=label)}</div>'
        )
    intro = (
        f"{metric_title(METRIC, K)}: the share of what was chosen that stands among the first ten. "
        "A dot is the measured value, the bar behind it the 95 % interval. Each panel has its own scale."
    )
    return f'<p class="soft">{text(intro, 400)}</p><div class="grid wide">{"".join(cards)}</div>'


def _heat(heatmap: tuple[npt.NDArray[np.integer], Sequence[str]] | None) -> str:
    if heatmap is None:
        return ""
    caption = (
        "Rows: the category a customer was last in. Columns: the categories of the ten recommendations, in "
        "per cent of the row. Cells with a frame stay in the same category; the busiest categories are shown."
    )
    return heat(*heatmap, caption=caption)


def examples_html(examples: Sequence[Mapping[str, Any]]) -> str:
    """A card for each example, see `write_report`; "" without any."""
    cards = "".join(map(_example, examples))
    return f'<div class="grid wide">{cards}</div>' if cards else ""


def _example(example: Mapping[str, Any]) -> str:
    history = list(example.get("history", ()))
    more = f", latest {_HISTORY} of {len(history)}" if len(history) > _HISTORY else ""
    past = "".join(f"<li>{_item(i)}</li>" for i in history[-_HISTORY:]) or "<li>nothing yet</li>"
    items = "".join(
        f"<li>{_item(i)}"
        + (f'<ul class="why">{"".join(f"<li>{text(r)}</li>" for r in reasons)}</ul>' if reasons else "")
        + "</li>"
        for i in example.get("items", ())
        for reasons in [list(i.get("reasons", ()))]
    )
    points = "".join(
        f'<span class="chip">{text(point["label"], 80)} {percent(point["share"], 0)}</span> '
        for point in example.get("interests", ())
    )
    interests = f"<h4>Interested in</h4><p>{points}</p>" if points else ""
    return (
        f'<article class="card"><h3>Customer {text(example.get("user", ""), 60)}</h3>{interests}'
        f'<h4>History, oldest first{more}</h4><ul class="items">{past}</ul>'
        f'<h4>Recommended</h4><ol class="items">{items}</ol></article>'
    )


def _item(item: Mapping[str, Any]) -> str:
    category = f' <span class="chip">{text(item["category"], 80)}</span>' if item.get("category") else ""
    return f"{text(item.get('title') or 'untitled')}{category}"


def data_html(describe: Mapping[str, Any] | None, imported: Mapping[str, Any] | None) -> str:
    """What the data holds, and what was read and set aside."""
    out = facts(dict(describe)) if describe else ""
    tables = (imported or {}).get("tables", {})
    if tables:
        out += table(
            ["Table", "Rows read", "Kept", "Set aside", "Repaired"],
            [
                [
                    name,
                    t.get("rows_read"),
                    t.get("rows_kept"),
                    sum(t.get("set_aside", {}).values()),
                    sum(t.get("repaired", {}).values()),
                ]
                for name, t in tables.items()
            ],
            caption="What was read. Nothing is dropped silently: rows set aside are kept in a file.",
            numeric=(1, 2, 3, 4),
        )
        reasons = [
            [name, "set aside" if action == "set_aside" else action, rule, count]
            for name, t in tables.items()
            for action in ("set_aside", "repaired")
            for rule, count in t.get(action, {}).items()
        ]
        if reasons:
            out += table(["Table", "What", "Why", "Rows"], reasons, caption="Reasons", numeric=(3,))
    warnings = "".join(f"<li>{text(w, 400)}</li>" for w in (imported or {}).get("warnings", ()))
    return out + (f"<h4>Warnings</h4><ul>{warnings}</ul>" if warnings else "")


def _drift(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    rows = [
        [
            f"{what} in {part}",
            p["verdict"],
            f"{p['psi']:.3f}",
            "; ".join(f"{m['name']}: {percent(m['train'])} → {percent(m['now'])}" for m in p["movers"]),
        ]
        for what, parts in found.items()
        if isinstance(parts, Mapping)
        for part, p in parts.items()
    ]
    caption = "Population stability index against training; below 0.1 stable, from 0.25 on drift"
    head = ["What", "Verdict", "PSI", "Changed most (share in training → now)"]
    lead = f'<p class="lead">{text(found.get("statement", ""), 1000)}</p>'
    return lead + (table(head, rows, caption=caption, numeric=(2,)) if rows else "")


def _protocol(evaluation: Evaluation, notes: Sequence[str]) -> str:
    seen = "left out of" if evaluation.cases.mask_seen else "kept in"
    lines = [
        PROTOCOLS.get(evaluation.protocol, f"Protocol: {evaluation.protocol}."),
        f"Every item of the catalogue was ranked for every case, none sampled; items of the history are "
        f"{seen} the open list. Items with equal scores share the middle of the places they take.",
        f"Intervals come from {evaluation.bootstrap.resamples:,} bootstrap resamples of the cases, the same "
        "ones for every model.",
    ]
    listed = "".join(f"<li>{text(n, 600)}</li>" for n in (*evaluation.notes, *notes))
    return "".join(f"<p>{text(line, 600)}</p>" for line in lines) + (f"<ul>{listed}</ul>" if listed else "")


def _tables(evaluation: Evaluation, model: str) -> str:
    out = []
    for name in evaluation.slices:
        found = [(m, k) for s, m, k in evaluation.columns if s == name and k in (K, 1, None)]
        columns = [(m, k) for m, k in found if m in METRICS and (k != K or m not in _LISTS)]
        inner = _model_table(evaluation, name, columns, model)
        opened = " open" if name == "all" else ""
        out.append(
            f"<details{opened}><summary>{text(slice_title(name))} <code>{text(name)}</code></summary>"
            f'<p class="note">{text(_meaning(name))}</p>{inner}</details>'
        )
    measured = {(r["metric"], r["k"]) for r in evaluation.rows if r["metric"] in _LISTS}
    columns = [(m, LIST_K) for m in METRICS if (m, LIST_K) in measured]
    lists = _model_table(evaluation, "all", columns, model, best=False)
    costs = [
        [m, r["fit_seconds"], r["peak_mb"]]
        for m in evaluation.models
        if (r := evaluation.row(m, "all", METRIC, K)) and r["fit_seconds"] is not None
    ]
    cost = table(["Model", "Seconds to fit", "Peak memory, MB"], costs, numeric=(1, 2)) if costs else ""
    return f"{''.join(out)}<details open><summary>The lists themselves</summary>{lists}</details>" + (
        f"<details><summary>What the models cost</summary>{cost}</details>" if cost else ""
    )


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
        f'<tr{" class=mine" if m == model else ""}><th scope="row">{text(m, 40)}</th>'
        + "".join(cell(rows[m, c], tops[c]) for c in columns)
        + "</tr>"
        for m in evaluation.models
    )
    inner = f'<table><thead><tr><th scope="col">Model</th>{head}</tr></thead><tbody>{body}</tbody></table>'
    return scroll(inner, slice_title(name))


def _glossary(evaluation: Evaluation) -> str:
    metrics = {r["metric"] for r in evaluation.rows}
    entries = [(title, meaning) for key, (title, meaning, _) in METRICS.items() if key in metrics]
    entries.append(("@10", "Counted over the first ten recommendations."))
    entries.append(
        (
            "95 % interval",
            "Had other customers of the same shop been asked, the figure would mostly lie here.",
        )
    )
    entries.append(("Open list", "All items compete; otherwise only the items the question is about."))
    return "<dl>" + "".join(f"<dt>{text(t)}</dt><dd>{text(m, 300)}</dd>" for t, m in entries) + "</dl>"
