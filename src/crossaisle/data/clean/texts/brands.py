"""Different spellings of one brand: `L'OREAL`, `Loreal Paris Inc.` and `L'Oréal`."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossaisle.data.clean.libraries import library
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.proposing import ProposingStep
from crossaisle.data.clean.report import Change, Proposal

LEGAL = re.compile(
    r"[\s,]+(?:inc|incorporated|ltd|limited|llc|gmbh|corp|corporation|co|company|s\.?a|ag|plc|bv|srl|spa)\.?$",
    re.IGNORECASE,
)
SHORTEST = 6
"""Minimum length of a name in which a wrong letter can be told from another name."""
FREQUENT = 10
"""Factor by which the right spelling must be more frequent than the wrong one."""


@dataclass(frozen=True, kw_only=True)
class Brands(ProposingStep):
    """Unifies the spellings of a brand to the most frequent one.

    Names that differ only in case, accents, punctuation, white space or legal form are the same (confidence
    .99). One wrong letter in a longer name is a typo if the other spelling is far more frequent (at most
    .95).
    """

    name: str = "brands"

    def proposals(self, products: Products) -> Iterable[Proposal]:
        counts = Counter(brand for brand in products.texts("brand") if brand)
        return [*_same_key(counts), *_slips(counts)]

    def applied(self, products: Products, chosen: Mapping[str, str]) -> tuple[Products, list[Change]]:
        return products.rewritten(("brand",), lambda texts: [_last(t, chosen) for t in texts])

    def facts(self, before: Products, after: Products) -> dict[str, Any]:
        sides = {"brands_before": before, "brands_after": after}
        return {name: len({b for b in side.texts("brand") if b}) for name, side in sides.items()}


def brand_key(brand: str) -> str:
    """The part that all spellings of one brand share."""
    text = unicodedata.normalize("NFKD", LEGAL.sub("", brand.strip()))
    return "".join(c for c in text.casefold() if c.isalnum()) or brand


def _same_key(counts: Mapping[str, int]) -> Iterable[Proposal]:
    groups: dict[str, list[str]] = {}
    for brand in counts:
        groups.setdefault(brand_key(brand), []).append(brand)
    for spellings in groups.values():
        best = max(spellings, key=lambda s: (counts[s], not s.isupper() and not s.islower(), s))
        for other in sorted(spellings):
            if other != best:
                yield Proposal(
                    before=other,
                    after=best,
                    confidence=0.99,
                    rows=counts[other],
                    why=f"same as {best!r} ({counts[best]:,})",
                )


def _slips(counts: Mapping[str, int]) -> Iterable[Proposal]:
    """Rare spellings one letter away from a frequent one."""
    keys: dict[str, list[str]] = {}
    for brand in counts:
        keys.setdefault(brand_key(brand), []).append(brand)
    total = {key: sum(counts[b] for b in brands) for key, brands in keys.items()}
    long = sorted(key for key in keys if len(key) >= SHORTEST)
    frequent = [key for key in long if total[key] >= FREQUENT]
    distance = library("rapidfuzz.distance", "the step brands").OSA.distance
    by_length: dict[int, list[str]] = {}
    for key in frequent:
        by_length.setdefault(len(key), []).append(key)
    for key in long:
        near = [
            other
            for size in (len(key) - 1, len(key), len(key) + 1)
            for other in by_length.get(size, ())
            if total[other] >= FREQUENT * total[key] and distance(key, other, score_cutoff=1) == 1
        ]
        if len(near) != 1 or _numbered(key, near[0]):
            continue
        best = max(keys[near[0]], key=lambda b: counts[b])
        share = total[near[0]] / (total[near[0]] + total[key])
        sure = min(0.95, share - 0.9 / len(key))
        for brand in sorted(keys[key]):
            yield Proposal(
                before=brand,
                after=best,
                confidence=max(sure, 0.0),
                rows=counts[brand],
                why=f"one letter from {best!r} ({total[near[0]]:,})",
            )


def _numbered(one: str, other: str) -> bool:
    """Whether two keys differ in a digit, as names of a series do."""
    return re.sub(r"\D", "", one) != re.sub(r"\D", "", other)


def _last(text: str, of: Mapping[str, str]) -> str:
    seen: Sequence[str] = ()
    while text in of and text not in seen:
        seen = (*seen, text)
        text = of[text]
    return text
