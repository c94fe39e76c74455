"""The part of the report about learned rankers: are their probabilities true?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossaisle.evaluate.report.page import number, percent, table, text


def chances(rankers: Mapping[str, Any] | None) -> str:
    """HTML; "" where no ranker was tried.

    `rankers`: per placement `calibration`, a `Reliability.to_dict`.
    """
    measured = {name: one["calibration"] for name, one in (rankers or {}).items()}
    shown = {name: one for name, one in measured.items() if one["chance"]}
    if not shown:
        return ""
    errors = ", ".join(
        f"{name} {number(one['ece'])} (by chance {number(one['ece_by_chance'])})"
        for name, one in shown.items()
    )
    said = (
        "A learned ranker gives each of the ten items it shows a probability of being chosen "
        "next. Here the items are in groups of equal size, from the least to the most "
        "certain: the predicted probability and the share that came true, on validation "
        "cases that it had not seen. Expected calibration error, and what it would be if "
        f"every probability were right: {errors}."
    )
    rows = [
        [name, percent(chance, 2), percent(share, 2)]
        for name, one in shown.items()
        for chance, share in zip(one["chance"], one["share"], strict=True)
    ]
    caption = "Predicted probability and what came true"
    return f"<p>{text(said, 900)}</p>{table(['placement', 'said', 'came true'], rows, caption=caption)}"
