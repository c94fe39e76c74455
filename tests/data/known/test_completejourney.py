from __future__ import annotations

from collections import Counter

import polars as pl

from crossaisle.data.known.completejourney import NAMES, with_names


def named(*products: tuple[str | None, str | None]) -> list[str | None]:
    frame = pl.DataFrame(products, ["product_type", "product_category"], orient="row")
    return with_names(frame)["name"].to_list()


def test_products_have_names_that_people_read() -> None:
    assert named(
        ("Fluid Milk White Only", "Fluid Milk Products"),
        ("Frozen Fruit Pies  & Cobblers", "Frozen Pie/Desserts"),
        ("Bananas", "Tropical Fruit"),
    ) == ["White Milk", "Frozen Fruit Pie", "Bananas"]


def test_a_type_of_several_categories_is_named_by_its_own() -> None:
    categories = ("Ice Cream/Milk/Sherbts", "Bacon", "Pasta Sauce", "Frzn Novelties/Wtr Ice")
    assert named(*(("Premium", category) for category in categories)) == [
        "Premium Ice Cream", "Premium Bacon", "Premium Pasta Sauce", "Premium",
    ]  # fmt: skip


def test_a_bracket_that_the_till_cut_is_no_part_of_a_name() -> None:
    assert named(("Tea (Bulk)", "Teas"), ("Smoke Deterrent (Gum/P", "Smoking Aids"), (None, None)) == [
        "Tea (Bulk)", "Smoke Deterrent", None,
    ]  # fmt: skip


def test_the_file_names_each_once() -> None:
    names = pl.read_csv(NAMES)
    keys = Counter(names.select("product_type", "product_category").iter_rows())
    assert max(keys.values()) == 1
    assert len(names) > 400
    assert names["name"].str.contains(r"^[A-Z][^,]*[^\s,.:;&/-]$").all()
    assert not names["name"].str.contains(r"\b(?:Frzn|Sft|Drnk|Misc|Refrig|Btl|Pkg|Dnrs)\b").any()
