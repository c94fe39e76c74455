"""Different spellings of one category below the same parent: `Condiments/Sauces`, `Condimets / Sauces`."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crossaisle.data.clean.libraries import library
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.proposing import ProposingStep
from crossaisle.data.clean.report import Change, Proposal
from crossaisle.data.clean.texts.vocabulary import english
from crossaisle.data.taxonomy import SEPARATOR

Path = tuple[str, ...]
SHORTEST = 5
"""Minimum length of a word in which one wrong letter is a typo rather than another word."""
LONG = 9
"""Minimum length of a word in which two letters may be wrong."""
RARER = 10
"""Factor by which a word must be rarer in English than the one it may stand for ("caned" for "canned")."""
SURE = 0.9
"""Confidence above which two parents count as the same, so their children are compared together."""
BLOCK = 1_000
"""Number of names compared with all others at a time."""


@dataclass(frozen=True, kw_only=True)
class CategoryNames(ProposingStep):
    """Unifies the spellings of a category to the one with the most products, from the top of the tree down.

    Names that differ only in case, accents, white space, punctuation or "&" for "and" are the same
    (confidence .99). A name with one mistyped word is a misspelling of the spelling with more products:
    almost surely (.97) if only the other word is English; probably (.92) if neither is and the other name is
    three times as frequent, or if the wrong word is far rarer; else doubtful (.5) if both are words. Numbers
    must agree.
    """

    name: str = "categories"

    def proposals(self, products: Products) -> Iterable[Proposal]:
        return propose(counted(products))

    def applied(self, products: Products, chosen: Mapping[str, str]) -> tuple[Products, list[Change]]:
        of = {tuple(b.split(SEPARATOR)): tuple(a.split(SEPARATOR)) for b, a in chosen.items() if a}
        return products.renamed_paths(of)


def counted(products: Products) -> Counter[Path]:
    """Category path of any depth -> number of products in it."""
    counts: Counter[Path] = Counter()
    for paths, n in Counter(products.paths).items():
        for path in {p[:depth] for p in paths for depth in range(1, len(p) + 1)}:
            counts[path] += n
    return counts


@dataclass
class _Level:
    """The children of one parent, including those of its other spellings."""

    counts: Counter[str] = field(default_factory=Counter)
    spelt: defaultdict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))


def propose(counts: Mapping[Path, int]) -> Iterable[Proposal]:
    """Paths and the spelling that each should have; parents are settled before their children."""
    known = english("the step categories")
    words = Counter(w for name in {category_key(path[-1]) for path in counts} for w in set(name.split()))
    right: dict[Path, Path] = {}
    for depth in range(1, max(map(len, counts), default=0) + 1):
        levels: defaultdict[Path, _Level] = defaultdict(_Level)
        for path, n in counts.items():
            if len(path) == depth:
                parent = right.get(path[:-1], path[:-1])
                levels[parent].counts[path[-1]] += n
                levels[parent].spelt[path[-1]].append(path)
        for parent, level in levels.items():
            for name, spellings in level.spelt.items():
                right.update({path: (*parent, name) for path in spellings if path[:-1] != parent})
            for before, after, sure, why in _same(level.counts, known, words):
                target = (*parent, after)
                for path in level.spelt[before]:
                    yield Proposal(
                        before=SEPARATOR.join(path),
                        after=SEPARATOR.join(target),
                        confidence=sure,
                        rows=counts[path],
                        why=why,
                    )
                if sure >= SURE:
                    right.update(dict.fromkeys(level.spelt[before], target))


def category_key(name: str) -> str:
    """The part that all spellings of a name share: words, quantity signs, and the spaces between them."""
    text = unicodedata.normalize("NFKD", name).casefold().replace("&", " and ")
    text = "".join(c for c in text if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+|[<>=+%]+", text))


def _words(name: str) -> list[str]:
    return category_key(name).split()


Same = tuple[str, str, float, str]
"""Before, after, confidence, why."""


def _same(counts: Mapping[str, int], known: Mapping[str, int], words: Mapping[str, int]) -> Iterable[Same]:
    by_key: defaultdict[str, list[str]] = defaultdict(list)
    for name in counts:
        by_key[category_key(name).replace(" ", "") or name].append(name)
    best: dict[str, str] = {}
    for key, spellings in by_key.items():
        best[key] = max(spellings, key=lambda s: (counts[s], not s.isupper() and not s.islower(), s))
        for other in sorted(spellings):
            if other != best[key]:
                yield (
                    other,
                    best[key],
                    0.99,
                    f"the same except for case, accents and punctuation ({counts[best[key]]:,})",
                )
    total = {key: sum(counts[s] for s in spellings) for key, spellings in by_key.items()}
    slips: dict[str, tuple[float, str]] = {}
    for rare, frequent in _near(sorted(best), total):
        sure = _slip(best[rare], best[frequent], total[rare], total[frequent], known, words)
        if sure > slips.get(rare, (0.0, ""))[0]:
            slips[rare] = (sure, frequent)
    for rare, (sure, frequent) in sorted(slips.items()):
        while frequent in slips and slips[frequent][0] >= 0.9 and total[slips[frequent][1]] > total[frequent]:
            frequent = slips[frequent][1]
        for name in by_key[rare]:
            yield name, best[frequent], sure, f"one letter from {best[frequent]!r} ({total[frequent]:,})"


def _near(keys: Sequence[str], total: Mapping[str, int]) -> Iterable[tuple[str, str]]:
    """Pairs of keys at most two letters apart, the one with fewer products first."""
    if len(keys) < 2:
        return
    process = library("rapidfuzz.process", "the step categories")
    distance = library("rapidfuzz.distance", "the step categories").OSA.distance
    for start in range(0, len(keys), BLOCK):
        part = keys[start : start + BLOCK]
        found = process.cdist(part, keys, scorer=distance, score_cutoff=2, dtype=np.uint8)
        for at, other in zip(*np.nonzero(found <= 2), strict=True):
            one, two = part[at], keys[other]
            if one != two and (total[one], one) < (total[two], two):
                yield one, two


def _slip(
    rare: str, frequent: str, n_rare: int, n_frequent: int, known: Mapping[str, int], words: Mapping[str, int]
) -> float:
    """Confidence that one name is a misspelling of the other, or 0."""
    one, two = _words(rare), _words(frequent)
    if re.sub(r"\D", "", rare) != re.sub(r"\D", "", frequent) or n_frequent <= n_rare:
        return 0.0
    if len(one) != len(two):
        return _other_blanks(one, two)
    differ = [(a, b) for a, b in zip(one, two, strict=True) if a != b]
    if len(differ) != 1:
        return 0.0
    wrong, right = differ[0]
    distance = library("rapidfuzz.distance", "the step categories").OSA.distance(wrong, right)
    letters = min(len(wrong), len(right))
    if letters < SHORTEST - 1 or distance > (2 if letters >= LONG else 1):
        return 0.0
    if words[wrong] > max(1, words[right] // 4):
        return 0.5
    if wrong in known:
        typo = distance == 1 and words[right] >= 2 and known.get(right, 0) >= RARER * known[wrong]
        return 0.91 if typo and n_frequent >= 3 * n_rare else 0.5
    if right in known or words[right] > 1:
        return 0.97 if letters >= SHORTEST else 0.91
    return 0.92 if n_frequent >= 3 * n_rare and letters >= SHORTEST else 0.7


def _other_blanks(one: Sequence[str], two: Sequence[str]) -> float:
    """Confidence that two names are equal except for white space and at most one letter."""
    a, b = "".join(one), "".join(two)
    distance = library("rapidfuzz.distance", "the step categories").OSA.distance(a, b)
    return 0.6 if distance <= 1 and min(len(a), len(b)) >= LONG else 0.0
