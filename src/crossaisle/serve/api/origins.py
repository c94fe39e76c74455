"""Origins: from which web pages the service may be asked."""

from __future__ import annotations

import re
from collections.abc import Iterable

from crossaisle.errors import ConfigError, shorten

_ORIGIN = re.compile(r"(https?)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_USUAL = {"http": ":80", "https": ":443"}


def origins_of(given: Iterable[str], setting: str = "--origins") -> frozenset[str]:
    """The origins as browsers send them; `ConfigError` for anything that no browser would send.

    `setting`: where they are named, for the message. No wildcards: each origin is compared as a whole.
    """
    return frozenset(_checked(text, setting) for text in given)


def _checked(text: str, setting: str) -> str:
    parts = _ORIGIN.fullmatch(text)
    if parts is None or (parts[3] is not None and parts[3] == _USUAL[parts[1]]):
        rule = "must be what a browser sends as Origin, such as https://shop.example or http://127.0.0.1:8000"
        why = "scheme and host in lower case, no path, no *, and no port where it is the usual one"
        raise ConfigError(f"{setting} {shorten(text)}: an origin {rule}: {why}")
    return text
