"""What tests ask a taxonomy."""

from __future__ import annotations

from crossaisle.data.taxonomy import SEPARATOR, Taxonomy
from crossaisle.data.vocabulary import Vocabulary


def all_names(taxonomy: Taxonomy) -> tuple[str, ...]:
    """Every category of every depth, as full paths; each of them can be found."""
    paths = {path for paths in taxonomy.paths for path in paths}
    names = {SEPARATOR.join(path[: depth + 1]) for path in paths for depth in range(len(path))}
    assert all(len(taxonomy.find(name)) for name in names)
    return tuple(sorted(names))


def vocabulary_of(taxonomy: Taxonomy, depth: int | None = None) -> Vocabulary:
    """The categories of one depth as a `Vocabulary`."""
    return Vocabulary(taxonomy.names(depth), what="category")
