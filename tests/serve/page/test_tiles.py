"""What a tile makes of a title: the sign of its kind, its name and its size."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.serve.page.test_files import FOLDER

READ = """
globalThis.localStorage ??= { getItem: () => null };
globalThis.document ??= { documentElement: {}, querySelector: () => null, addEventListener: () => {} };
const { kindOf } = await import(`${process.argv[1]}/shop/glyphs.js`);
const { named } = await import(`${process.argv[1]}/shop/tile.js`);
const titles = JSON.parse(process.argv[2]);
const made = title => [kindOf(title, "").sign, named({ title }).name, named({ title }).size];
console.log(JSON.stringify(titles.map(made)));
"""


@pytest.mark.parametrize(
    ("title", "made"),
    [
        ("Yellow Sweet Corn, 48 ct", ["carrot", "Yellow Sweet Corn", "48 ct"]),
        ("Chocolate Chip Cookies, 16 oz", ["cookie", "Chocolate Chip Cookies", "16 oz"]),
        ("Hot Dog Buns, 12 oz", ["bread", "Hot Dog Buns", "12 oz"]),
        ("Everyday Hot Dogs, 1 lb", ["meat", "Everyday Hot Dogs", "1 lb"]),
        ("Hot Dog Chili Sauce, 10 oz", ["jar", "Hot Dog Chili Sauce", "10 oz"]),
        ("Dry Dog Food, 4 lb", ["paw", "Dry Dog Food", "4 lb"]),
        ("Hamburger Buns, 8 ct", ["bread", "Hamburger Buns", "8 ct"]),
        ("Baby Carrots, 1 lb", ["carrot", "Baby Carrots", "1 lb"]),
        ("Dish Soap, 25 oz", ["spray", "Dish Soap", "25 oz"]),
        ("Sweets, 5 oz", ["candy", "Sweets", "5 oz"]),
        ("Small Bag of Chips, .875 oz", ["cookie", "Small Bag of Chips", ".875 oz"]),
        ("Candy Bars (Singles)(Including, 1.6 oz", ["candy", "Candy Bars (Singles)", "1.6 oz"]),
    ],
)
def test_a_title(title: str, made: list[str]) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node, to run the page's scripts")
    done = subprocess.run(
        [node, "--input-type=module", "-e", READ, FOLDER.as_uri(), json.dumps([title])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [made]
