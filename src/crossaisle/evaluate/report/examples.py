"""The lists that some customers would see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossaisle.evaluate.report.page import percent, text

_HISTORY = 8
_PLACEMENTS = {
    "for_you": "Recommended",
    "discover": "Recommended, from categories new to this customer",
    "goes_with": "Goes with the last of these",
}


def examples_html(examples: Sequence[Mapping[str, Any]]) -> str:
    """A card for each example, see `write_report`; "" without any."""
    cards = "".join(map(_example, examples))
    return f'<div class="grid">{cards}</div>' if cards else ""


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
    heading = _PLACEMENTS.get(example.get("placement", ""), "Recommended")
    return (
        f'<article class="card"><h3>Customer {text(example.get("user", ""), 60)}</h3>{interests}'
        f'<h4>History, oldest first{more}</h4><ul class="items">{past}</ul>'
        f'<h4>{heading}</h4><ol class="items">{items}</ol></article>'
    )


def _item(item: Mapping[str, Any]) -> str:
    category = f' <span class="chip">{text(item["category"], 80)}</span>' if item.get("category") else ""
    return f"{text(item.get('title') or 'untitled')}{category}"
