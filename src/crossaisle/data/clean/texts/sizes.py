"""Amounts and units: unified spelling in titles, and the size of a product as numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

UNITS: dict[str, tuple[str, float, str]] = {
    # spelling -> unit, how many base units it is, base unit
    "fl oz": ("ml", 29.5735, r"fl\.?\s?oz\.?|fluid\s+ou?nces?|floz"),
    "oz": ("g", 28.3495, r"oz|ozs|ounces?|onz"),
    "lb": ("g", 453.592, r"lbs?|pounds?|libras?"),
    "kg": ("g", 1000.0, r"kgs?|kilos?|kilograms?|kilogramm|公斤|千克"),
    "mg": ("g", 0.001, r"mgs?|milligrams?|毫克"),
    "g": ("g", 1.0, r"gr?|gms?|grs|grams?|gramm|grammes|克"),
    "ml": ("ml", 1.0, r"mls?|millilit(?:er|re)s?|毫升"),
    "cl": ("ml", 10.0, r"cls?|centilit(?:er|re)s?"),
    "L": ("ml", 1000.0, r"l|lts?|ltrs?|lit(?:er|re|ro)s?|升"),
    "gal": ("ml", 3785.41, r"gal|gals|gallons?"),
    "qt": ("ml", 946.353, r"qts?|quarts?"),
    "pt": ("ml", 473.176, r"pts?|pints?"),
    "mm": ("cm", 0.1, r"mms?|millimet(?:er|re)s?|毫米"),
    "cm": ("cm", 1.0, r"cms?|centimet(?:er|re)s?|厘米"),
    "m": ("cm", 100.0, r"met(?:er|re)s?|米"),
    "in": ("cm", 2.54, r"inch|inches|″|''"),
    "ft": ("cm", 30.48, r"ft|feet"),
    "sq ft": ("sq ft", 1.0, r"sq\.?\s?ft|square\s+feet"),
    "ct": ("ct", 1.0, r"ct|cts|cnt|count|counts"),
    "pcs": ("ct", 1.0, r"pcs?|pieces?|stück|件"),
    "pack": ("pack", 1.0, r"pk|pks|pack|packs|pkt"),
    "W": ("W", 1.0, r"watts?"),
}
"""Unit -> its base unit, its size in base units, and a pattern of its spellings (any case)."""
_NUMBER = r"(?:\d+(?:[.,]\d+)*|[.,]\d+)(?:\s?(?:[½¼¾⅓⅔⅛]|\d/\d))?"
_NAMED = "|".join(f"(?P<u{at}>{written})" for at, (_, _, written) in enumerate(UNITS.values()))
_AMOUNT = re.compile(
    rf"(?<![\w.,/])(?P<number>{_NUMBER})\s*-?\s*(?:{_NAMED})(?P<dot>\.(?=\s|,|\)|$))?(?![^\W\d_\u3040-\u9fff]|\d|-?in\b)",
    re.IGNORECASE,
)
_GENERATION = re.compile(r"[2-6]G")
"""Mobile network generations, not grams."""
_PACK = re.compile(
    r"\b(?:(?:pack|case|box|set)\s+of\s+(?P<of>\d{1,4})|(?P<times>\d{1,4})\s*[x×*/-]\s*(?=\.?\d)|"
    r"(?P<pack>\d{1,4})\s?-?\s?(?:pk|pack|packs|pks)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Size:
    """The quantity in a product."""

    amount: float | None
    """In base units; None if only a pack size is given."""
    unit: str
    """Base unit: "g", "ml", "cm", "ct", ..."""
    pack: int
    """Number of such units in a pack."""


def with_units(texts: Sequence[str]) -> list[str]:
    """Unifies the spelling of amounts: `16OZ.`, `16-ounce` and `16 Oz` become `16 oz`; `2 Ltr` becomes `2
    L`."""
    return [_AMOUNT.sub(_spelt, text) if any(map(str.isdigit, text)) else text for text in texts]


def size_of(text: str) -> Size | None:
    """The first amount with a unit in a text, and its pack size; None if there is neither."""
    pack = _PACK.search(text)
    count = int(next(number for number in pack.groups() if number)) if pack else 1
    for found in _AMOUNT.finditer(text):
        unit = _unit(found)
        if unit is None or unit == "pack":
            continue
        base, factor, _ = UNITS[unit]
        value = _value(found["number"])
        if value is not None:
            return Size(round(value * factor, 4), base, count)
    return Size(None, "", count) if pack else None


def without_sizes(text: str) -> str:
    """A text with amounts and packs removed."""
    return _PACK.sub(" ", _AMOUNT.sub(" ", text))


def _unit(found: re.Match[str]) -> str | None:
    if _GENERATION.fullmatch(found[0].strip()):
        return None
    return next(name for at, name in enumerate(UNITS) if found[f"u{at}"])


def _spelt(found: re.Match[str]) -> str:
    unit = _unit(found)
    return found[0] if unit is None else f"{' '.join(found['number'].split())} {unit}"


def _value(number: str) -> float | None:
    """Parses a number before a unit: a comma before one or two digits is a decimal comma."""
    whole, _, part = number.partition(" ")
    text = re.sub(r",(\d{1,2})$", r".\1", whole).replace(",", "")
    try:
        value = float(text)
    except ValueError:
        return None
    if "/" in part:
        above, below = part.split("/")
        return value + int(above) / int(below) if int(below) else None
    return value
