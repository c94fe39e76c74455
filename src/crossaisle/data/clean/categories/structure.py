"""The shape of a category tree: depth, categories at the top by mistake, categories with two parents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crossaisle.data.clean.categories.names import Path, category_key, counted
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.proposing import ProposingStep
from crossaisle.data.clean.report import Change, Proposal
from crossaisle.data.taxonomy import SEPARATOR

SHOWN = 20
"""Maximum number of names listed in a report."""


@dataclass(frozen=True, kw_only=True)
class Structure(ProposingStep):
    """Moves orphans below their parent: top-level categories that elsewhere have exactly one parent.

    An orphan without children is moved with a confidence of .95; one with children that its namesake lacks
    may be a department of the same name (.6). Purely numeric names are left alone. A leaf under two parents
    is reported but kept: `Hair > Oil` and `Kitchen > Oil` are different things.
    """

    name: str = "structure"

    def proposals(self, products: Products) -> Iterable[Proposal]:
        return orphans(counted(products))

    def applied(self, products: Products, chosen: Mapping[str, str]) -> tuple[Products, list[Change]]:
        of = {tuple(b.split(SEPARATOR)): tuple(a.split(SEPARATOR)) for b, a in chosen.items() if a}
        return products.renamed_paths(of)

    def facts(self, before: Products, after: Products) -> dict[str, Any]:
        return shape(before, counted(before))


def orphans(counts: Mapping[Path, int]) -> Iterable[Proposal]:
    """Top-level categories, with the path that each has elsewhere."""
    below: defaultdict[str, set[Path]] = defaultdict(set)
    children: defaultdict[Path, set[str]] = defaultdict(set)
    for path in counts:
        if len(path) > 1:
            below[category_key(path[-1])].add(path)
            children[path[:-1]].add(category_key(path[-1]))
    for path in sorted(p for p in counts if len(p) == 1):
        key = category_key(path[0])
        homes = {home for home in below[key] if home[0] != path[0]}
        if len(homes) != 1 or key.replace(" ", "").isdigit():
            continue
        home = next(iter(homes))
        own = children[path] - children[home]
        sure = 0.95 if not children[path] else (0.9 if not own else 0.6)
        yield Proposal(
            before=path[0],
            after=SEPARATOR.join(home),
            confidence=sure,
            rows=counts[path],
            why=f"is below {SEPARATOR.join(home[:-1])!r} elsewhere ({counts[home]:,} products)",
        )


def shape(products: Products, counts: Mapping[Path, int]) -> dict[str, Any]:
    """Statistics of the tree, ready for JSON."""
    depths = Counter(len(paths[0]) if paths else 0 for paths in products.paths)
    parents: defaultdict[str, set[str]] = defaultdict(set)
    for path in counts:
        if len(path) > 1:
            parents[path[-1]].add(SEPARATOR.join(path[:-1]))
    twice = {name: sorted(above) for name, above in parents.items() if len(above) > 1}
    single = Counter(path[:-1] for path in counts if len(path) > 1)
    return {
        "categories": len(counts),
        "products_by_depth": {str(depth): n for depth, n in sorted(depths.items())},
        "names_with_several_parents": len(twice),
        "such_as": dict(sorted(twice.items())[:SHOWN]),
        "only_children": sum(n == 1 for n in single.values()),
        "names_of_digits": sum(path[-1].isdigit() for path in counts),
    }
