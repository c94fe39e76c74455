"""Control characters: no text is kept or shown with them."""

from __future__ import annotations

import re

CONTROL = r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
"""Control characters and those that turn the direction of what follows; without tab and line ends, which
count as blanks."""
_CONTROL = re.compile(CONTROL)


def without_control(text: str) -> str:
    """A text that commands no terminal: no colours, no titles of windows, no other direction."""
    return text if text.isprintable() else _CONTROL.sub("", text)


def escaped_control(text: str) -> str:
    """JSON that says the same without control characters."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def tidied(text: str) -> str:
    """Control characters out, runs of blanks to one, ends trimmed; "" where nothing is left."""
    return " ".join(without_control(text).split())
