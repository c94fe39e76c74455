"""Words of titles that can name something."""

from __future__ import annotations

import re

_UNITS = """ct cm cl ctn dz doz each fl ft gal gr inch inches kg lb lbs liter liters litre ltr mg ml mm multi
    oz pack packs pc pcs pk pkg pt qt size"""
UNITS = frozenset(_UNITS.split())
"""Say how much is in it."""
JOINING = frozenset(["and", "for", "from", "the", "with", "without", "your"])
"""Only join other words."""


def is_telling(word: str) -> bool:
    """Whether a person would call it a word: no pair, number, unit, abbreviation or joining word."""
    small = word.lower()
    return word.isalpha() and (not word.isascii() or _spoken(small)) and small not in UNITS | JOINING


def _spoken(word: str) -> bool:
    """Whether letters from A to Z can be said as a word: "gds" cannot."""
    return len(word) > 2 and re.search("[aeiouy]", word) is not None
