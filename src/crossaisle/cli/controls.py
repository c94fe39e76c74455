"""The controls of a `Query` as command-line options, for every command that makes lists."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Annotated, Any

import typer

from crossaisle.data.query import CONTROLS, NOT_RANKED, RANKED, ControlField, CrossShare, Placement, Query
from crossaisle.data.text.ids import same_id
from crossaisle.data.text.query_text import quotas_of, share_of

Controls = dict[str, Any]
"""Fields of `Query`. Options that were not given are left out."""


def with_controls(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options to a command, which receives them as the dictionary `controls`."""
    return _with(command, CONTROLS)


def with_rank_controls(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that ranks a list which another system found."""
    kept = {name: one for name, one in CONTROLS.items() if name not in NOT_RANKED}
    defaults = {name: replace(one, default=RANKED.get(name, one.default)) for name, one in kept.items()}
    return _with(command, defaults)


def _with(command: Callable[..., None], declared: Mapping[str, ControlField]) -> Callable[..., None]:
    own = inspect.signature(command, eval_str=True)

    @wraps(command)
    def wrapped(**given: Any) -> None:
        texts = {name: given.pop(name) for name in declared}
        controls = {name: _value(name, text) for name, text in texts.items() if text is not None}
        command(**given, controls=controls)

    kept = [p for name, p in own.parameters.items() if name != "controls"]
    kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in kept]
    parameters = [*kept, *(_option(name, one) for name, one in declared.items())]
    wrapped.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapped


def query(placement: str, controls: Controls, **more: Any) -> Query:
    """The query; `ConfigError` if a control is out of range."""
    chosen: Placement = placement  # type: ignore[assignment]  # Query checks it
    return Query(placement=chosen, **controls, **more)


def _option(name: str, declared: ControlField) -> inspect.Parameter:
    kind, metavar = _type_of(declared)
    help = declared.control.help
    if kind == list[str] | None:
        help = f"{help.removesuffix('.')} (repeatable)."
    if declared.default not in (None, (), {}, False):
        shown = str(declared.default).lower()
        help = f"{help} [default: {'yes' if declared.default is True else shown}]"
    option = _name(name)
    names = [f"{option}/--no-{option[2:]}" if kind == bool | None else option]
    if len(name) == 1:
        names.append(f"-{name}")
    parser = same_id if declared.control.names == "item" else None
    info = typer.Option(*names, help=help, metavar=metavar, show_default=False, parser=parser)
    annotation = Annotated[kind, info]  # type: ignore[valid-type]  # made at run time
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _type_of(declared: ControlField) -> tuple[Any, str | None]:
    """What typer reads, None where the option is not given; and what the help calls it."""
    if declared.control.names is not None:
        return list[str] | None, declared.control.names.upper()
    if declared.type == Mapping[str, int]:
        return list[str] | None, "CATEGORY=N"
    if declared.type == CrossShare | None:
        return str | None, "SHARE"
    words = {int: "N", float: "NUMBER", int | None: "N", float | None: "NUMBER"}
    return declared.type | None, words.get(declared.type)


def _name(name: str) -> str:
    return "--" + name.replace("_", "-")


def _value(name: str, given: Any) -> Any:
    """What was typed, as `Query` takes it."""
    kind = CONTROLS[name].type
    if kind == CrossShare | None:
        return share_of(given, _name(name))
    if kind == Mapping[str, int]:
        return quotas_of(given, _name(name))
    return tuple(given) if isinstance(given, list) else given
