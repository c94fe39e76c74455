"""Till-code abbreviations, learned from the catalogue: `Sft Drnk` occurs among soft drinks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossaisle.data.clean.report import Proposal, read_table
from crossaisle.data.clean.texts.vocabulary import english, in_case_of, is_subsequence, words_in

SHORTEST, LONGEST = 2, 8
"""Minimum and maximum length of abbreviations that are learned."""
VOWELS = frozenset("aeiouy")
USUAL: dict[str, str] = {
    "asst": "assorted", "asstd": "assorted", "bdy": "body", "bev": "beverage", "bkfst": "breakfast",
    "bnls": "boneless", "bnlss": "boneless", "brd": "breaded", "brkfst": "breakfast", "btl": "bottle",
    "btls": "bottles", "carb": "carbonated", "chkn": "chicken", "choc": "chocolate", "clnr": "cleaner",
    "cndy": "candy", "ckys": "cookies", "crkr": "cracker", "ctn": "carton", "dept": "department",
    "dnr": "dinner", "dnrs": "dinners", "drnk": "drink", "drnks": "drinks", "drsng": "dressing",
    "exc": "except", "excl": "excluding", "excp": "except", "flvr": "flavor", "flvrd": "flavored",
    "frsh": "fresh", "frz": "frozen", "frzn": "frozen", "grnd": "ground", "incl": "including",
    "jce": "juice", "lrg": "large", "lqd": "liquid", "mlk": "milk", "mltpk": "multipack", "mnrl": "mineral",
    "mxs": "mixes", "nat": "natural", "nov": "novelty", "ntrl": "natural", "org": "organic",
    "pkg": "package", "pkgd": "packaged", "pkld": "pickled", "plstc": "plastic", "pnt": "peanut",
    "prem": "premium", "pwdr": "powder", "refrig": "refrigerated",
    "refrgratd": "refrigerated", "reg": "regular", "sft": "soft", "shldr": "shoulder", "slc": "sliced",
    "sld": "salad", "sml": "small", "snd": "sandwich", "sndwch": "sandwich", "sngl": "single",
    "snks": "snacks", "spec": "specialty", "sprd": "spread", "syrp": "syrup",
    "tiss": "tissue", "trad": "traditional", "trsh": "trash", "veg": "vegetable", "vegs": "vegetables",
    "wht": "white", "whl": "whole", "wtr": "water", "yog": "yogurt",
}  # fmt: skip
"""Receipt abbreviations with one meaning in any shop; those learned from the catalogue take precedence."""
USUAL_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Shortened:
    """Abbreviated words and whole titles of a file, and what they stand for."""

    words: Mapping[str, str]
    titles: Mapping[str, str]

    @classmethod
    def of(cls, pairs: Mapping[str, str]) -> Shortened:
        """Splits lower-case texts -> meanings into single words and the rest."""
        one = {short: long for short, long in pairs.items() if len(words_in(short)) == 1 and short.isalpha()}
        return cls(one, {short: long for short, long in pairs.items() if short not in one})


def read_abbreviations(path: Path) -> dict[str, str]:
    """Reads a file with columns `short` and `long`: a word, a part of a title or a whole title, in lower
    case."""
    table = read_table(path, ("short", "long"))
    return {short.lower(): long for short, long in table.iter_rows() if short}


def learn(titles: Sequence[str], contexts: Sequence[str]) -> Iterable[Proposal]:
    """Abbreviations in titles and contexts, with the word that each stands for.

    `contexts`: per title, what else is known of the product, such as its category. An unknown word may
    abbreviate any known word with the same first letter that contains its letters in order. The contexts
    decide which: how many of the categories with the abbreviation also contain the full word, compared with
    its share in all categories.
    """
    known = english("the step abbreviations")
    counts, holders, n_contexts = _spread(titles, contexts)
    longs: defaultdict[str, list[str]] = defaultdict(list)
    near_by: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for word in sorted(counts):
        if word in known and len(word) >= 4 and word.isascii():
            longs[word[0]].append(word)
            for context in holders[word]:
                near_by[context, word[0]].append(word)
    for short in sorted(counts):
        if (
            not SHORTEST < len(short) <= LONGEST
            or short in known
            or not (short.isalpha() and short.isascii())
        ):
            continue
        if not any(form_of(short, long) for place in holders[short] for long in near_by[place, short[0]]):
            continue
        scored = []
        for long in longs[short[0]]:
            form = form_of(short, long)
            if form:
                near, lift = _together(holders[short], holders[long], n_contexts)
                scored.append((form * (0.35 + 0.65 * near * lift / (lift + 3.0)), near, long))
        if scored:
            yield _best(short, scored, counts)


def _spread(
    titles: Sequence[str], contexts: Sequence[str]
) -> tuple[Counter[str], Mapping[str, set[str]], int]:
    """Word -> number of titles and contexts with it; word -> contexts with it; number of contexts."""
    by_context: defaultdict[str, set[str]] = defaultdict(set)
    counts: Counter[str] = Counter()
    for title, context in dict.fromkeys(zip(titles, contexts, strict=True)):
        words = {w.lower() for w in words_in(title)}
        by_context[context] |= words
        counts.update(words)
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for context, words in by_context.items():
        own = {w.lower() for w in words_in(context)}
        counts.update(own)
        for word in words | own:
            holders[word].add(context)
    return counts, holders, len(by_context)


def _together(short: set[str], long: set[str], n_contexts: int) -> tuple[float, float]:
    """Share of the abbreviation's contexts that contain the full word, and its ratio to chance."""
    near = len(short & long) / len(short)
    lift = (len(short & long) + 0.1) / len(short) / ((len(long) + 1.0) / n_contexts)
    return near, lift


def _best(short: str, scored: list[tuple[float, float, str]], counts: Mapping[str, int]) -> Proposal:
    scored.sort(key=lambda s: (-s[0], -counts[s[2]], s[2]))
    (score, near, long), rest = scored[0], scored[1:]
    rival = next((s[0] for s in rest if not _forms(s[2], long)), 0.0)
    return Proposal(
        before=short,
        after=long,
        confidence=round(min(0.99, 1.15 * score * (1.0 - 0.5 * rival / score)), 3),
        rows=counts[short],
        why=f"{100 * near:.0f} % of its categories write {long!r}",
    )


def usual(words: Iterable[str]) -> Iterable[Proposal]:
    """The common abbreviations among some lower-case words."""
    counts = Counter(words)
    for short in sorted(counts.keys() & USUAL.keys()):
        yield Proposal(
            before=short,
            after=USUAL[short],
            confidence=USUAL_CONFIDENCE,
            rows=counts[short],
            why="usual on receipts",
        )


def form_of(short: str, long: str) -> float:
    """How plausibly one word abbreviates another, from 0 (not at all) to 1.

    1 if only vowels (and doubled letters) are left out; less for a prefix, and less still for scattered
    letters.
    """
    if len(long) <= len(short) or short[0] != long[0] or not is_subsequence(short, long):
        return 0.0
    if short[-1] == "s" and long[-1] != "s":
        return 0.0
    bones = long[0] + "".join(c for c in long[1:] if c not in VOWELS)
    single = "".join(c for at, c in enumerate(bones) if at == 0 or c != bones[at - 1])
    if short in (bones, single):
        return 1.0
    if long.startswith(short):
        return 0.85 if len(short) >= 4 else 0.7
    missing = [c for c in single if c not in short]
    kept = len(short) / len(long)
    if len(missing) <= 1 and kept >= 0.5:
        return 0.85
    return 0.6 if kept >= 0.45 and len(missing) <= 2 else 0.0


def _forms(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return long.startswith(short[: max(len(short) - 1, 4)])


def expanded(text: str, words: Mapping[str, str], titles: Mapping[str, str]) -> str:
    """A title with its abbreviations written out; words that map to "" are removed."""
    lower = text.lower()
    if lower in titles:
        return titles[lower]
    for phrase in sorted((t for t in titles if " " in t and t in lower), key=len, reverse=True):
        at = lower.find(phrase)
        whole = (
            not (lower[at - 1 : at] if at else "").isalnum()
            and not lower[at + len(phrase) : at + len(phrase) + 1].isalnum()
        )
        if whole:
            text = (
                text[:at] + in_case_of(text[at : at + len(phrase)], titles[phrase]) + text[at + len(phrase) :]
            )
            lower = text.lower()
    return text
