"""The first screen of a report: what was found, in counts, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crossaisle.errors import ConfigError
from crossaisle.evaluate.glossary import slice_title
from crossaisle.evaluate.report.model_names import model_title
from crossaisle.evaluate.report.page import percent, text
from crossaisle.evaluate.report.verdicts import Verdict
from crossaisle.evaluate.results import Evaluation, Row, interval_of

FEW = 100
"""Cases below which figures say little: the interval of a share is then some twenty points wide."""
MUCH = 0.01
"""A share of rows set aside that somebody should look at."""
K = 10
PER = {10: "ten", 100: "100", 1000: "1,000"}
"""Numbers of recommendations that hits are counted among."""


def lead(evaluation: Evaluation, model: str, others: Sequence[str]) -> str:
    """The first paragraph, in counts that a customer, a list or a basket can be imagined with."""
    metric = "hr" if evaluation.protocol == "leave_last_out" else "precision"
    row = evaluation.row(model, "all", metric, K)
    if row is None:
        raise ConfigError(f"{model}: no result in the slice 'all'")
    rivals = [r for m in others if (r := evaluation.row(m, "all", metric, K)) is not None]
    best = max(rivals, key=lambda r: r["value"], default=None)
    said = _hit_rate(row, best) if metric == "hr" else _precision(evaluation, row, best)
    few = (
        f"""<p class="warning"><strong>Only {row["n"]:,} cases.</strong> With fewer than {FEW}, """
        "the figures on this page prove little.</p>"
        if row["n"] < FEW
        else ""
    )
    return f'<p class="lead">{said}</p>{few}'


def _hit_rate(row: Row, best: Row | None) -> str:
    low, high = (100 * end for end in interval_of(row))
    said = (
        f"For <strong>{100 * row['value']:.1f} of 100</strong> customers, the product they "
        f"chose next is among their ten recommendations (95 % interval {low:.1f} to "
        f"{high:.1f})."
    )
    if best is None:
        return said
    return f"{said} The best single model, {_name(best)}, finds it for {100 * best['value']:.1f}."


def _precision(evaluation: Evaluation, row: Row, best: Row | None) -> str:
    per = next((n for n in PER if n * row["value"] >= 0.5), 10 if row["value"] == 0 else 1000)
    low, high = (per * end for end in interval_of(row))
    baskets = evaluation.protocol == "baskets"
    did, done = ("bought", "bought") if evaluation.bought else ("chose", "chosen")
    where = "were in the rest of the basket" if baskets else f"were {done} in the held-out period"
    said = (
        f"Of {PER[per]} recommendations, <strong>{per * row['value']:.1f}</strong> {where} "
        f"(95 % interval {low:.1f} to {high:.1f})"
    )
    said += (
        "."
        if best is None
        else f"; for the best single model, {_name(best)}, it is {per * best['value']:.1f}."
    )
    hits = K * float(np.nansum(evaluation.per_case(row["model"], "all", "precision", K)))
    chosen = len(evaluation.cases.target)
    each = chosen / max(1, len(evaluation.cases))
    what = "basket" if baskets else "customer"
    return (
        f"{said} A {what} {did} {each:.1f} products on average, so ten recommendations hold "
        f"{percent(hits / max(1, chosen))} of everything {done}."
    )


def _name(row: Row) -> str:
    return text(model_title(row["model"]))


def next_steps(
    found: Mapping[str, Verdict],
    *,
    cases: int,
    import_report: Mapping[str, Any] | None,
    drift: Mapping[str, Any] | None,
) -> str:
    """A list of what follows from the figures, the most urgent first."""
    steps = []
    if cases < FEW:
        steps.append(f"Collect more events before deciding anything: {cases:,} cases prove little.")
    steps += [f"Look at {line}." for line in _set_aside(import_report)]
    if drift and any("drift" in part.get("verdict", "") for part in _parts(drift)):
        steps.append("The shop has changed since the training data: fit again more often.")
    for word, advice in (
        ("worse", "worse than {rival}; keep using that model there"),
        ("better", "better than every single model, the best of which is {rival}: use these lists"),
        ("no clear difference", "no clear difference from {rival}; judge by the lists themselves"),
    ):
        of_rival: dict[str, list[str]] = {}
        for verdict in found.values():
            if verdict.word == word and (verdict.n >= FEW or word == "worse"):
                change = "" if verdict.change is None or word[0] == "n" else f" ({verdict.change:+.0%})"
                change += "" if verdict.n >= FEW else f" in only {verdict.n:,} cases"
                of_rival.setdefault(verdict.rival, []).append(slice_title(verdict.slice_) + change)
        for rival, slices in of_rival.items():
            steps.append(f"{', '.join(slices)}: {advice.format(rival=model_title(rival))}.")
    steps.append(
        "Results on past data are only a forecast. Before all customers get these lists, "
        "show them to half of the customers in an experiment (docs/experiments.md)."
    )
    return "<ol>" + "".join(f"<li>{text(step, 400)}</li>" for step in steps) + "</ol>"


def _parts(drift: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    groups = [v for v in drift.values() if isinstance(v, Mapping)]
    return [part for group in groups for part in group.values() if isinstance(part, Mapping)]


def _set_aside(report: Mapping[str, Any] | None) -> list[str]:
    out = []
    for name, counts in (report or {}).get("tables", {}).items():
        read, lost = counts.get("rows_read") or 0, sum(counts.get("set_aside", {}).values())
        if read and lost / read > MUCH:
            out.append(f"the {lost / read:.0%} of {name} that were set aside (for reasons, see The data)")
    return out
