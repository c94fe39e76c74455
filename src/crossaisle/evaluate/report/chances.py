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
        "A learned ranker gives each of the ten items it shows a probability of being the next one. "
        "Here they are in groups of equal size, from the least sure to the surest: what it said, "
        "and the share that came true, on validation cases that it had not seen. "
        f"Expected calibration error, and what it would be if each probability were right: {errors}."
    )
    rows = [
        [name, percent(chance, 2), percent(share, 2)]
        for name, one in shown.items()
        for chance, share in zip(one["chance"], one["share"], strict=True)
    ]
    caption = "Probabilities and what came true"
    return f"<p>{text(said, 900)}</p>{table(['placement', 'said', 'came true'], rows, caption=caption)}"
