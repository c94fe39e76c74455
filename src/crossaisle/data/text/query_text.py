"""Controls of a `Query` in text form, from a URL or the command line, and hints for wrong names."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from crossaisle.data.query import CrossShare
from crossaisle.errors import ConfigError, nearest, shorten

LONGEST_HINTED = 32
"""Maximum length of a wrong name that gets a hint: searching for longer ones takes too long."""
OTHER_NAMES = {
    "share": "cross_share",
    "include": "include_categories",
    "exclude": "exclude_categories",
    "sold_out": "in_stock",
    "include_seen": "exclude_seen",
    "k": "n",
    "limit": "n",
}
"""Plausible wrong names -> the control they mean."""


def hint_of(name: str, known: Collection[str]) -> str:
    """' (did you mean X?)' for a wrong control name, or ' (known: ...)' if none is close."""
    meant = OTHER_NAMES.get(name)
    if meant in known:
        return f" (did you mean {meant!r}?)"
    return nearest(name, known) if len(name) <= LONGEST_HINTED else ""


def share_of(text: str, name: str = "cross_share") -> CrossShare:
    """Parses `cross_share`; `ConfigError` unless it is a number or "auto". `Query` checks the range."""
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        found = shorten(text)
        raise ConfigError(f"{name} must be a number from 0 to 1, or 'auto' (found {found})") from None


def quotas_of(texts: Iterable[str], name: str = "quotas") -> dict[str, int]:
    """Parses `quotas`: `["Toys=1"]` -> `{"Toys": 1}`; `ConfigError` for any other form."""
    out = {}
    for text in texts:
        category, _, number = text.rpartition("=")
        if not category or not number.strip().isdecimal() or len(number) > 9:
            raise ConfigError(f"{name} must be CATEGORY=number (found {shorten(text)})")
        out[category] = int(number)
    return out
