"""LightGBM's text format, read strictly and written anew.

LightGBM follows whatever a text says: one that points elsewhere has it read foreign memory. So it never sees
a text from a file, only one that is put together from what was checked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from crossaisle.errors import ArtifactError, shorten

MOST_TREES, MOST_LEAVES = 10_000, 1_024
"""Of an ensemble and of a tree; LightGBM walks down a tree by recursion."""
LARGEST = 1e30
"""Of what a leaf or a split says: scores are float32. Thresholds may be as large as a number can be."""
_WHOLE = re.compile(r"-?[0-9]{1,9}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,30})?(e[-+]?[0-9]{1,3})?")
_OTHER = re.compile(r"[^\x20-\x7e\n]")
_HEADER = ("num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "feature_names")
_UNUSED = ("version", "objective", "monotone_constraints", "feature_infos", "tree_sizes")
"""Lines of the header that are checked against the rest, or say nothing that a prediction needs."""
_OF_SPLITS = (
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "internal_value",
    "internal_weight",
    "internal_count",
)
_OF_LEAVES = ("leaf_value", "leaf_weight", "leaf_count")
_WHOLE_ONES = (
    "split_feature",
    "decision_type",
    "left_child",
    "right_child",
    "internal_count",
    "leaf_count",
)
_DECISIONS = (0, 2, 4, 6, 8, 10)
"""Numeric splits: where a missing value goes (2), and what counts as missing (4: zero, 8: NaN)."""
_TREE = ("num_leaves", "num_cat", *_OF_SPLITS[:6], *_OF_LEAVES, *_OF_SPLITS[6:], "is_linear", "shrinkage")
_NONE_WITH_ONE_LEAF = ("leaf_weight", "leaf_count")


ABOVE_ALL = "inf"
"""A threshold: everything that is known goes left of it, what is not known goes right."""


def canonical(text: str, names: Sequence[str]) -> str:
    """The same trees in a text of nothing but what was checked; `ArtifactError`.

    `names`: of the features the trees must read, in this order, as LightGBM writes them.
    """
    if found := _OTHER.search(text):
        raise _wrong(f"holds the character {found[0]!r}")
    body, separator, _ = text.partition("\nend of trees\n")
    if not separator:
        raise _wrong("has no line 'end of trees'")
    head, *blocks = re.split(r"\n+(?=Tree=)", body)
    known = _header(head, names)
    if not 0 < len(blocks) <= MOST_TREES:
        raise _wrong(f"holds {len(blocks)} trees, not 1 to {MOST_TREES:,}")
    if len(known["tree_sizes"].split()) != len(blocks):
        raise _wrong(f"holds {len(blocks)} trees, and its header says {len(known['tree_sizes'].split())}")
    trees = [_tree(number, block, len(names)) for number, block in enumerate(blocks)]
    lines = {
        "version": "v4",
        **{name: known[name] for name in _HEADER},
        "feature_infos": " ".join(["none"] * len(names)),
        "tree_sizes": " ".join(str(len(tree)) for tree in trees),
    }
    header = "".join(f"{name}={value}\n" for name, value in lines.items())
    return f"tree\n{header}\n{''.join(trees)}end of trees\n"


def _wrong(what: str) -> ArtifactError:
    return ArtifactError(f"the trees of a ranker cannot be used, their text {what}: fit again")


def _lines(text: str, known: Sequence[str]) -> Mapping[str, str]:
    """Lines NAME=VALUE, each of a known name and there once."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, separator, value = line.partition("=")
        if not separator or name not in known or name in found:
            raise _wrong(f"has a line too many ({shorten(line)})")
        found[name] = value
    return found


def _header(text: str, names: Sequence[str]) -> Mapping[str, str]:
    first, _, rest = text.partition("\n")
    if first != "tree":
        raise _wrong(f"begins with {shorten(first)}, not with 'tree'")
    found = _lines(rest, (*_HEADER, *_UNUSED))
    if missing := [name for name in (*_HEADER, "tree_sizes") if name not in found]:
        raise _wrong(f"lacks {missing[0]}")
    if found["feature_names"] != " ".join(names):
        raise ArtifactError("the trees of a ranker read other features than this version: fit again")
    wanted = (1, 1, 0, len(names) - 1)
    for name, number in zip(_HEADER, wanted, strict=False):
        if found[name] != str(number):
            raise _wrong(f"says {name}={shorten(found[name])}, not {number}")
    return found


def _tree(number: int, text: str, n_features: int) -> str:
    """One tree, written anew."""
    first, _, rest = text.partition("\n")
    if first != f"Tree={number}":
        raise _wrong(f"has {shorten(first)} in place of Tree={number}")
    found = _lines(rest.rstrip("\n"), _TREE)
    place = f"in Tree={number}"
    if missing := [name for name in _TREE if name not in found]:
        raise _wrong(f"lacks {missing[0]} {place}")
    leaves = _whole(found["num_leaves"])
    if leaves is None or not 1 <= leaves <= MOST_LEAVES:
        raise _wrong(f"says num_leaves={shorten(found['num_leaves'])} {place}, not 1 to {MOST_LEAVES:,}")
    if found["num_cat"] != "0" or found["is_linear"] != "0":
        raise _wrong(f"has other splits or leaves than numbers {place}")
    if not _NUMBER.fullmatch(found["shrinkage"]):
        raise _wrong(f"says shrinkage={shorten(found['shrinkage'])} {place}")
    for name in (*_OF_SPLITS, *_OF_LEAVES):
        if problem := _problem(name, found[name], leaves, n_features):
            raise _wrong(f"has {problem} in {name} {place}")
    if problem := _astray(found, leaves):
        raise _wrong(f"{problem} {place}")
    lines = "".join(f"{name}={found[name]}\n" for name in _TREE)
    return f"Tree={number}\n{lines}\n\n"


def _whole(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) else None


def _problem(name: str, text: str, leaves: int, n_features: int) -> str:
    """What is wrong with the numbers of one line; "" where nothing is."""
    values = text.split(" ") if text else []
    n = leaves if name in _OF_LEAVES else leaves - 1
    if len(values) != n and not (leaves == 1 and not values and name in _NONE_WITH_ONE_LEAF):
        return f"{len(values)} numbers, not {n},"
    kind = _WHOLE if name in _WHOLE_ONES else _NUMBER
    for value in values:
        if name == "threshold" and value == ABOVE_ALL:
            continue
        if not kind.fullmatch(value) or not np.isfinite(float(value)):
            return f"{shorten(value)}, not a number of its kind,"
        if name != "threshold" and abs(float(value)) > LARGEST:
            return f"{shorten(value)}, too large a number,"
        if name == "split_feature" and not 0 <= int(value) < n_features:
            return f"feature {value} of {n_features}"
        if name == "decision_type" and int(value) not in _DECISIONS:
            return f"{value}, not a numeric split,"
    return ""


def _astray(found: Mapping[str, str], leaves: int) -> str:
    """Why the splits are no tree; "" where they are: each is led to once, and from one that stands before."""
    seen = set()
    for split, child in _children(found):
        if child in seen or not (split < child < leaves - 1 or 0 <= ~child < leaves):
            return f"leads from split {split} to {child}, which is no place of its own"
        seen.add(child)
    return ""


def _children(found: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    for side in ("left_child", "right_child"):
        for split, child in enumerate(found[side].split()):
            yield split, int(child)
