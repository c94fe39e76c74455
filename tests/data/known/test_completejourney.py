from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from crossaisle.data.knowledge.rules import parse, shipped
from crossaisle.data.known.completejourney import CATEGORIES, LEVELS, TYPES, readable, size

Levels = tuple[str | None, ...]


def named(*paths: Levels) -> list[Levels]:
    frame = pl.DataFrame(paths, LEVELS, orient="row")
    return list(readable(frame).iter_rows())


def test_names_are_those_that_people_read() -> None:
    assert named(
        ("GROCERY", "FLUID MILK PRODUCTS", "FLUID MILK WHITE ONLY"),
        ("GROCERY", "FROZEN PIE/DESSERTS", "FROZEN FRUIT PIES  & COBBLERS"),
        ("PRODUCE", "TROPICAL FRUIT", "BANANAS"),
    ) == [
        ("Grocery", "Milk", "White Milk"),
        ("Grocery", "Frozen Desserts", "Frozen Fruit Pie"),
        ("Produce", "Tropical Fruit", "Bananas"),
    ]


def test_a_type_of_several_categories_is_named_by_its_own() -> None:
    categories = ("ICE CREAM/MILK/SHERBTS", "BACON", "PASTA SAUCE", "FRZN NOVELTIES/WTR ICE")
    assert [path[2] for path in named(*(("GROCERY", category, "PREMIUM") for category in categories))] == [
        "Premium Ice Cream", "Premium Bacon", "Premium Pasta Sauce", "Premium",
    ]  # fmt: skip


def test_a_bracket_that_the_till_cut_is_no_part_of_a_name() -> None:
    found = named(
        ("GROCERY", "TEAS", "TEA (BULK)"), ("DRUG GM", None, "SMOKE DETERRENT (GUM/P"), (None, None, None)
    )
    assert [path[2] for path in found] == ["Tea (Bulk)", "Smoke Deterrent", None]


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("(600) 4 LB", "4 lb"), ("L 8 OZ", "8 oz"), ("974246 PK", "pk"), ("22515 32 OZ", "32 oz"),
        ("L", None), ("PT", "pt"), ("64 OZ", "64 oz"), ("12/12 OZ CN", "12/12 oz cn"),
        ("48-54 CT", "48-54 ct"), ("CTN", "ctn"), (".875 OZ", ".875 oz"), (None, None),
    ],
)  # fmt: skip
def test_sizes_without_numbers_of_the_till(told: str | None, read: str | None) -> None:
    frame = pl.DataFrame({"package_size": [told]}, schema={"package_size": pl.String})
    assert frame.select(size()).item() == read


@pytest.mark.parametrize(
    ("file", "keys"), [(TYPES, ("product_type", "product_category")), (CATEGORIES, ("category",))]
)
def test_a_file_names_each_once(file: Path, keys: tuple[str, ...]) -> None:
    names = pl.read_csv(file)
    assert max(Counter(names.select(keys).iter_rows()).values()) == 1
    assert names["name"].str.contains(r"^[A-Z][^,>]*[^\s,.:;&/>-]$").all()
    assert not names["name"].str.contains(r"\b(?:Frzn|Sft|Drnk|Misc|Refrig|Btl|Pkg|Dnrs)\b").any()


def test_what_goes_together_is_told_in_these_names() -> None:
    codes = set(pl.read_csv(CATEGORIES)["category"]) - set(pl.read_csv(CATEGORIES)["name"])
    rules, _ = parse(shipped("completejourney"))
    told = {name for rule in rules for side in (rule.source, rule.target) for name in side.split(" > ")}
    assert not told & codes
