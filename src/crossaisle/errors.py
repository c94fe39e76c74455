"""Every error this package raises on purpose.

CrossaisleError
├── ConfigError             a setting is unknown, missing or out of range
├── DataError               an input file or table breaks a rule
├── UnknownIdError          an item or category that the model does not know
├── ConflictError           the name, the place or the key is taken
├── ArtifactError           a saved folder is damaged, foreign or from another version
├── StoreError              the store of a service cannot be opened or written
├── ServiceError            a service refused a request or did not answer (the client)
├── FetchError              a data set or a model could not be fetched or verified
└── MissingDependencyError  an optional library is not installed

A message is one line: what is wrong, where, which rule, and what to do about it.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from heapq import nlargest, nsmallest
from itertools import islice

LONGEST_NAME = 64
"""Characters of a name that a message shows and a hint compares: ids and titles have no such end."""
LOOKED_AT = 5000
"""Known names that a hint looks at: who mistyped one of a million sees for himself."""
CANDIDATES = 200
"""Of these so many are compared, those of about the same length; that takes milliseconds for any names."""
COMPARED = 3
"""And of these so many letter by letter."""


class CrossaisleError(Exception):
    """Base of all errors that the command line prints as one line."""


class ConfigError(CrossaisleError):
    """A setting is unknown, missing or out of range."""


class DataError(CrossaisleError):
    """An input file or table breaks a rule.

    Carries the place, so that callers need not parse the message.
    """

    def __init__(
        self,
        rule: str,
        *,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
        value: object = None,
    ) -> None:
        self.rule, self.file, self.row, self.column, self.value = rule, file, row, column, value
        place = ", ".join(
            text
            for text in (
                file,
                f"row {row}" if row is not None else None,
                f"column {column!r}" if column is not None else None,
            )
            if text
        )
        shown = "" if value is None else f" (found {shorten(value)})"
        super().__init__(f"{place}: {rule}{shown}" if place else f"{rule}{shown}")


class UnknownIdError(CrossaisleError):
    """An item or category that the model does not know.

    The message has no hint: `hint` makes one where a person reads it. A service has better things to do.
    """

    def __init__(self, rule: str, *, name: str = "", known: Iterable[str] = ()) -> None:
        """`name`: what was asked for, among the names that are `known`."""
        self.name, self.known = name, known
        super().__init__(rule)

    @property
    def hint(self) -> str:
        """What `nearest` says, "" where there is nothing to compare with."""
        return nearest(self.name, self.known)


class ConflictError(CrossaisleError):
    """The name or the place is taken, or a key is known with another content."""

    def __init__(self, message: str, *, rows: Sequence[int] = ()) -> None:
        """`rows`: of a batch, those that are in conflict."""
        self.rows = tuple(rows)
        super().__init__(message)


class ArtifactError(CrossaisleError):
    """A saved folder is damaged, foreign or from another version."""


class StoreError(CrossaisleError):
    """The store of a service cannot be opened or written."""


class ServiceError(CrossaisleError):
    """A service refused a request or did not answer; the message is the detail of its problem (RFC 9457)."""

    def __init__(
        self,
        detail: str,
        status: int,
        *,
        title: str = "",
        rules: tuple[str, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        """`title` is "" where the answer was no problem of the service, `retry_after` in seconds."""
        self.status, self.title, self.rules, self.retry_after = status, title, rules, retry_after
        super().__init__(detail)


class FetchError(CrossaisleError):
    """A data set or a model could not be fetched or verified."""


class MissingDependencyError(CrossaisleError):
    """An optional library is not installed; the message holds the install command."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {library}, which is not installed: run  pip install 'crossaisle[{extra}]'"
        )


def shorten(value: object, limit: int = LONGEST_NAME) -> str:
    """`repr` of a value, cut to `limit` characters so that a 10 MB title fits in one line."""
    text = value if isinstance(value, str) else repr(value)
    cut = text[:limit] + "…" if len(text) > limit else text
    return repr(cut) if isinstance(value, str) else cut


def nearest(name: str, known: Iterable[str]) -> str:
    """' (did you mean X?)' with the closest known name, or the known names themselves.

    Takes milliseconds, however many and however long the names are.
    """
    names = list(islice(known, LOOKED_AT))
    wanted = name[:LONGEST_NAME].lower()

    def far(candidate: str) -> tuple[bool, int]:
        return candidate[:1].lower() != wanted[:1], abs(len(candidate) - len(name))

    lower = {one: one[:LONGEST_NAME].lower() for one in nsmallest(CANDIDATES, names, key=far)}
    best = nlargest(COMPARED, lower, key=lambda one: _alike(wanted, lower[one]))
    close = difflib.get_close_matches(wanted, [lower[one] for one in best], n=1, cutoff=0.6)
    if close:
        return f" (did you mean {shorten(next(one for one in best if lower[one] == close[0]))}?)"
    shown = ", ".join(one[:LONGEST_NAME] for one in names[:12])
    return f" (known: {shown}{', …' if len(names) > 12 else ''})" if names else ""


def _alike(left: str, right: str) -> float:
    """Share of two texts that their longest common subsequence makes up; bits of a number are its table.

    Hyyrö (2004), Bit-parallel LCS-length computation revisited.
    """
    at: defaultdict[str, int] = defaultdict(int)
    for place, letter in enumerate(left):
        at[letter] |= 1 << place
    every = table = (1 << len(left)) - 1
    for letter in right:
        both = table & at[letter]
        table = (table + both) | (table - both)
    return 2 * (~table & every).bit_count() / max(len(left) + len(right), 1)
