"""`ask`: rules from a generative model, one question per directed pair of categories, each asked once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.knowledge.naming import category_as_named
from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.text.control import tidied
from crossaisle.pipeline.knowledge.generators import Generator
from crossaisle.progress import Advance, unwatched

TEXT = """A shop sells products of these two categories.
First: {source}
Second: {target}
A customer buys a product of the first category. How likely is it that the customer wants a product of the \
second category together with it, in the same purchase? Answer with a whole number from 0 (never) to 10 \
(nearly always), then a colon and the reason in at most twelve words."""
LEAST = 6
"""Answers from this on make a line."""
SUREST = 0.9
"""The strength of an answer of 10."""
_NUMBER = re.compile(r"(?<![\d.])(10|[0-9])(?![\d.]*\d)(?:\s*/\s*10)?")


@dataclass(frozen=True)
class Question:
    """Whether one category is wanted beside another."""

    source: str
    target: str

    @property
    def text(self) -> str:
        return TEXT.format(source=self.source, target=self.target)


@dataclass(frozen=True)
class Reply:
    """What a model said."""

    question: Question
    words: str

    @property
    def number(self) -> int | None:
        """0 to 10; None where the answer has no such number."""
        found = _NUMBER.search(self.words)
        return int(found[1]) if found else None

    @property
    def reason(self) -> str:
        """What follows the number, in one line."""
        found = _NUMBER.search(self.words)
        rest = self.words[found.end() :] if found else self.words
        return tidied(rest.split("\n\n")[0]).lstrip(":.,- )").strip()[:160]


class Answers:
    """Answers that were given, in a file that grows by a line each: what is interrupted goes on there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, str] = {}
        self._torn = False
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            self._torn = bool(text) and not text.endswith("\n")
            for line in text.split("\n"):
                try:
                    one = json.loads(line)
                    self._known[one["key"]] = one["answer"]
                except (ValueError, KeyError, TypeError):
                    continue  # the last line of a run that was cut off

    @staticmethod
    def key(model: str, question: str) -> str:
        """A hash of all that decides an answer."""
        return hashlib.sha256(f"{model}\0{question}".encode()).hexdigest()

    def get(self, model: str, question: str) -> str | None:
        """The answer of a model, if it was asked before."""
        return self._known.get(self.key(model, question))

    def put(self, model: str, question: str, answer: str) -> None:
        """Keeps an answer."""
        key = self.key(model, question)
        self._known[key] = answer
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"key": key, "model": model, "answer": answer}) + "\n"
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + line if self._torn else line)
        self._torn = False


def questions(dataset: Dataset, categories: int, *, level: int | None = None) -> list[Question]:
    """Both orders of each pair of the categories with the most events (items, where there are none).

    Pairs within one category of the shop's level are left out: `goes_with` shows other categories only.
    """
    codes, names = dataset.taxonomy.codes(level), dataset.taxonomy.names(level)
    above = dataset.taxonomy.codes()
    known = codes >= 0
    weight = dataset.item_counts[known] if len(dataset.events) else None
    size = np.bincount(codes[known], weight, minlength=len(names))
    of = np.full(len(names), -1, np.int32)
    of[codes[known]] = above[known]
    chosen = np.argsort(-size, kind="stable")[:categories].tolist()
    return [Question(names[a], names[b]) for a, b in permutations(chosen, 2) if of[a] != of[b]]


def ask(
    asked: Sequence[Question],
    generator: Generator,
    answers: Answers,
    advance: Advance = unwatched,
) -> list[Reply]:
    """A reply to each question, from `answers` where it is known. Each new one is kept as it arrives."""
    out = []
    for question in asked:
        words = answers.get(generator.name, question.text)
        if words is None:
            words = generator.answer(question.text)
            answers.put(generator.name, question.text, words)
        out.append(Reply(question, words))
        advance(1)
    return out


def rules_from(replies: Sequence[Reply], dataset: Dataset) -> list[Rule]:
    """`goes with` for the pairs of a shop's categories that a model finds likely, the strongest first.

    One line where both orders were answered alike, else one for each direction that is likely.
    """
    found = {
        (r.question.source, r.question.target): r
        for r in replies
        if r.number is not None and r.number >= LEAST
    }
    rules, done = [], set()
    for (source, target), reply in found.items():
        if (source, target) in done:
            continue
        back = found.get((target, source))
        both = back is not None and back.number == reply.number
        done |= {(source, target), (target, source)} if both else {(source, target)}
        rules.append(
            Rule(
                kind="goes with",
                source=category_as_named(source, dataset),
                target=category_as_named(target, dataset),
                direction="both" if both else "one way",
                strength=round(SUREST * (reply.number or 0) / 10, 2),
                reason=reply.reason,
            )
        )
    return sorted(rules, key=lambda rule: -rule.strength)
