"""Titles that are till codes: written out, and put into natural word order."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossaisle.clean_config import Mode
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.report import Change, Proposal, Review, StepReport
from crossaisle.data.clean.texts.abbreviations import (
    Shortened,
    expanded,
    learn,
    read_abbreviations,
    usual,
)
from crossaisle.data.clean.texts.vocabulary import WORD, in_case_of, replaced, words_in
from crossaisle.data.taxonomy import SEPARATOR

PHRASES = {"fluid milk": "milk", "soft drinks carb": "soft drinks", "soft drink carb": "soft drink"}
"""Planogram jargon that no dictionary resolves."""
EMPTY = re.compile(
    r"[\s,;:/&-]+(?:only|all others?|misc|incl?|including|excl?|excp?|except|etc|n/?a|nec|other)\.?$",
    re.IGNORECASE,
)
"""Trailing words that mean something to the till but not to people."""
_OPEN = re.compile(r"\s*\([^()]*$")
"""A bracket truncated by the till's line length."""
_SIZED = re.compile(r"^(?P<name>.*?)(?P<size>,\s*[^,]*\d[^,]*)$")
_PARTS = re.compile(r"^(?P<noun>[^\W\d_][\w &']*?)\s*(?::|\s-\s|\s-|-\s)\s*(?P<rest>[^:()]+)$")
_BEFORE_NOUN_LIST = """
assorted bagged baked black blue boneless boxed breaded brown bulk canned chilled chopped cooked
crushed dark dried dry flavored fresh frozen gourmet green ground hot imported jumbo large light
liquid marinated medicated mini natural organic packaged pink plain premium prepackaged private
processed raw red refrigerated roasted salted scented seasonal seedless shredded skinless sliced
small smoked soft specialty spiral stuffed sweet traditional unsalted unscented unsweetened white
whole yellow
"""
BEFORE_NOUN = frozenset(_BEFORE_NOUN_LIST.split())
"""Words that precede what they describe."""
VAGUE = frozenset({"economy", "other", "value"})
DEGREES = frozenset({"extra", "less", "multi", "non", "super", "ultra"})
"""Words that belong to the word after them."""


@dataclass(frozen=True, kw_only=True)
class TillCodes:
    """Writes abbreviations out and moves descriptions before the noun.

    Abbreviations come from the file, the catalogue (`abbreviations.learn`) and a list of common ones. `Sft
    Drnk 2 Liter Btl` becomes `Soft Drink 2 Liter Bottle`, `Bread: Sliced White` becomes `Sliced White Bread`,
    `Fluid Milk White Only` becomes `White Milk`. Words of brands are left alone.
    """

    mode: Mode
    confidence: float
    review: Review
    file: Path | None = None
    name: str = "abbreviations"

    def __call__(self, products: Products) -> tuple[Products, StepReport]:
        start = time.perf_counter()
        given = read_abbreviations(self.file) if self.file is not None else {}
        titles = products.texts("title")
        brands = {w.lower() for b in set(products.texts("brand")) for w in words_in(b)}
        proposals = _merged(titles, _contexts(products), brands | Shortened.of(given).words.keys())
        chosen, settled = self.review.settle(
            self.name, proposals, apply=self.mode == "on", confidence=self.confidence
        )
        report = self._report(products, start, settled)
        if self.mode != "on":
            return products, report
        report.learnt = {**chosen, **given}
        done, report.changes = self.applied(products, report.learnt)
        report.facts = {"titles_before": len(set(titles)), "titles_after": len(set(done.texts("title")))}
        report.seconds = time.perf_counter() - start
        return done, report

    def applied(self, products: Products, chosen: Mapping[str, str]) -> tuple[Products, list[Change]]:
        """Applies `chosen` (before -> after): words, parts of titles, or whole titles."""
        pairs = Shortened.of(chosen)
        known: dict[tuple[str, str], str] = {}
        keys = list(zip(products.texts("title"), _contexts(products), strict=True))
        for key in keys:
            if key not in known:
                known[key] = read_aloud(*key, words=pairs.words, titles=pairs.titles)
        return products.with_titles([known[key] for key in keys])

    def _report(self, products: Products, start: float, settled: list[tuple[Proposal, bool]]) -> StepReport:
        return StepReport(
            name=self.name,
            setting=self.mode,
            rows_in=len(products),
            rows_out=len(products),
            proposals=settled,
            seconds=time.perf_counter() - start,
        )


def _contexts(products: Products) -> list[str]:
    """The first category of each product, or ""."""
    return [SEPARATOR.join(paths[0]) if paths else "" for paths in products.paths]


def _merged(titles: Sequence[str], contexts: Sequence[str], taken: set[str]) -> list[Proposal]:
    """Merges learned and common abbreviations; for each word the more confident one."""
    best: dict[str, Proposal] = {}
    present = {w.lower() for title in dict.fromkeys(titles) for w in words_in(title)}
    for proposal in (*usual(sorted(present)), *learn(titles, contexts)):
        known = best.get(proposal.before)
        if proposal.before not in taken and (known is None or proposal.confidence > known.confidence):
            best[proposal.before] = proposal
    return [best[word] for word in sorted(best)]


def read_aloud(title: str, category: str, *, words: Mapping[str, str], titles: Mapping[str, str]) -> str:
    """One title in natural word order; a size at its end stays there."""
    if title.lower() in titles:
        return titles[title.lower()]
    sized = _SIZED.match(title)
    name, size = (sized["name"], sized["size"]) if sized else (title, "")
    before = name
    shortened = any(w.lower() in words for w in words_in(name))
    name = expanded(name, words, titles)
    name = replaced(name, dict(words))
    name = _OPEN.sub("", name)
    while (cut := EMPTY.sub("", name)) != name and words_in(cut):
        name, shortened = cut, True
    name = expanded(name, {}, PHRASES)
    name = _noun_last(name, category)
    if shortened or name != before:
        name = _adjective_first(name, category)
    name = " ".join(name.split()).strip(" ,;:-")
    return (name or before) + size


def _noun_last(name: str, category: str) -> str:
    """`Bread: Sliced White` -> `Sliced White Bread`, if the first part names the category."""
    parts = _PARTS.match(name)
    if parts is None:
        return name
    noun, rest = parts["noun"].strip(), parts["rest"].strip()
    if not _names(noun, category) or len(words_in(noun)) > 2 or len(words_in(rest)) > 3 or not words_in(rest):
        return name
    if re.search(r"[-–]", rest) or any(map(str.isdigit, rest)) or _names(words_in(rest)[-1], noun):
        return name
    return f"{noun} {rest}" if noun.lower() in BEFORE_NOUN | VAGUE else f"{rest} {noun}"


def _adjective_first(name: str, category: str) -> str:
    """`Milk White` -> `White Milk`: moves trailing descriptions to the front."""
    words = name.split(" ")
    moved: list[str] = []
    while len(words) > 1 and words[-1].lower() in BEFORE_NOUN and WORD.fullmatch(words[-1]):
        moved.insert(0, words.pop())
    if not moved or words[-1].lower() in BEFORE_NOUN | DEGREES or any(not WORD.fullmatch(w) for w in words):
        return name
    return " ".join([*moved, in_case_of(words[0], words[0]), *words[1:]])


def _names(noun: str, text: str) -> bool:
    """Whether a noun occurs in a text, in the singular or the plural."""
    stems = {word.lower().rstrip("s") for word in words_in(text)}
    return bool(words_in(noun)) and all(word.lower().rstrip("s") in stems for word in words_in(noun))
