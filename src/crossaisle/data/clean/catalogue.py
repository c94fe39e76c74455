"""`clean_products`: runs all cleaning steps of a catalogue in order, until nothing changes any more."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crossaisle.clean_config import CleanConfig, Mode
from crossaisle.data.clean.categories.names import CategoryNames
from crossaisle.data.clean.categories.structure import Structure
from crossaisle.data.clean.groups import Groupings
from crossaisle.data.clean.item_cleaning import ItemCleaning
from crossaisle.data.clean.libraries import installed
from crossaisle.data.clean.products import Products, Rewrite, Step
from crossaisle.data.clean.proposing import ProposingStep
from crossaisle.data.clean.report import Change, Review, StepReport, read_review
from crossaisle.data.clean.texts.brands import Brands
from crossaisle.data.clean.texts.characters import (
    FULL_WIDTH,
    SUSPECT,
    compatible,
    in_script,
    mended,
    narrowed,
)
from crossaisle.data.clean.texts.languages import language_of
from crossaisle.data.clean.texts.sizes import with_units
from crossaisle.data.clean.texts.spelling import Spelling
from crossaisle.data.clean.texts.tillcodes import TillCodes
from crossaisle.data.taxonomy import SEPARATOR

ROUNDS = 5
"""Maximum number of rounds: a step may enable others in the next round; more have never been needed."""
TEXTS = ("title", "description", "brand", "attributes", "categories")
MAPPED = "taxonomy"
"""Step name, in the review file, of categories mapped to another tree."""


@dataclass(frozen=True, kw_only=True)
class Texts:
    """A step that rewrites texts individually."""

    name: str
    setting: str
    rewrite: Rewrite
    columns: tuple[str, ...] = TEXTS
    suspect: str = ""
    """A regular expression that matches every text the step might change."""

    def __call__(self, products: Products) -> tuple[Products, StepReport]:
        start = time.perf_counter()
        done, changes = products.rewritten(self.columns, self.rewrite, self.suspect)
        report = StepReport(
            name=self.name,
            setting=self.setting,
            rows_in=len(products),
            rows_out=len(done),
            changes=changes,
            seconds=time.perf_counter() - start,
        )
        return done, report


@dataclass(frozen=True, kw_only=True)
class LanguageShares:
    """Reports the languages of the titles; changes nothing."""

    mode: Mode
    name: str = "language"

    def __call__(self, products: Products) -> tuple[Products, StepReport]:
        start = time.perf_counter()
        titles = products.texts("title")
        counts: Counter[str] = Counter()
        examples: dict[str, str] = {}
        for title, language in zip(titles, language_of(titles), strict=True):
            counts[language or "not clear"] += 1
            examples.setdefault(language or "not clear", title)
        ranked = [name for name, _ in counts.most_common()]
        report = StepReport(
            name=self.name,
            setting=self.mode,
            rows_in=len(products),
            rows_out=len(products),
            facts={"titles": {n: counts[n] for n in ranked}, "such_as": {n: examples[n] for n in ranked[:8]}},
            seconds=time.perf_counter() - start,
        )
        return products, report


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """Renames categories as a person has mapped them to another tree in the review file."""

    review: Review
    name: str = MAPPED

    def applied(self, products: Products, chosen: Mapping[str, str]) -> tuple[Products, list[Change]]:
        """The products with `chosen` paths (before -> after)."""
        of = {_path(before): _path(after) for before, after in chosen.items() if after}
        of = {before: after for before, after in of.items() if before != after}
        return products.renamed_paths({b: a for b, a in of.items() if a not in of})

    def __call__(self, products: Products) -> tuple[Products, StepReport]:
        start = time.perf_counter()
        chosen = self.review.of(self.name)
        done, changes = self.applied(products, chosen)
        report = StepReport(
            name=self.name,
            setting="review",
            rows_in=len(products),
            rows_out=len(done),
            changes=changes,
            learnt=chosen,
            seconds=time.perf_counter() - start,
        )
        return done, report


def _path(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(SEPARATOR) if part.strip())


@dataclass
class Cleaned:
    """A catalogue after all steps, and what each step did."""

    products: Products
    reports: list[StepReport] = field(default_factory=list)


def review_of(config: CleanConfig) -> Review:
    """The decisions in the review file that the settings name, if any."""
    return read_review(config.review) if config.review is not None else Review()


def steps_of(config: CleanConfig, review: Review) -> list[Step]:
    """The steps for texts and categories that are not "off", in the order in which they run."""
    learned: dict[str, Any] = {"confidence": config.confidence, "review": review}
    mojibake = config.mojibake == "on" or (config.mojibake == "auto" and installed("ftfy"))
    steps: list[tuple[bool, Step]] = [
        (mojibake, Texts(name="mojibake", setting=config.mojibake, rewrite=mended, suspect=SUSPECT)),
        (config.width, Texts(name="width", setting="on", rewrite=narrowed, suspect=FULL_WIDTH)),
        (config.nfkc, Texts(name="nfkc", setting="on", rewrite=compatible, suspect=r"[^\x00-\x7f]")),
        (config.chinese != "off", _chinese(config)),
        (config.brands != "off", Brands(mode=config.brands, **learned)),
        (
            config.abbreviations != "off",
            TillCodes(mode=config.abbreviations, file=config.abbreviations_file, **learned),
        ),
        (config.sizes, Texts(name="sizes", setting="on", rewrite=with_units, columns=("title",))),
        (config.spelling != "off", Spelling(mode=config.spelling, **learned)),
        (config.categories != "off", CategoryNames(mode=config.categories, **learned)),
        (config.structure != "off", Structure(mode=config.structure, **learned)),
        (bool(review.of(MAPPED)), Mapped(review=review)),
    ]
    return [step for wanted, step in steps if wanted]


def clean_arriving(products: Products, how: ItemCleaning) -> tuple[Products, list[tuple[str, Change]]]:
    """Cleans items that arrive after an import; returns the products, and each change with its step.

    Nothing is learned from them: what the steps learned from the catalogue is applied. A row of the catalogue
    gets the same result as in the import; a row that is clean already stays unchanged.
    """
    every: dict[str, Any] = {name: "on" for name in how.learnt if name != MAPPED}
    config = replace(how.config, **every)
    review = Review({(MAPPED, before): (after, True) for before, after in how.learnt.get(MAPPED, {}).items()})
    changes: list[tuple[str, Change]] = []
    for _ in range(ROUNDS):
        before = len(changes)
        for step in steps_of(config, review):
            if isinstance(step, Texts):
                products, report = step(products)
                found = report.changes
            elif isinstance(step, ProposingStep | TillCodes | Mapped):
                products, found = step.applied(products, how.learnt.get(step.name, {}))
            changes += [(step.name, change) for change in found]
        if len(changes) == before:
            break
    return products, changes


def _chinese(config: CleanConfig) -> Texts:
    def rewrite(texts: Sequence[str]) -> list[str]:
        return in_script(texts, "traditional" if config.chinese == "traditional" else "simplified")

    return Texts(name="chinese", setting=config.chinese, rewrite=rewrite)


def clean_products(products: Products, config: CleanConfig, review: Review) -> Cleaned:
    """Runs all steps in order, and repeats as long as one of them changes something.

    Cleaning a cleaned catalogue changes nothing. No step adds, drops or reorders products.
    """
    reports: dict[str, StepReport] = {}
    for _ in range(ROUNDS):
        changed = 0
        for step in steps_of(config, review):
            products, report = step(products)
            changed += len(report.changes)
            _add(reports, report)
        if not changed:
            break
    last: list[Step] = []
    if config.language != "off":
        last.append(LanguageShares(mode=config.language))
    if config.groups != "off":
        last.append(Groupings(mode=config.groups, confidence=config.confidence, review=review))
    for step in last:  # their findings change no texts
        products, reports[step.name] = step(products)
    return Cleaned(products, list(reports.values()))


def _add(reports: dict[str, StepReport], report: StepReport) -> None:
    """Merges a later round's report into the step's earlier one."""
    known = reports.get(report.name)
    if known is None:
        reports[report.name] = report
        return
    first: Mapping[tuple[str, int], str] = {(c.column, c.row): c.before for c in known.changes}
    later = {(c.column, c.row): c for c in report.changes}
    known.changes = [c for c in known.changes if (c.column, c.row) not in later]
    known.changes += [type(c)(c.column, c.row, first.get(key, c.before), c.after) for key, c in later.items()]
    settled = {proposal.before for proposal, _ in known.proposals}
    known.proposals += [(p, yes) for p, yes in report.proposals if p.before not in settled]
    known.learnt = {**report.learnt, **known.learnt}
    known.notes += [note for note in report.notes if note not in known.notes]
    known.seconds += report.seconds
