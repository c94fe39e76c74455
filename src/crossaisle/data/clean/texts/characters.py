"""Characters: mojibake, full-width forms, compatibility characters, Chinese scripts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import numpy as np
import polars as pl

from crossaisle.data.clean.libraries import EXTRA, installed, library
from crossaisle.data.clean.report import Change, StepReport
from crossaisle.extras import install_command

SUSPECT = (
    r"[\u00c0-\u00f4\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u0402-\u045f\u2018-\u203a\u20ac\u2122"
    r"\u251c\u252c\u0393][^\x00-\x7f]"
)
"""Two adjacent characters that occur in every wrongly decoded text, and hardly in others."""
GBK_SUSPECT = r"[\u00b0-\u00d7][\u00a1-\u00fe][\u00a1-\u00fe]{2}"
"""Two Chinese characters in GBK that were decoded as Latin-1."""
_HIGH = re.compile(r"[^\x00-\x7f]+")
_COMMON = 0.75
"""Minimum share of common characters (level 1 of GB 2312) for a text to be decoded again as GBK."""
KEPT_TAGS = ("<fraction>", "<super>", "<sub>", "<wide>", "<narrow>")
"""Compatibility forms that carry meaning: 1½ is not 11⁄2, m² is not m2. Width has a step of its own."""
_CJK = r"\u3000-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
FULL_WIDTH = r"[\x{ff01}-\x{ffee}\x{3000}]"
"""Full-width and half-width forms, in the pattern syntax of polars."""
_FULL_WIDTH = re.compile(r"[\uff01-\uffee\u3000]")
_PUNCTUATION = re.compile(
    rf"(?<![{_CJK}\uff01-\uff5e])[\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff5e](?![{_CJK}])"
)
"""Full-width punctuation outside Chinese, Japanese or Korean text, in which it would be normal."""
_HALF_KANA = re.compile(r"[\uff61-\uff9f]+")
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F) if chr(code - 0xFEE0).isalnum()} | {
    0x3000: 0x20
}
_WIDE |= {0xFFE0: 0xA2, 0xFFE1: 0xA3, 0xFFE5: 0xA5, 0xFFE6: 0x20A9}


@dataclass(kw_only=True)
class Mojibake:
    """Repairs wrongly decoded texts with ftfy (Speer, 2019), and changes nothing else about them.

    GBK decoded as Latin-1, which ftfy leaves alone, is repaired without it.

    This must run before control characters are removed, as some are halves of damaged letters.
    """

    setting: Literal["auto", "on", "off"] = "auto"
    changes: list[Change] = field(default_factory=list)
    suspects: int = 0
    """Number of texts that look damaged, counted if ftfy is not installed."""

    def mend(self, column: str, texts: pl.Series) -> pl.Series:
        """Returns the repaired texts, in their own order; null stays null."""
        if self.setting == "off":
            return texts
        texts = self._mend(column, texts, GBK_SUSPECT, read_as_gbk)
        rows = np.flatnonzero(texts.str.contains(SUSPECT).fill_null(False).to_numpy())
        if not len(rows):
            return texts
        if self.setting == "auto" and not installed("ftfy"):
            self.suspects += int(texts.gather(rows).str.contains(r"Ã[\x80-\u2122]|â€|Â[\x80-\xbf]").sum())
            return texts
        return self._mend(column, texts, SUSPECT, mended)

    def _mend(
        self, column: str, texts: pl.Series, suspect: str, mend: Callable[[Sequence[str]], list[str]]
    ) -> pl.Series:
        rows = np.flatnonzero(texts.str.contains(suspect).fill_null(False).to_numpy())
        if not len(rows):
            return texts
        before = texts.gather(rows).to_list()
        after = mend(before)
        self.changes += [
            Change(column, row, b, a)
            for row, b, a in zip(rows.tolist(), before, after, strict=True)
            if a != b
        ]
        return texts.scatter(rows, pl.Series(after, dtype=pl.String))

    def report(self, n_rows: int) -> StepReport:
        """The report on the `n_rows` products seen so far."""
        notes = []
        if self.suspects:
            notes.append(
                f"{self.suspects:,} texts look as if they were read in the wrong encoding: to repair "
                f"them, run  {install_command(EXTRA)}"
            )
        return StepReport(
            name="mojibake",
            setting=self.setting,
            rows_in=n_rows,
            rows_out=n_rows,
            changes=self.changes,
            notes=notes,
        )


def mended(texts: Sequence[str]) -> list[str]:
    """Texts with mojibake repaired, even if it was applied several times."""
    ftfy = library("ftfy", "the step mojibake")
    known: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        after, before = ftfy.fix_encoding(text), text
        while after != before:
            before, after = after, ftfy.fix_encoding(after)
        known[text] = after
    return [known[text] for text in texts]


def read_as_gbk(texts: Sequence[str]) -> list[str]:
    """Decodes GBK texts (its GB 2312 part) that had been decoded as Latin-1; others are unchanged.

    Every run of such characters must consist of pairs, most of them common characters. A sign such as "£"
    must be among them, because Cyrillic capitals decoded as Latin-1 give letters only.
    """
    return [_of_gbk(text) for text in texts]


def _of_gbk(text: str) -> str:
    runs = _HIGH.findall(text)
    longest = max(runs, key=len, default="")
    signs = any(char < "\u00c0" for run in runs for char in run)
    if len(longest) < 4 or len(set(longest)) < 3 or not signs:
        return text
    try:
        found = text.encode("latin-1").decode("gb2312")
    except UnicodeError:
        return text
    high = [char.encode("gb2312")[0] for run in _HIGH.findall(found) for char in run]
    common = sum(0xB0 <= first <= 0xD7 for first in high)
    return found if common >= _COMMON * len(high) else text


def narrowed(texts: Sequence[str]) -> list[str]:
    """Converts full-width letters and digits to half-width, and half-width kana to full-width.

    Full-width punctuation next to Chinese, Japanese and Korean characters is left, as it belongs there.
    """
    return [_narrow(text) if not text.isascii() and _FULL_WIDTH.search(text) else text for text in texts]


def _narrow(text: str) -> str:
    text = _HALF_KANA.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    text = text.translate(_WIDE)
    for _ in range(len(text)):
        after = _PUNCTUATION.sub(lambda found: chr(ord(found[0]) - 0xFEE0), text)
        if after == text:
            break
        text = after
    return text


class _Compatible(dict[int, str]):
    """Code point -> its compatibility decomposition; computed once per character."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        plain = unicodedata.normalize("NFKC", char)
        keep = (
            char == plain
            or char == "\N{TRADE MARK SIGN}"
            or unicodedata.decomposition(char).startswith(KEPT_TAGS)
            # a free-standing accent would be combined with a space
            or (plain[:1] == " " and len(plain) > 1)
        )
        self[code] = char if keep else plain
        return self[code]


_COMPATIBLE = _Compatible()


def compatible(texts: Sequence[str]) -> list[str]:
    """NFKC (Unicode Standard Annex 15), except where it would change a text's meaning or look.

    Fractions, superscripts, "™" and free-standing accents are kept; so are full-width forms, which `narrowed`
    handles.
    """
    return [
        text if text.isascii() else unicodedata.normalize("NFC", text.translate(_COMPATIBLE))
        for text in texts
    ]


def in_script(texts: Sequence[str], script: Literal["simplified", "traditional"]) -> list[str]:
    """Converts Chinese texts to one script with OpenCC; others are unchanged."""
    convert = _converter("t2s" if script == "simplified" else "s2t")
    han = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
    kana = re.compile(r"[\u3041-\u30ff]")
    return [convert(text) if han.search(text) and not kana.search(text) else text for text in texts]


@cache
def _converter(name: str):  # type: ignore[no-untyped-def]
    return library("opencc", "the step chinese").OpenCC(name).convert
