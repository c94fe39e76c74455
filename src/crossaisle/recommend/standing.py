"""`standing`: a notice of what lists are based on in a shop with hardly any events."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crossaisle.models.blend import Part

_NAMES = {
    "shared words": "texts",
    "similar meaning": "texts",
    "similar text": "texts",
    "similar picture": "pictures",
    "popular in another shop": "another shop's sales",
    "goes together in another shop": "another shop's sales",
}
"""Reason of a part that reads no events -> what it reads, in a word."""


def standing(
    parts: Callable[[], Iterable[Part]], n_events: int, *, tuned: bool, followed: bool = False
) -> str:
    """The notice of lists ranked by what `parts` returns; "" for a model that has seen enough.

    `n_events`: what the model was fitted on. `tuned`: validation chose the weights. `followed`: events since
    then are known.
    """
    if n_events and tuned:
        return ""
    known = (scorer.plain for scorer, weight in parts() if weight and not scorer.plain.reads_events)
    by = " and ".join(dict.fromkeys(_NAMES.get(each.reason, each.reason) for each in known))
    if n_events:
        seen = "1 event" if n_events == 1 else f"{n_events:,} events"
        return f"too few events to tune the weights: ranked by {seen}{(f' and {by}' if by else '')}"
    when = "no events when the model was fitted" if followed else "no events yet"
    return f"{when}: ranked by {by or 'nothing'}"
