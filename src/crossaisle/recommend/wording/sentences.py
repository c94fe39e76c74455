"""`sentence`: the causes of a recommendation in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crossaisle.data.kinds import DEEDS
from crossaisle.data.query import Placement
from crossaisle.recommend.reasons import Cause

_NUMBERS = dict(enumerate(("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), 2))
_IN_VIEW: dict[Placement, str] = {"goes_with": "goes with", "similar": "similar to"}


def sentence(
    causes: Sequence[Cause],
    placement: Placement,
    *,
    words: Sequence[str] = (),
    brand: str = "",
    shelf: str = "",
    link: tuple[str, str] | None = None,
    known: str | None = None,
) -> str:
    """The causes in words, in their order; "" where there is none.

    `words`: those that carry the items' share. `brand`: of both sides, where it is what they share. `shelf`:
    the category of both sides, where its words are what they share. `link`: two categories that one person
    shops, which carry some of it. `known`: what the shop itself says.
    """
    causes = _joined(causes)
    because = [_clause(cause, placement) for cause in causes if _is_because(cause)]
    clauses: list[str] = []
    had = False
    for cause in causes:
        had = had or cause.kind == "before"
        if not _is_because(cause):
            clauses.append(_clause(cause, placement, had=had))
        elif because:
            clauses.append(f"{'also ' if clauses else ''}because {', and '.join(because)}")
            because = []  # all of them are said where the first one stands
    if brand:
        clauses.append(f"also by {brand}")
    if words:
        clauses.append(f"shares the word{'s' * (len(words) > 1)} {_listed(words)}")
    if shelf:
        clauses.append(f"same shelf: {shelf}")
    if known:
        clauses.append(known)
    if link and link[0].casefold() != link[1].casefold():
        clauses.append(f"people who shop for {link[0]} also shop for {link[1]} more than others do")
    text = "; ".join(clauses)
    return text[:1].upper() + text[1:].removesuffix(".") + "." if text else ""


def _joined(causes: Sequence[Cause]) -> list[Cause]:
    """A history as a whole and categories of it in one: "what you usually buy, such as Milk"."""
    whole = next((cause for cause in causes if cause.kind == "history"), None)
    some = next((cause for cause in causes if cause.kind == "categories"), None)
    if whole is None or some is None or whole.deeds != some.deeds:
        return list(causes)
    first, second = (whole, some) if whole.share >= some.share else (some, whole)
    both = replace(whole, share=whole.share + some.share, names=some.names)
    return [both if cause is first else cause for cause in causes if cause is not second]


def _is_because(cause: Cause) -> bool:
    """Whether a cause is something that the user did with other items."""
    return cause.kind == "categories" or (cause.kind == "items" and not cause.in_view)


def _clause(cause: Cause, placement: Placement, *, had: bool = False) -> str:
    """`had`: it was said that the user had the item."""
    names, deed = _listed(cause.names), cause.deeds[0] if cause.deeds else -1
    if cause.kind == "before":
        return DEEDS[deed].before if cause.every_days is None else f"you buy it {how_often(cause.every_days)}"
    if cause.kind == "namesake" and cause.in_view:
        return "has the same name"
    if cause.kind == "namesake":
        other = "another product with this name"
        return f"also {other}" if had else DEEDS[deed].past.format(other)
    if cause.kind == "items":
        return f"{_IN_VIEW[placement]} {names}" if cause.in_view else _did(cause)
    if cause.kind == "categories":
        return DEEDS[deed].present.format(names)
    if cause.kind == "history":
        return f"fits {DEEDS[deed].whole}" + (f", such as {names}" if names else "")
    return "popular in several versions" if cause.of_family else "popular with other shoppers"


def how_often(days: float) -> str:
    """Days from one time to the next, in words: "about every three weeks"."""
    for unit, length, until in (("day", 1.0, 5.5), ("week", 7.0, 49.0), ("month", 30.4, np.inf)):
        if days < until:
            n = max(round(days / length), 1)
            return f"about once a {unit}" if n == 1 else f"about every {_NUMBERS.get(n, n)} {unit}s"
    raise AssertionError


def _listed(names: Sequence[str]) -> str:
    """ "A, B and C"; with a comma before the last one where names hold an "and" of their own."""
    if len(names) < 2:
        return "".join(names)
    last = ", and " if any(" and " in name for name in names) else " and "
    return last.join([", ".join(names[:-1]), names[-1]])


def _did(cause: Cause) -> str:
    """ "you bought A and B", or "you put A in the cart and you looked at B"."""
    done: dict[int, list[str]] = {}
    for name, deed in zip(cause.names, cause.deeds, strict=True):
        done.setdefault(deed, []).append(name)
    return " and ".join(DEEDS[deed].past.format(_listed(names)) for deed, names in done.items())
