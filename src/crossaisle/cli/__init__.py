"""The command line: parse, call, print.

Results go to stdout (`--json` for programs), progress and errors to stderr. Exit codes: 0 success, 1 error in
the data or the model, 2 wrong usage or settings, 3 a refit that was not accepted, 130 interrupted.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from itertools import pairwise

from crossaisle.data.text.control import tidied
from crossaisle.errors import ConfigError, CrossaisleError, UnknownIdError, cleaned, shorten

_WRONG = re.compile(r"Invalid value(?: for '?([^':]+?)'?(?: / '[^']*')*)?: (.*)", re.DOTALL)
_RULES = {
    "a valid number, unable to parse string as a number": "a number",
    "a valid integer, unable to parse string as an integer": "a whole number",
    "a valid integer, got a number with a fractional part": "a whole number",
    "less than or equal to": "at most",
    "greater than or equal to": "at least",
}
"""What pydantic, which reads the values, says -> as messages say it here."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = run(given)
        _flush()
    except KeyboardInterrupt:
        code = 130
    if code == 130:
        print("crossaisle: interrupted", file=sys.stderr)
        # An interrupt amid `exec` of a text, as when a dataclass is made, has CPython end by the signal later
        # on, although it was caught here; the next `exec` of one takes that back.
        exec("")
    sys.exit(code)


def _flush() -> None:
    """Writes what is left for stdout; where nobody reads it any more, as behind `head`, it goes nowhere."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(arguments: Sequence[str]) -> int:
    """Runs one command; returns its exit code. With `--debug`, errors keep their traceback."""
    _share_cores(arguments)
    from typer import TyperException

    from crossaisle.cli.app import app

    try:
        code = app(list(arguments), prog_name="crossaisle", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except TyperException as error:
        message = error.format_message()
        if message.startswith("Usage:"):  # no command was given: print the help as it is
            print(message, file=sys.stderr)
            return error.exit_code
        message = _in_words(_with_hint(error, message), arguments)
        return _say(cleaned(message, *_addresses(arguments)), error.exit_code)
    except SystemExit as ended:
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        return 0  # whoever reads has seen enough, as `head` does
    except (CrossaisleError, OSError, MemoryError) as error:
        if "--debug" in arguments:
            raise
        message = _place(error) or "out of memory: evaluate fewer users, or keep fewer weights"
        return _say(cleaned(message, *_addresses(arguments)), 2 if isinstance(error, ConfigError) else 1)
    except Exception as error:
        if "--debug" in arguments:
            raise
        what = f"{type(error).__name__}: {cleaned(error, *_addresses(arguments))}"
        return _say(f"unexpected {what}; this is a bug: run again with --debug and report it", 1)


def _share_cores(arguments: Sequence[str]) -> None:
    """Says how many threads BLAS may have, which must be known before numpy is loaded.

    Models are fitted and measured two at a time, so each may have half of the cores; one request of a service
    is too small to be split at all. More threads would only wait for each other, and keep cores busy with it.
    """
    several = 1 if "serve" in arguments[:2] else max(1, (os.cpu_count() or 1) // 2)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(several))


def _with_hint(error: Exception, message: str) -> str:
    """The message; for an option with another name here, that name."""
    from crossaisle.data.text.query_text import OTHER_NAMES

    given = str(getattr(error, "option_name", "")).lstrip("-").replace("-", "_")
    meant = OTHER_NAMES.get(given)
    command = getattr(getattr(error, "ctx", None), "command", None)
    for parameter in getattr(command, "params", ()):
        if parameter.name == meant:
            options = "/".join((*parameter.opts, *parameter.secondary_opts))
            return f"{message.partition(' (')[0]} (did you mean {options}?)"
    return message


def _in_words(message: str, arguments: Sequence[str]) -> str:
    """What is said of a wrong value: "--max-price must be a number (found 'abc')"."""
    wrong = _WRONG.fullmatch(message)
    if wrong is None:
        return message
    name, rule = wrong[1], wrong[2]
    if rule.startswith("Input should be "):
        rule = rule.replace("Input should be", "must be")
        for theirs, ours in _RULES.items():
            rule = rule.replace(theirs, ours)
        given = [value for option, value in pairwise(arguments) if option == name]
        given += [one.partition("=")[2] for one in arguments if one.startswith(f"{name}=")]
        if given:
            is_number = re.fullmatch(r"[-+]?[\d.]{1,20}|nan", given[-1]) is not None
            rule += f" (found {given[-1] if is_number else shorten(given[-1])})"
    if not name:
        return rule
    return f"{name} {rule}" if rule.startswith("must ") else f"{name}: {rule}"


def _addresses(arguments: Sequence[str]) -> list[str]:
    """Addresses among the arguments, also as `--option=ADDRESS`: messages must not repeat their secrets."""
    values = (a.partition("=")[2] if a.startswith("--") and "=" in a else a for a in arguments)
    return [value for value in values if "://" in value]


def _place(error: Exception) -> str:
    """The message of an error: file before reason for one of the system, with a hint for an unknown id."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) + (error.hint if isinstance(error, UnknownIdError) else "")


def _say(message: str, code: int) -> int:
    print(f"crossaisle: {tidied(message)}", file=sys.stderr)
    return code
