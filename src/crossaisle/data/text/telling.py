"""Selects words of titles that are suitable as labels."""

from __future__ import annotations

import re

_UNITS = """ct cm cl ctn dz doz each fl ft gal gr inch inches kg lb lbs liter liters litre ltr mg ml mm multi
    oz pack packs pc pcs pk pkg pt qt size"""
UNITS = frozenset(_UNITS.split())
"""Units of quantity."""
JOINING = frozenset(["and", "for", "from", "the", "with", "without", "your"])
"""Words that only connect others."""


def is_telling(word: str) -> bool:
    """Whether a term is a meaningful word: no word pair, number, unit, abbreviation or connecting word."""
    small = word.lower()
    return word.isalpha() and (not word.isascii() or _spoken(small)) and small not in UNITS | JOINING


def _spoken(word: str) -> bool:
    """Whether a word of letters A to Z is pronounceable: "gds" is not."""
    return len(word) > 2 and re.search("[aeiouy]", word) is not None
