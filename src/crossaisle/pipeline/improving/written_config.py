"""A configuration as TOML, so that `crossaisle run` reads what `tune` and `improve` found."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from crossaisle.config import RunConfig
from crossaisle.evaluate.files import write_text

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def write_config(path: Path, config: RunConfig, notes: Sequence[str], *, with_data: bool = True) -> None:
    """Writes what differs from the defaults. Paths become relative to the folder of the file.

    `notes` stand above it as comments; without data, only `[model]` is written.
    """
    model, train, pretrain = config.model, config.train, config.pretrain
    config = replace(
        config,
        model=replace(model, encoder=_folder(path.parent, model.encoder)),
        train=replace(train, backbone=_folder(path.parent, train.backbone)),
        pretrain=replace(pretrain, backbone=_folder(path.parent, pretrain.backbone)),
    )
    values = _changed(config, path.parent)
    if not with_data:
        values = {"model": values.get("model", {})}
    lines = [*(f"# {note}" for note in notes), "", *_tables(values)]
    write_text(path, "\n".join(lines) + "\n")


def _folder(folder: Path, name: str) -> str:
    """A model's name as it is; the path of one in a folder from where the file will lie."""
    return _from(folder, Path(name)) if Path(name).is_dir() else name


def _from(folder: Path, path: Path) -> str:
    return os.path.relpath(path.resolve(), folder.resolve())


def _changed(value: Any, folder: Path) -> dict[str, Any]:
    """Fields of a dataclass that are not as by default, nested."""
    out: dict[str, Any] = {}
    for spec in fields(value):
        part = getattr(value, spec.name)
        default = spec.default_factory() if callable(spec.default_factory) else spec.default
        if part is None or part == default:
            continue
        if is_dataclass(part):
            out[spec.name] = _changed(part, folder)
        elif isinstance(part, Mapping):
            out[spec.name] = {
                key: _changed(inner, folder) if is_dataclass(inner) else inner for key, inner in part.items()
            }
        else:
            out[spec.name] = _from(folder, part) if isinstance(part, Path) else part
    return out


def _tables(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Lines of TOML: a table's values before the tables in it."""
    plain = {name: value for name, value in values.items() if not isinstance(value, Mapping)}
    inner = {name: value for name, value in values.items() if isinstance(value, Mapping)}
    if above and (plain or not inner):
        yield f"[{above}]"
    for name, value in plain.items():
        yield f"{_key(name)} = {_value(value)}"
    if plain or not inner:
        yield ""
    for name, table in inner.items():
        yield from _tables(table, f"{above}.{_key(name)}" if above else _key(name))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(part) for part in value)}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
