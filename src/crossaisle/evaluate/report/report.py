"""One self-contained HTML file that says, in plain words, how good the recommendations are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle import __version__
from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.errors import ConfigError
from crossaisle.evaluate.files import write_text
from crossaisle.evaluate.glossary import PROTOCOLS, metric_title, slice_meaning, slice_title
from crossaisle.evaluate.report.chances import chances
from crossaisle.evaluate.report.charts import dots, heat
from crossaisle.evaluate.report.data import data_html, drift_html
from crossaisle.evaluate.report.examples import examples_html
from crossaisle.evaluate.report.model_names import model_title
from crossaisle.evaluate.report.page import page, percent, text
from crossaisle.evaluate.report.summary import lead, next_steps
from crossaisle.evaluate.report.tables import glossary_html, tables_html
from crossaisle.evaluate.report.verdicts import Verdict, verdicts
from crossaisle.evaluate.results import Evaluation

SHOWN = ("all", "cross_limited", "novel_limited", "new_item", "repeat", "cold_item", "cold_user", "same_open")
"""Slices that get a card and a chart, in this order; the tables hold all of them."""
METRIC, K = "recall", 10


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
    found = verdicts(evaluation, model, others, _shown(evaluation), metric=METRIC, k=K)
    advice = next_steps(found, cases=len(evaluation.cases), import_report=import_report, drift=drift)
    sections = [
        ("result", "In short", lead(evaluation, model, others)),
        ("examples", "What some customers would see", examples_html(examples)),
        ("next", "What to do next", advice),
        ("compared", "Beside the best single model", _cards(found)),
        ("models", "All models, by kind of question", _charts(evaluation, model)),
        ("categories", "From which category to which", _heat(heatmap)),
        ("data", "The data", data_html(describe, import_report)),
        ("drift", "Has the shop changed?", drift_html(drift)),
        ("chances", "How sure it may be", chances(rankers)),
        ("measured", "How it was measured", _protocol(evaluation, notes)),
        ("metrics", "All figures", tables_html(evaluation, model)),
        ("words", "What the words mean", glossary_html(evaluation)),
    ]
    eyebrow = f"{evaluation.dataset} · {len(evaluation.cases):,} {evaluation.split} cases"
    write_text(path, page(title, eyebrow, sections, f"Made by crossaisle {__version__}."))


def _shown(evaluation: Evaluation) -> list[str]:
    # Of baskets, `cross_limited` is `all` under another name.
    twice = {"cross_limited"} if evaluation.cases.other_categories_only else set()
    return [name for name in SHOWN if name in evaluation.slices and name not in twice]


def _cards(found: Mapping[str, Verdict]) -> str:
    if not found:
        return ""
    note = (
        f"Recall@{K}: hits among the first ten, out of what was chosen, or out of ten where more was chosen. "
        "Each kind of question is compared with the single model that is strongest on it, case by case. "
        "The intervals of the differences hold for all these comparisons together (95 %, Bonferroni): a "
        "difference is called clear where its interval leaves out 0."
    )
    cards = "".join(map(_card, found.values()))
    return f'<p class="note">{text(note, 600)}</p><div class="grid">{cards}</div>'


def _card(verdict: Verdict) -> str:
    kind, mark = {"better": ("better", "▲"), "worse": ("worse", "▼")}.get(verdict.word, ("soft", "≈"))
    change = "" if verdict.change is None or kind == "soft" else f" {verdict.change:+.0%}"
    return (
        f'<div class="card"><h3>{text(slice_title(verdict.slice_))}</h3>'
        f'<p class="note">{text(slice_meaning(verdict.slice_))}</p>'
        f'<p class="figure">{percent(verdict.value)} '
        f"<small>beside {percent(verdict.rival_value)} of {text(model_title(verdict.rival))}</small></p>"
        f'<p><span class="verdict {kind}">{mark} {verdict.word}{change}</span><br>'
        f'<span class="note">difference {100 * verdict.difference:+.2f} points, {100 * verdict.low:+.2f} to '
        f"{100 * verdict.high:+.2f}; {verdict.n:,} cases</span></p></div>"
    )


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
        f"{metric_title(METRIC, K)}, as above. "
        "A dot is the measured value, the bar behind it the 95 % interval. Each panel has its own scale."
    )
    return f'<p class="soft">{text(intro, 400)}</p><div class="grid wide">{"".join(cards)}</div>'


def _heat(heatmap: tuple[npt.NDArray[np.integer], Sequence[str]] | None) -> str:
    if heatmap is None:
        return ""
    counts, names = heatmap
    caption = (
        f"{_concentration(counts, names)} Rows: the category a customer was last in. Columns: the categories "
        "of the ten recommendations, in per cent of the row (· is less than a half). Cells with a frame stay "
        "in the same category; the busiest categories are shown."
    )
    return heat(*heatmap, caption=caption)


def _concentration(counts: npt.NDArray[np.integer], names: Sequence[str]) -> str:
    """What the picture shows, in a sentence."""
    total = counts.sum()
    if not total:
        return ""
    shares = counts.sum(axis=0) / total
    top = np.argsort(-shares, kind="stable")[:3]
    said = ", ".join(f"{names[c].rsplit(SEPARATOR, 1)[-1]} {shares[c]:.0%}" for c in top if shares[c] > 0)
    return (
        f"{np.trace(counts) / total:.0%} of the recommendations stay in the category the customer came from. "
        f"The largest columns, over all rows: {said}."
    )


def _protocol(evaluation: Evaluation, notes: Sequence[str]) -> str:
    seen = "left out of" if evaluation.cases.mask_seen else "kept in"
    lines = [
        PROTOCOLS.get(evaluation.protocol, f"Protocol: {evaluation.protocol}."),
        f"Every item of the catalogue was ranked for every case, none sampled; items of the history are "
        f"{seen} the open list. Where items have equal scores, figures are means over their orders.",
        f"Intervals come from {evaluation.bootstrap.resamples:,} bootstrap resamples of the cases, the same "
        "ones for every model.",
    ]
    listed = "".join(f"<li>{text(n, 600)}</li>" for n in dict.fromkeys((*evaluation.notes, *notes)))
    return "".join(f"<p>{text(line, 600)}</p>" for line in lines) + (f"<ul>{listed}</ul>" if listed else "")
