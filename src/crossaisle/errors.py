"""Every error this package raises on purpose.

CrossaisleError
├── ConfigError             a setting is unknown, missing or out of range
├── DataError               an input file or table breaks a rule
├── UnknownIdError          an item or category that the model does not know
├── ConflictError           a name, address or key is already in use
├── ArtifactError           a saved folder is damaged, foreign or from another version
├── StoreError              the store of a service cannot be opened or written
├── ServiceError            a service refused a request or did not answer (the client)
├── WorkerError             workers that shared a job keep ending
├── FetchError              a data set or a model could not be fetched or verified
└── MissingDependencyError  an optional library is not installed

A message is one line: what is wrong, where, which rule, and what to do about it.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from heapq import nlargest, nsmallest
from itertools import islice
from urllib.parse import unquote

from crossaisle.extras import install_command

LONGEST_NAME = 64
"""Maximum length of a name in messages and hints: ids and titles may be arbitrarily long."""
SEARCHED = 5000
"""Number of known names searched for a hint: searching a million would take too long."""
CANDIDATES = 200
"""Of these, the number of names closest in length that are compared by their letters, which takes
milliseconds."""
COMPARED = 3
"""Of these, the number that are compared in full, letter order included."""


class CrossaisleError(Exception):
    """Base of all errors that the command line prints as one line."""


class ConfigError(CrossaisleError):
    """A setting is unknown, missing or out of range."""


class DataError(CrossaisleError):
    """An input file or table breaks a rule.

    Its attributes say where, so that callers need not parse the message.
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

    The message itself contains no hint: `hint` computes one on demand, as the search is too slow for a
    service.
    """

    def __init__(self, rule: str, *, name: str = "", known: Iterable[str] = ()) -> None:
        """`name`: the unknown name; `known`: the names to search for a hint."""
        self.name, self.known = name, known
        super().__init__(rule)

    @property
    def hint(self) -> str:
        """The hint of `nearest`, or "" if there is nothing to compare with."""
        return nearest(self.name, self.known)


class ConflictError(CrossaisleError):
    """A name or address is already in use, or a key is already known with different content."""

    def __init__(self, message: str, *, rows: Sequence[int] = ()) -> None:
        """`rows`: indices of the conflicting rows of a batch."""
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
        """`title`: "" if the response was not one of the service's problems. `retry_after`: seconds."""
        self.status, self.title, self.rules, self.retry_after = status, title, rules, retry_after
        super().__init__(detail)


class WorkerError(CrossaisleError):
    """The workers of a job keep dying: a shard was retried more often than allowed."""


class FetchError(CrossaisleError):
    """A data set or a model could not be fetched or verified."""


class MissingDependencyError(CrossaisleError):
    """An optional library is not installed; the message contains the install command."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        self.what = f"{purpose} needs {library}, which is not installed"
        self.extra = extra
        super().__init__(f"{self.what}: run  {install_command(extra)}")


HOSTS = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[\w.-]*)(?::\d+)?(?:,(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d+)?)*", re.ASCII
)
"""One or more hosts, as written in the URL of a service or a database."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_PASSWORD = re.compile(r"(?i)(?:pass|pwd|secret|token|key)\w*\s*=|:[^/\\]*@")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]+")
_HIDDEN = "…"


def shown(address: str) -> str:
    """A URL as it may appear in messages: scheme, hosts, ports and path, without anything that may be secret.

    User, password, query and fragment are removed. If the URL is ambiguous, only the scheme is kept: a
    password may contain any of the delimiters. The path is kept as it is.
    """
    scheme, marked, rest = address.partition("://")
    if not marked:
        return _HIDDEN if _PASSWORD.search(address) else address
    hidden = f"{scheme if _SCHEME.fullmatch(scheme) else ''}://{_HIDDEN}"
    user, at, place = rest.rpartition("@")
    hosts = re.split("[/?#]", place, maxsplit=1)[0]
    path = re.split("[?#]", place.removeprefix(hosts), maxsplit=1)[0]
    if not rest.isprintable() or not HOSTS.fullmatch(hosts) or (at and not _is_user(user)):
        return hidden
    return f"{scheme}://{hosts}{path}"


def _is_user(text: str) -> bool:
    """Whether the text before the last @ of a URL can only be user and password."""
    first = re.split("[/?#]", text, maxsplit=1)[0]
    return first == text or ("@" not in first and ":" in first and not HOSTS.fullmatch(first))


def cleaned(text: object, *addresses: str, secrets: Iterable[str] = ()) -> str:
    """A library's message on one line, without secrets of the URLs and texts that the library was given."""
    said = " ".join(str(text).split())
    found = set(secrets)
    for address in addresses:
        said = said.replace(address, shown(address))
        found |= _secrets(address)
    said = _IN_TEXT.sub(_shown_in_text, said)
    for secret in sorted(found, key=len, reverse=True):
        if len(secret) > 2:  # shorter ones occur everywhere, and reveal nothing
            said = said.replace(secret, _HIDDEN)
    return said


def _shown_in_text(match: re.Match[str]) -> str:
    """Like `shown`, but leaves our own examples and addresses without secrets unchanged."""
    return match[0] if "PASSWORD" in match[0] or not set(match[0]) & set("@?#") else shown(match[0])


def _secrets(address: str) -> set[str]:
    """All parts of a URL that `shown` removes, both as written and percent-decoded."""
    rest = address.partition("://")[2] or address  # or a connection string, `host=... password=...`
    kept = shown(address).partition("://")[2] or shown(address)
    login, _, _ = rest.rpartition("@")
    user, _, password = login.partition(":")
    parts = {password}
    for split in (r"[:/?#@&=,\s]+", r"[:/?#@&,\s]+", r"[&\s]+"):
        parts.update(re.split(split, rest))
    parts |= {part.partition("=")[2] for part in parts}
    if kept != _HIDDEN:
        parts.discard(user)
    forms = {form for part in parts for form in (part, unquote(part))}
    return {form for form in forms if form not in kept} - _COMMON


_COMMON = frozenset(
    ("password", "user", "host", "port", "schema", "sslmode", "token", "require", "dbname", "options", "key")
)
"""Names of connection options in a query, which are not secret."""


def shorten(value: object, limit: int = LONGEST_NAME) -> str:
    """`repr` of a value, cut to `limit` characters, since a title may be 10 MB long. URLs are passed through
    `shown`."""
    text = value if isinstance(value, str) else repr(value)
    if _SCHEME.match(text) and "://" in text[:20]:
        text = shown(text)
    elif "://" in text:
        text = _IN_TEXT.sub(lambda match: shown(match[0]), text[: 100 * limit])
    cut = text[:limit] + "…" if len(text) > limit else text
    return repr(cut) if isinstance(value, str) else cut


def either(choices: Sequence[str]) -> str:
    """ "A", "A or B", or "A, B or C"."""
    return " or ".join([", ".join(choices[:-1]), choices[-1]] if len(choices) > 1 else choices)


def nearest(name: str, known: Iterable[str]) -> str:
    """' (did you mean X?)' with the closest known name, or else ' (known: ...)' with the first known names.

    Takes milliseconds, however many and however long the names are.
    """
    names = list(islice(known, SEARCHED))
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
    """Similarity of two texts: 2 * LCS length / total length, LCS being the longest common subsequence.

    The rows of the dynamic programming table are the bits of one integer (Hyyrö 2004, Bit-parallel LCS-length
    computation revisited).
    """
    at: defaultdict[str, int] = defaultdict(int)
    for place, letter in enumerate(left):
        at[letter] |= 1 << place
    every = table = (1 << len(left)) - 1
    for letter in right:
        both = table & at[letter]
        table = (table + both) | (table - both)
    return 2 * (~table & every).bit_count() / max(len(left) + len(right), 1)
