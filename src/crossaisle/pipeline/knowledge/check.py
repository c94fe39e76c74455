"""What a knowledge file covers of a shop, and what in it the shop does not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.knowledge.naming import Named, Rejected, named, write_rejected
from crossaisle.data.knowledge.rules import KINDS, parse
from crossaisle.models.blend import Blend
from crossaisle.pipeline.fit import Fitted
from crossaisle.recommend.rerank.beside import within_one


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """A knowledge file beside a shop."""

    rules: dict[str, int]
    """Usable lines by rule."""
    wrong: tuple[str, ...]
    """Lines that break a rule of the file: `run` and `fit` refuse the file."""
    rejected: tuple[Rejected, ...]
    """Lines that name something the shop does not have: left out."""
    without_effect: tuple[str, ...]
    """Lines within one leaf category, and `never with` within one category: nothing is shown there anyway."""
    items_spoken_of: float
    """Share of the items beside which the file says what goes."""
    events_spoken_of: float
    """Share of the events that are about these."""
    items_named: float
    """Share of the items that the file says go with something."""
    categories_missing: tuple[str, ...]
    """The shop's categories of which the file says nothing, those with the most events first."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        found = asdict(self)
        found["rejected"] = [
            {"line": one.rule.line, "rule": one.rule.text, "why": one.why} for one in self.rejected
        ]
        return found


def check(path: str | Path, dataset: Dataset) -> Coverage:
    """Reads a file against a shop. `DataError` where it cannot be read at all."""
    rules, problems = parse(path)
    found, rejected = named(rules, dataset)
    counts = Counter(one.rule.kind for one in found)
    spoken_of, shown = np.zeros(dataset.n_items, bool), np.zeros(dataset.n_items, bool)
    for one in found:
        if one.rule.kind == "staple":
            shown[one.source] = True
            continue
        sides = [(one.source, one.target)]
        sides += [(one.target, one.source)] if one.rule.direction == "both" else []
        for source, target in sides:
            spoken_of[source] = True
            shown[target] |= one.rule.kind == "goes with"
    events = dataset.item_counts
    return Coverage(
        rules={kind: counts[kind] for kind in KINDS},
        wrong=tuple(map(str, problems)),
        rejected=tuple(rejected),
        without_effect=tuple(
            f"line {one.rule.line}: {one.rule.text}" for one in found if _without_effect(one, found, dataset)
        ),
        items_spoken_of=float(spoken_of.mean()) if len(spoken_of) else 0.0,
        events_spoken_of=float(events[spoken_of].sum() / max(events.sum(), 1)),
        items_named=float(shown.mean()) if len(shown) else 0.0,
        categories_missing=_missing(spoken_of | shown, dataset),
    )


def knowledge_lines(fitted: Fitted, rejected_at: Path) -> list[str]:
    """What to say of the knowledge that a model was fitted with; rejected lines are kept in a file."""
    rules = fitted.past.blend.rules
    if not rules:
        return []
    given = [name for name in ("goes_with", "discover") if _speaks_in(fitted.past.blend, name)]
    where = (
        f"used, in {' and '.join(given)}" if given else "known, but validation gave them no weight anywhere"
    )
    lines = [f"knowledge: {len(rules) - len(fitted.rejected)} of {len(rules)} lines are {where}"]
    if fitted.rejected:
        write_rejected(rejected_at, fitted.rejected)
        lines += [f"knowledge, line {one.rule.line}: {one.why}" for one in fitted.rejected[:3]]
        lines.append(f"knowledge: the lines left out are in {rejected_at}")
    return lines


def _speaks_in(blend: Blend, placement: str) -> bool:
    """Whether a part that reads a knowledge file has a weight in a placement."""
    return any(weight and getattr(part.plain, "rules", ()) for part, weight in blend.terms(placement))


def _without_effect(one: Named, found: Sequence[Named], dataset: Dataset) -> bool:
    """Whether both sides are of one category, which neither the line nor another one opens."""
    if not within_one(one, dataset):
        return False
    if one.rule.kind == "never with":
        return not any(_opens(other, one) for other in found if other.rule.kind == "goes with")
    return len({dataset.taxonomy.paths[row] for row in np.union1d(one.source, one.target).tolist()}) == 1


def _opens(line: Named, pair: Named) -> bool:
    """Whether a line lets something of a pair be shown beside the other, in either direction."""
    return any(
        bool(np.isin(line.source, source).any() and np.isin(line.target, target).any())
        for source, target in ((pair.source, pair.target), (pair.target, pair.source))
    )


def _missing(known: np.ndarray, dataset: Dataset) -> tuple[str, ...]:
    codes, names = dataset.taxonomy.codes(), dataset.taxonomy.names()
    events = np.bincount(codes[codes >= 0], dataset.item_counts[codes >= 0], minlength=len(names))
    silent: Sequence[int] = np.setdiff1d(np.arange(len(names)), codes[known]).tolist()
    return tuple(names[code] for code in sorted(silent, key=lambda code: -events[code]))
