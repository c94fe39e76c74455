"""How items that were changed in the service differ from the model's, to be shown and undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from crossaisle.data.vocabulary import Vocabulary
from crossaisle.errors import UnknownIdError, shorten
from crossaisle.recommend.recommender import Recommender

Body = Mapping[str, Any]


def differences(base: Recommender, changed: Mapping[str, Body]) -> list[dict[str, Any]]:
    """Items by id: `item_id`, `what` (`changed`, `new`, `removed`), and of changed ones `fields`: name ->
    `model` and `now`. Nothing of what was told and is as the model has it."""
    out: list[dict[str, Any]] = []
    ids = base.dataset.item_ids
    for name in sorted(changed):
        body, row = changed[name], ids.get(name)
        if body.get("deleted"):
            if row >= 0:
                out.append({"item_id": name, "what": "removed", "fields": {}})
        elif row < 0:
            out.append({"item_id": name, "what": "new", "fields": {}})
        elif fields := _fields(base, row, body):
            out.append({"item_id": name, "what": "changed", "fields": fields})
    return out


def taken_back(
    changed: Mapping[str, Body], items: Iterable[str] | None, known: Vocabulary
) -> dict[str, dict[str, Any]]:
    """Bodies that make the model's catalogue count again for some items, or for all of them (None).

    `known`: ids of the model; other items go. `UnknownIdError` for one about which nothing was told.
    """
    told = [name for name, body in changed.items() if body and (name in known or not body.get("deleted"))]
    names = told if items is None else list(dict.fromkeys(items))
    if missing := set(names).difference(told):
        raise UnknownIdError(f"no change was sent for item {shorten(min(missing))}")
    return {name: {} if name in known else {"deleted": True} for name in names}


def _fields(base: Recommender, row: int, body: Body) -> dict[str, dict[str, Any]]:
    values = base.dataset.items.row(row, named=True)
    values["categories"] = [list(path) for path in base.dataset.taxonomy.paths[row]]
    values["attributes"] = orjson.loads(values["attributes"]) if values["attributes"] else {}
    values["group_id"] = values.pop("group", None)
    values["price"] = None if values["price"] is None else round(values["price"], 4)
    return {
        name: {"model": values.get(name), "now": now}
        for name, now in body.items()
        if (values.get(name) or None) != (now or None)
    }
