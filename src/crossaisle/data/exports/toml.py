"""Writes a draft as TOML for people: one column per line, with examples next to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crossaisle.data.exports.files import Draft
from crossaisle.data.text.control import tidied

_PLACES = ("path",)


def to_toml(draft: Draft, folder: Path) -> str:
    """The draft as text; paths below `folder` are relative to it, others absolute."""
    lines = [f"# {tidied(remark)}" for remark in draft.remarks]
    lines += ["", "[data]"] if lines else ["[data]"]
    lines += [f"{key} = {_value(_placed(value, folder))}" for key, value in draft.data.items()]
    for name, table in draft.tables.items():
        lines += ["", f"[data.{name}]"]
        columns, joins = table.get("columns", {}), table.get("join", [])
        plain = {k: v for k, v in table.items() if k not in ("columns", "join")}
        lines += [f"{_key(key)} = {_value(_placed_at(key, value, folder))}" for key, value in plain.items()]
        if joins:
            lines += ["join = [", *(f"    {_value(_placed(j, folder))}," for j in joins), "]"]
        if columns:
            lines += ["", f"[data.{name}.columns]"]
            for key, value in columns.items():
                beside = draft.examples.get((name, key))
                lines.append(f"{key} = {_value(value)}" + (f"  # {tidied(beside)}" if beside else ""))
    return "\n".join(lines) + "\n"


def _placed(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: _placed_at(key, part, folder) for key, part in value.items()}
    return value


def _placed_at(key: str, value: Any, folder: Path) -> Any:
    if key not in _PLACES:
        return value
    return [_relative(v, folder) for v in value] if isinstance(value, list) else _relative(value, folder)


def _relative(path: str, folder: Path) -> str:
    whole, base = Path(path).absolute(), folder.absolute()
    inside = base in whole.parents
    return (whole.relative_to(base) if inside else whole).as_posix()


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    escaped = json.dumps(value, ensure_ascii=False)  # JSON escapes are valid in TOML
    return escaped.replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if plain else _text(key)
