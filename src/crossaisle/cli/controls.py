"""The controls of a `Query` as command-line options, declared once for all commands that make lists."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Literal

import typer

from crossaisle.data.query import Placement, Query
from crossaisle.errors import ConfigError

Controls = dict[str, Any]
"""Fields of `Query`."""


def _options(
    n: Annotated[int, typer.Option("-n", help="Length of the list.")] = 10,
    cross_share: Annotated[
        str | None,
        typer.Option(
            help="Share of the list outside the usual categories: 0 to 1, or auto.", metavar="SHARE"
        ),
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option(help="Only this category (repeatable).", metavar="CATEGORY")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Not this category (repeatable).", metavar="CATEGORY")
    ] = None,
    quota: Annotated[
        list[str] | None,
        typer.Option(help="At most this many per category: 2, or CATEGORY=2 (repeatable).", metavar="N"),
    ] = None,
    min_price: Annotated[float | None, typer.Option(help="Lowest price.")] = None,
    max_price: Annotated[float | None, typer.Option(help="Highest price.")] = None,
    seen: Annotated[
        bool | None,
        typer.Option(
            "--include-seen/--exclude-seen",
            help="Whether to show what the user had before; by default as the shop's customers buy again.",
            show_default=False,
        ),
    ] = None,
    sold_out: Annotated[
        bool, typer.Option("--sold-out", help="Show items that are out of stock, too.")
    ] = False,
    diversity: Annotated[
        float | None, typer.Option(help="0 (relevance only) to 1 (as varied as can be).")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each item is there.")] = False,
) -> Controls:
    quotas = _quotas(quota or [])
    return {
        "n": n,
        "cross_share": _share(cross_share),
        "include_categories": tuple(include or ()),
        "exclude_categories": tuple(exclude or ()),
        "quota": quotas.pop(None, None),
        "quotas": quotas,
        "min_price": min_price,
        "max_price": max_price,
        "exclude_seen": None if seen is None else not seen,
        "in_stock": not sold_out,
        "diversity": diversity,
        "explain": explain,
    }


def with_controls(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options to a command, which gets them as the dictionary `controls`."""
    own = inspect.signature(command, eval_str=True)
    added = inspect.signature(_options, eval_str=True)

    @wraps(command)
    def wrapped(**given: Any) -> None:
        controls = _options(**{name: given.pop(name) for name in added.parameters})
        command(**given, controls=controls)

    kept = [p for name, p in own.parameters.items() if name != "controls"]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*kept, *added.parameters.values())]
    wrapped.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapped


def query(placement: str, controls: Controls, **more: Any) -> Query:
    """The query; `ConfigError` where a control is out of range."""
    chosen: Placement = placement  # type: ignore[assignment]  # Query checks it
    return Query(placement=chosen, **controls, **more)


def _share(text: str | None) -> float | Literal["auto"] | None:
    if text is None or text == "auto":
        return text  # type: ignore[return-value]
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--cross-share must be a number from 0 to 1, or auto (found {text!r})") from None


def _quotas(texts: list[str]) -> dict[str | None, int]:
    """`["2", "Toys=1"]` -> `{None: 2, "Toys": 1}`."""
    out: dict[str | None, int] = {}
    for text in texts:
        category, equals, number = text.rpartition("=")
        if not number.strip().isdecimal():
            raise ConfigError(f"--quota must be a number, or CATEGORY=number (found {text!r})")
        out[category if equals else None] = int(number)
    return out
