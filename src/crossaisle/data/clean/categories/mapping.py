"""Maps the categories of one tree to another: a shop's own tree to a given taxonomy, or two shops' trees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as File

import numpy as np
import numpy.typing as npt

from crossaisle.data.clean.categories.names import Path, category_key
from crossaisle.data.clean.report import Proposal, read_table
from crossaisle.data.taxonomy import SEPARATOR, Paths

Floats = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], Floats]
"""Texts -> float32 (n, d), rows of unit length."""
EXAMPLES = 12
"""Number of titles sampled per category."""
SURE = 0.7
"""Confidence above which four of five mappings are right, measured by `benchmarks/cleaning.py mapping`."""
NAME, WHOLE, ITEMS = 0.45, 0.25, 0.3
"""Weights of the last name, the whole path and the products' titles in the similarity of two categories."""


@dataclass(frozen=True)
class Tree:
    """A category tree, as source or target of a mapping."""

    paths: tuple[Path, ...]
    titles: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    """Titles of some products of each category, where there are any."""

    @classmethod
    def of(cls, paths: Sequence[Paths], titles: Sequence[str], *, seed: int = 0) -> Tree:
        """The categories of given products, each with a random sample of their titles."""
        members: defaultdict[Path, list[str]] = defaultdict(list)
        for item, title in zip(paths, titles, strict=True):
            for path in item[:1]:
                members[path].append(title)
        rng = np.random.default_rng(seed)
        drawn = {}
        for path, all_titles in sorted(members.items()):
            distinct = sorted(set(filter(None, all_titles)))
            chosen = rng.permutation(len(distinct))[:EXAMPLES]
            drawn[path] = tuple(distinct[at] for at in chosen)
        return cls(tuple(sorted(members)), drawn)

    @classmethod
    def read(cls, file: File, separator: str = ">") -> Tree:
        """Reads a taxonomy from a CSV file with a column `category` of full paths."""
        table = read_table(file, ("category",))
        paths = (tuple(p for p in map(str.strip, text.split(separator)) if p) for text in table["category"])
        return cls(tuple(dict.fromkeys(path for path in paths if path)))


def mapped(source: Tree, target: Tree, encode: Encode) -> list[Proposal]:
    """For each category of `source`, its likeliest counterpart in `target`, with a confidence.

    Similarity: cosines of the last names, of the full paths and, if both have products, of their titles; from
    each, the mean similarity of either side to its nearest neighbours is subtracted, so that hubs, close to
    everything, do not win (CSLS: Conneau et al., 2018). Confidence: a logistic function of the best
    similarity and its lead over the second. Equal names are certain.
    """
    if not source.paths or not target.paths:
        return []
    likeness = _likeness(source, target, encode)
    around = _adjusted(likeness)
    best = around.argmax(axis=1)
    out = []
    for row, at in enumerate(best.tolist()):
        rest = np.delete(around[row], at)
        lead = float(around[row, at] - rest.max()) if len(rest) else 1.0
        near = float(likeness[row, at])
        same = category_key(source.paths[row][-1]) == category_key(target.paths[at][-1])
        sure = (
            0.95 if same and near > 0.4 else float(1.0 / (1.0 + np.exp(-(9.0 * (near - 0.55) + 6.0 * lead))))
        )
        second = int(np.argsort(-around[row], kind="stable")[1]) if len(rest) else at
        out.append(
            Proposal(
                before=SEPARATOR.join(source.paths[row]),
                after=SEPARATOR.join(target.paths[at]),
                confidence=min(sure, 0.99),
                rows=len(source.titles.get(source.paths[row], ())),
                why=f"likeness {near:.2f}; next {SEPARATOR.join(target.paths[second])!r}",
            )
        )
    return out


def _likeness(source: Tree, target: Tree, encode: Encode) -> Floats:
    """Similarities, float32 (s, t)."""
    names = _cosines(encode, [p[-1] for p in source.paths], [p[-1] for p in target.paths])
    whole = _cosines(encode, list(map(_read, source.paths)), list(map(_read, target.paths)))
    found = np.asarray((NAME * names + WHOLE * whole) / (NAME + WHOLE), np.float32)
    mine, theirs = _centres(source, encode), _centres(target, encode)
    if mine is None or theirs is None:
        return found
    both = mine[1][:, None] & theirs[1][None, :]
    items = mine[0] @ theirs[0].T
    coded = np.array([not _tells(p[-1]) for p in source.paths])[:, None]
    coded = coded | np.array([not _tells(p[-1]) for p in target.paths])[None, :]
    mixed = (NAME + WHOLE) * found + ITEMS * items
    # codes carry no meaning; the titles below them do
    mixed = np.where(coded, 0.15 * whole + 0.85 * items, mixed)
    return np.asarray(np.where(both, mixed, found), np.float32)


def _read(path: Path) -> str:
    return " ".join(reversed(path))


def _tells(name: str) -> bool:
    """Whether a name is a real name rather than a code."""
    return not any(map(str.isdigit, name)) and any(map(str.isalpha, name))


def _cosines(encode: Encode, left: Sequence[str], right: Sequence[str]) -> Floats:
    distinct = list(dict.fromkeys([*left, *right]))
    row = {text: at for at, text in enumerate(distinct)}
    vectors = encode(distinct)
    found: Floats = vectors[[row[t] for t in left]] @ vectors[[row[t] for t in right]].T
    return found


def _centres(tree: Tree, encode: Encode) -> tuple[Floats, npt.NDArray[np.bool_]] | None:
    """float32 (n, d): mean direction of each category's titles; and bool (n,): whether it has any."""
    texts = [text for path in tree.paths for text in tree.titles.get(path, ())]
    if not texts:
        return None
    vectors, lengths = encode(texts), [len(tree.titles.get(path, ())) for path in tree.paths]
    owner = np.repeat(np.arange(len(lengths)), lengths)
    sums = np.zeros((len(lengths), vectors.shape[1]), np.float32)
    np.add.at(sums, owner, vectors)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return sums / np.maximum(norms, 1e-9), np.array(lengths) > 0


def _adjusted(likeness: Floats, k: int = 5) -> Floats:
    """Subtracts half the mean similarity of each side to its `k` nearest neighbours."""

    def nearest(values: Floats) -> Floats:
        top = np.sort(values, axis=1)[:, -min(k, values.shape[1]) :]
        return np.asarray(top.mean(axis=1), np.float32)

    around = nearest(likeness)[:, None] / 2 + nearest(likeness.T)[None, :] / 2
    return np.asarray(likeness - around, np.float32)
