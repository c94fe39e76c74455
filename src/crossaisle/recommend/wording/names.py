"""What items are called in sentences."""

from __future__ import annotations

import polars as pl

from crossaisle.data.dataset import Dataset
from crossaisle.data.knowledge.rules import Rule, bare_name
from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.recommend.rerank.groups import without_amounts


def item_name(dataset: Dataset, row: int) -> str:
    """What to call an item: its title, else brand and deepest category, else its id."""
    title, brand = dataset.items["title"][row], dataset.items["brand"][row]
    if title:
        return str(title)
    paths = dataset.taxonomy.paths[row]
    words = [w for w in (brand, paths[0][-1] if paths else "") if w]
    return " ".join(words) or dataset.item_ids.id(row)


def brand_name(dataset: Dataset, row: int) -> str:
    """The brand of an item, "" where unknown."""
    return str(dataset.items["brand"][row] or "")


def category_name(dataset: Dataset, row: int) -> str:
    """The primary category path of an item as text, "" where unknown."""
    paths = dataset.taxonomy.paths[row]
    return SEPARATOR.join(paths[0]) if paths else ""


def short_names(*names: str) -> list[str]:
    """Names as a sentence says them, without how much is in it: "Strawberries, 16 oz" are strawberries."""
    return without_amounts(pl.Series(names, dtype=pl.String)).to_list()


def pairing(dataset: Dataset, rule: Rule) -> tuple[str, ...]:
    """What a line of a knowledge file is about: the names of its two sides, or of a staple's only one."""
    sides = [rule.source, *([rule.target] if rule.target else [])]
    return tuple(_side(dataset, side) for side in sides)


def told(dataset: Dataset, rule: Rule) -> str:
    """A line of a knowledge file as a shop says it to a customer, with its reason."""
    one, *other = pairing(dataset, rule)
    second = other[0] if other else "everything"
    said = (
        f"we keep {one} and {second} apart" if rule.kind == "never with" else f"we pair {one} with {second}"
    )
    return f"{said} ({rule.reason.removesuffix('.')})" if rule.reason else said


def _side(dataset: Dataset, name: str) -> str:
    """A category by its last name; an item that is named by its id by its title."""
    bare = bare_name(name)
    row = -1 if name.lower().startswith("category:") else dataset.item_ids.get(bare)
    return bare.split(SEPARATOR)[-1] if row < 0 else item_name(dataset, row)
