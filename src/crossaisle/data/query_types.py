"""Converts values to the declared types of a `Query`'s fields."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin

from crossaisle.decode import WHOLE
from crossaisle.errors import ConfigError, either, nearest, shorten

_WRONG = object()
_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    tuple: "a list of texts",
    Mapping: "a table of whole numbers by name",
}


def as_declared(name: str, kind: Any, value: Any) -> Any:
    """Converts a value: lists to tuples, numpy numbers to Python's; `ConfigError` for any other type.

    Booleans are not accepted as numbers, numbers not as text, and NaN and infinity not at all.
    """
    kinds = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    for one in kinds:
        if (found := _as(one, value)) is not _WRONG:
            if type(found) is int and abs(found) > WHOLE:
                raise ConfigError(f"{name} must be at most {WHOLE} in size (found {shorten(found)})")
            return found
    words = [
        either([repr(choice) for choice in get_args(one)])
        if get_origin(one) is Literal
        else _WORDS[get_origin(one) or one]
        for one in kinds
        if one is not types.NoneType
    ]
    known = [one for one in get_args(kind) if isinstance(one, str)]
    hint = nearest(value, known) if isinstance(value, str) and known else ""
    meant = hint if "did you mean" in hint else ""
    raise ConfigError(f"{name} must be {' or '.join(words)} (found {shorten(value)}){meant}")


def _as(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if kind is types.NoneType:
        return None if value is None else _WRONG
    if origin is Literal:
        return value if isinstance(value, str) and value in get_args(kind) else _WRONG
    if kind in (bool, str):
        return value if isinstance(value, kind) else _WRONG
    if origin is tuple:
        texts = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return tuple(value) if texts and all(isinstance(one, str) for one in value) else _WRONG
    if origin is Mapping:
        fits = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
        numbers: dict[Any, Any] = (
            {key: _number(int, one) for key, one in value.items()} if fits else {None: _WRONG}
        )
        good = all(one is not _WRONG and abs(one) <= WHOLE for one in numbers.values())
        return numbers if good else _WRONG
    return _number(kind, value)


def _number(kind: Any, value: Any) -> Any:
    if isinstance(value, bool):
        return _WRONG
    if kind is int:
        return int(value) if isinstance(value, Integral) else _WRONG
    if not isinstance(value, Real):
        return _WRONG
    try:
        return float(value) if math.isfinite(value) else _WRONG
    except OverflowError:
        return _WRONG
