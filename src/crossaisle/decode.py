"""Builds dataclasses from parsed JSON and TOML.

`build` is strict, for hand-written settings and saved models: an unknown key, a wrong type or a value out of
range raises `ConfigError`, which names place, key and rule and, for a misspelt key, the nearest known one.
`read` is lenient, for responses of a service that may be newer than its client.
"""

from __future__ import annotations

import math
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from crossaisle.errors import ConfigError, nearest, shorten

T = TypeVar("T")
WHOLE = 2**31 - 1
"""Default upper bound of integer fields without `high`: the largest seed or size that libraries accept."""
_NAMES: dict[Any, str] = {
    str: "text",
    Path: "a path",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    date: "a day such as 2024-12-31",
    tuple: "a list",
    Mapping: "a table",
    Sequence: "a list",
    Literal: "text",
}


DATA = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
"""Suffixes of data files that are mistakenly passed instead of a TOML file."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; `ConfigError` if it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        if path.suffix in DATA:
            made = f"crossaisle init {path.parent} writes settings for its folder"
            raise ConfigError(f"{path}: holds data, not settings; {made}") from None
        raise ConfigError(f"{path}: not TOML ({error})") from None


def build(kind: type[T], values: object, where: str, *, base: Path = Path(), what: str = "key") -> T:
    """Builds a dataclass from a parsed table; checks every key, type and range.

    `where` (file, then sections) starts each message; relative paths are resolved against `base`; `what` is
    the word for a key in messages.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: must be a table of settings (found {shorten(values)})")
    declared = _declared(cast(Any, kind))
    for key in values:
        if key not in declared:
            raise ConfigError(f"{where}: unknown {what} {key!r}{nearest(str(key), declared)}")
    made: dict[str, Any] = {}
    for name, (spec, hint) in declared.items():
        if name in values:
            place = _deeper(where, name) if isinstance(values[name], Mapping) else f"{where}: {name}"
            made[name] = _converted(values[name], hint, place, base, what)
            _check_range(made[name], spec.metadata, place)
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise ConfigError(f"{where}: section [{name}] is missing")
    try:
        return kind(**made)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def read(kind: Any, value: Any) -> Any:
    """Converts JSON to a type of `api_types`, without checks. Unknown fields are ignored."""
    if value is None or kind is Any:
        return value
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return read(next(arg for arg in get_args(kind) if arg is not types.NoneType), value)
    if origin in (tuple, list):
        return origin(read(get_args(kind)[0], part) for part in value)
    if origin is dict:
        return {name: read(get_args(kind)[1], part) for name, part in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        known = _declared(kind)
        return kind(**{name: read(hint, value[name]) for name, (_, hint) in known.items() if name in value})
    return value


@cache
def _declared(kind: type) -> dict[str, tuple[Field[Any], Any]]:
    """The fields that `kind` is constructed from: name -> (field, type)."""
    hints = get_type_hints(kind)
    return {spec.name: (spec, hints[spec.name]) for spec in fields(cast(Any, kind)) if spec.init}


def _deeper(where: str, name: str) -> str:
    if where.endswith("]"):
        return f"{where[:-1]}.{name}]"
    return f"{where}, [{name}]" if where else f"[{name}]"


def _converted(value: Any, hint: Any, where: str, base: Path, what: str) -> Any:
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if value is None and types.NoneType in options:
        return None
    for option in options:
        origin = get_origin(option)
        if origin is Mapping and isinstance(value, Mapping):
            inner = get_args(option)[1]
            return {
                str(key): _converted(_whole(part, inner), inner, _deeper(where, str(key)), base, what)
                for key, part in value.items()
            }
        if is_dataclass(option) and isinstance(value, Mapping):
            return build(cast(type, option), value, where, base=base, what=what)
        if origin is Literal and isinstance(value, str):
            if value in get_args(option):
                return value
            raise ConfigError(f"{where}: unknown value {value!r}{nearest(value, get_args(option))}")
        if origin in (tuple, Sequence) and isinstance(value, list | tuple):
            return tuple(_converted(part, get_args(option)[0], where, base, what) for part in value)
        if option is Any:
            return value
        found = _plain(value, option, base)
        if found is not None:
            return found
    wanted = " or ".join(
        _NAMES.get(get_origin(o) or o, "a table") for o in options if o is not types.NoneType
    )
    raise ConfigError(f"{where}: must be {wanted} (found {shorten(value)})")


def _whole(value: Any, kind: Any) -> Any:
    """Expands the shorthand of a table: a text becomes the value of its first field."""
    if isinstance(value, str) and is_dataclass(kind):
        return {next(iter(_declared(cast(type, kind)))): value}
    return value


def _plain(value: Any, kind: Any, base: Path) -> Any:
    """A scalar converted to `kind`, or None if it has another type."""
    if kind is Path and isinstance(value, str | Path) and str(value).strip():
        return base / Path(value).expanduser()
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is date and isinstance(value, date):
        return value.date() if isinstance(value, datetime) else value
    return value if kind in (str, int, bool) and type(value) is kind else None


def check_ranges(made: object) -> None:
    """Raises `ConfigError` unless every number of a dataclass is within the `low` and `high` of its field.

    The bounds are in the field's metadata: `field(default=50.0, metadata={"low": 0.1, "high": 1e9})`.
    Dataclasses that are also constructed in Python call this in `__post_init__`, so the check cannot be
    bypassed.
    """
    for spec in fields(cast(Any, made)):
        if spec.init:
            _check_range(getattr(made, spec.name), spec.metadata, spec.name)


def _check_range(value: Any, limits: Mapping[str, Any], where: str) -> None:
    """Checks that numbers are finite and within `low` and `high`; integers without `high` must fit into 32
    bits."""
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        low, high = limits.get("low"), limits.get("high", WHOLE if isinstance(number, int) else None)
        rules = [f"at least {low}"] if low is not None else []
        rules += [f"at most {high}"] if high is not None else []
        if (low is not None and not number >= low) or (high is not None and not number <= high):
            raise ConfigError(f"{where}: must be {' and '.join(rules)} (found {shorten(number)})")
        if not math.isfinite(number):
            raise ConfigError(f"{where}: must be a finite number (found {number})")
