"""Categories: their spelling, the tree they stand in, their counterparts in another tree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossaisle.data.clean.categories.mapping import Tree, mapped
from crossaisle.data.clean.categories.names import CategoryNames, category_key
from crossaisle.data.clean.categories.structure import Structure
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.report import Review
from tests.data.clean.pairs import PAIRS
from tests.data.clean.test_texts import shop


def tree(*paths: str) -> Products:
    return shop(["x"] * len(paths), (), paths)


def names(products: Products) -> list[str]:
    return [" > ".join(paths[0]) if paths else "" for paths in products.paths]


ON = CategoryNames(mode="on", confidence=0.9, review=Review())


def test_spellings_become_the_one_that_most_products_have() -> None:
    given = tree(
        *["Deli > Cold Cuts & Ham"] * 6,
        "DELI > cold cuts and ham",
        "Deli > Cold-Cuts & Ham",
        "Delli > Cold Cuts & Ham",
    )
    after, report = ON(given)
    assert set(names(after)) == {"Deli > Cold Cuts & Ham"}
    assert report.changed == 3
    assert ON(after)[1].changes == []


@pytest.mark.parametrize(
    ("often", "rare"),
    [
        ("Eggs Large", "Eggs X-Large"),
        ("Tea Sweetened", "Tea Unsweetened"),
        ("Size 40", "Size 41"),
        ("Pears", "Peas"),
        ("Toys", "Boys"),
        ("Under 42 proof", "< Under 42 proof"),
        ("1001", "1002"),
    ],
)
def test_names_that_only_look_alike_stay_apart(often: str, rare: str) -> None:
    after, _ = ON(tree(*[f"All > {often}"] * 9, f"All > {rare}"))
    assert names(after)[-1] == f"All > {rare}"


def test_the_same_name_under_other_parents_is_another_category() -> None:
    given = tree(*["Hair > Coloring"] * 9, "Paper > Colouring")
    assert names(ON(given)[0]) == names(given)


def test_category_key_keeps_what_tells_names_apart() -> None:
    assert category_key("Snacks & Crème") == category_key("SNACKS  and creme")
    assert category_key("Proof <= 42") != category_key("Proof 42")


def test_orphans_go_below_their_parent_and_namesakes_with_other_children_stay() -> None:
    given = tree(*["Food > Dairy > Milk"] * 3, "Dairy", "Milk", "Hair > Oil", "Kitchen > Oil", "", "7")
    after, report = Structure(mode="on", confidence=0.9, review=Review())(given)
    assert names(after)[3:5] == ["Food > Dairy", "Food > Dairy > Milk"]
    assert names(after)[5:] == names(given)[5:]
    assert report.facts["such_as"] == {"Oil": ["Hair", "Kitchen"]}
    assert report.facts["products_by_depth"]["0"] == 1
    assert report.facts["names_of_digits"] == 1


def test_a_category_with_two_homes_is_no_orphan() -> None:
    given = tree("Hair > Oil", "Kitchen > Oil", "Oil")
    after, report = Structure(mode="on", confidence=0.5, review=Review())(given)
    assert names(after) == names(given)
    assert report.proposals == []


def letters(texts: list[str]) -> np.ndarray:
    """An encoder that knows letters only."""
    counts = np.array([[t.lower().count(c) for c in "abcdefghijklmnopqrstuvwxyz"] for t in texts], np.float32)
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def test_mapping_finds_equal_names_and_says_how_sure_it_is() -> None:
    source = Tree((("Food", "Milk"), ("Food", "Zzz")))
    target = Tree((("Grocery", "Milk"), ("Grocery", "Bread")))
    found = {p.before: p for p in mapped(source, target, letters)}
    assert found["Food > Milk"].after == "Grocery > Milk"
    assert found["Food > Milk"].confidence > found["Food > Zzz"].confidence
    assert mapped(source, Tree(()), letters) == []


def test_a_taxonomy_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("category\nFood > Milk\nFood>Bread\n\n", encoding="utf-8")
    assert Tree.read(file).paths == (("Food", "Milk"), ("Food", "Bread"))


def test_the_labelled_pairs_are_sixty_and_differ() -> None:
    assert len(PAIRS) == len({pair[:3] for pair in PAIRS}) == 60


def test_a_name_may_stand_in_two_levels_where_each_is_a_column() -> None:
    given = tree(*["Nutrition > Juice > Juice"] * 6, "Nutrition > Juice > JUICE", "Nutrition > Jiuce > Juice")
    of_columns = replace(given, levels=True)
    assert set(names(ON(of_columns)[0])) == {"Nutrition > Juice > Juice"}
    # a cell of one path that comes back to a name is cut there, as the import cuts it
    cut = tree(*["Nutrition > Juice"] * 6, "Nutrition > Jiuce > Juice")
    assert set(names(ON(cut)[0])) == {"Nutrition > Juice"}
