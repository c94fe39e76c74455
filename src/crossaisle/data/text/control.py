"""Control characters, which are removed from all text that is stored or shown."""

from __future__ import annotations

import re

CONTROL = r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
"""Control and bidirectional formatting characters, except tab and line ends, which count as white space."""
_CONTROL = re.compile(CONTROL)


def without_control(text: str) -> str:
    """The text without characters that set a terminal's colours, title or writing direction."""
    return text if text.isprintable() else _CONTROL.sub("", text)


def escaped_control(text: str) -> str:
    """JSON text with control characters escaped."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def tidied(text: str) -> str:
    """The text without control characters, with white space collapsed and trimmed; may be ""."""
    return " ".join(without_control(text).split())
