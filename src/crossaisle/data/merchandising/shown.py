"""Rules in readable form: what each matches, and its errors and contradictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.merchandising.matching import Matched, matched
from crossaisle.data.merchandising.rules import MerchandisingRule, read_rule_file, today
from crossaisle.data.vocabulary import Rows

EXAMPLES = 3
OUT = frozenset({"never", "adults-only"})


def shown_rules(
    several: Iterable[Matched], dataset: Dataset, day: date | None = None
) -> list[dict[str, Any]]:
    """All rules with what they match, ready for JSON."""
    return [shown_rule(one, dataset, day) for one in several]


def shown_rule(one: Matched, dataset: Dataset, day: date | None = None) -> dict[str, Any]:
    """A rule with all its fields, the number of items it matches, some of their titles, and notices.

    `day`: decides whether it applies; by default today (UTC).
    """
    empty = dict.fromkeys(("position", "weight", "since", "until"))
    lists: dict[str, Any] = {"beside": [], "placements": [], "direction": "both", "reason": ""}
    return {
        **empty,
        **lists,
        **one.rule.to_dict(),
        "state": one.rule.state(day or today()),
        "matches": len(one.items),
        "examples": examples(one.items, dataset),
        "notices": notices_of(one, dataset),
    }


def examples(rows: Rows, dataset: Dataset) -> list[str]:
    """Distinct titles of some of the items, best-selling first."""
    counts = np.zeros(dataset.n_items, np.int64)
    counts[: len(dataset.item_counts)] = dataset.item_counts
    order = rows[np.argsort(-counts[rows], kind="stable")]
    titles = (str(dataset.items["title"][row] or dataset.item_ids.id(row)) for row in order[:200].tolist())
    return list(dict.fromkeys(titles))[:EXAMPLES]


def notices_of(one: Matched, dataset: Dataset) -> list[str]:
    """Notices for the merchandiser: names that match nothing, overlapping sides."""
    out = [*one.unknown, *(f"{name}: no title has these words" for name in one.silent)]
    if len(one.items) == dataset.n_items and one.rule.action == "never":
        out.append("removes every item of the shop")
    both = np.intersect1d(one.items, one.beside)
    if len(both) and one.rule.action == "never-with":
        out.append(f"{len(both):,} item(s) are on both sides and never appear together")
    return out


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A rules file checked against a shop."""

    rules: tuple[dict[str, Any], ...]
    """As `shown_rule`."""
    unknown: tuple[str, ...]
    """Names that the shop does not have: `run`, `--rules` and the service reject such rules."""
    contradictions: tuple[str, ...]
    """Rules that conflict, with which one prevails."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def check(path: str | Path, dataset: Dataset) -> Checked:
    """Checks a file against a shop; `ConfigError` if it violates the format."""
    found = matched(read_rule_file(path), dataset)
    return Checked(
        rules=tuple(shown_rules(found, dataset)),
        unknown=tuple(f"rule {one.rule.id!r}: {why}" for one in found for why in one.unknown),
        contradictions=tuple(contradictions(found, dataset)),
    )


def contradictions(found: Sequence[Matched], dataset: Dataset) -> list[str]:
    """Describes pairs of rules that apply at the same time and have opposite effects on the same items."""
    out = []
    for one, other in combinations(found, 2):
        said = _against(one.rule, other.rule) or _against(other.rule, one.rule)
        if not said or not one.rule.meets(other.rule):
            continue
        both = np.intersect1d(one.items, other.items)
        if len(both):
            what = f"{len(both):,} item(s), such as {examples(both, dataset)[0]!r}"
            out.append(f"rules {one.rule.id!r} and {other.rule.id!r} are about {what}: {said}")
    return out


def _against(one: MerchandisingRule, other: MerchandisingRule) -> str:
    if one.action in OUT and other.action in ("pin", "boost"):
        return f"{one.action} wins over {other.action}"
    if one.action == "boost" and other.action == "bury":
        return "both weights count"
    if one.action == "never" and other.action in ("adults-only", "only-with", "never-with"):
        return f"never wins: {other.id} has no effect there"
    return ""
