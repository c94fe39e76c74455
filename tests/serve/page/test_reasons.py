"""The page says in its two languages what the service's sentence says."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict

import pytest

from crossaisle.data.kinds import PURCHASE, VIEW
from crossaisle.recommend.reasons import Cause
from crossaisle.recommend.wording.sentences import sentence
from tests.serve.page.test_files import FOLDER

READ = """
globalThis.localStorage ??= { getItem: () => null, setItem: () => {} };
globalThis.document ??= {
  documentElement: {}, querySelector: () => null, querySelectorAll: () => [], addEventListener: () => {},
};
const { speak } = await import(`${process.argv[1]}/lib/words.js`);
const { why, whole } = await import(`${process.argv[1]}/shop/reasons.js`);
const said = [];
for (const lang of ["en", "zh"]) {
  speak(lang);
  for (const [evidence, placement] of JSON.parse(process.argv[2])) {
    const short = why({ item_id: "a", evidence }, placement);
    said.push([short, whole("a")]);
  }
}
console.log(JSON.stringify(said));
"""
BOUGHT, KINDS = (PURCHASE,), ("Grapes", "Bread and Buns")
CASES = [
    (Cause("items", 0.9, ("Milk", "Tea"), in_view=True),),
    (Cause("categories", 0.4, KINDS, deeds=BOUGHT), Cause("items", 0.3, ("Milk",), deeds=BOUGHT)),
    (Cause("popular", 0.5), Cause("items", 0.3, ("Milk", "Tea"), deeds=(PURCHASE, VIEW))),
    (Cause("before", 0.5, deeds=BOUGHT, every_days=7.0), Cause("namesake", 0.3, deeds=BOUGHT)),
    (Cause("history", 0.5, deeds=BOUGHT), Cause("categories", 0.3, ("Milk", "Tea"), deeds=BOUGHT)),
    (Cause("popular", 1.0, of_family=True), Cause("before", 0.0, deeds=BOUGHT)),
]
SHORT = [
    "Goes with Milk and Tea.",
    "Because you buy Grapes, and Bread and Buns.",
    "Popular with other shoppers.",
    "You buy it about once a week.",
    "Fits what you usually buy, such as Milk and Tea.",
    "Popular in several versions.",
]
CHINESE = [
    "与Milk和Tea搭配。",
    "因为你常买Grapes和Bread and Buns，还买过Milk。",
    "很受其他顾客欢迎。也因为你买过Milk，还看过Tea。",
    "你大约每周买一次。也有另一件同名商品。",
    "符合你的购买习惯，如Milk和Tea。",
    "多个款式都受欢迎。你买过它。",
]


@pytest.fixture(scope="module")
def said() -> list[list[str]]:
    """Short and whole, of each case in English, then in Chinese; and of a line of a knowledge file."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node, to run the page's scripts")
    asked = [({"causes": [asdict(one) for one in causes], "text": ""}, "goes_with") for causes in CASES]
    paired = {"knowledge": "we pair Ties with Shirts (formal)", "text": "We pair Ties with Shirts (formal)."}
    asked.append(({"causes": [], **paired, "paired": {"names": ["Ties", "Shirts"], "reason": "formal"}}, ""))
    done = subprocess.run(
        [node, "--input-type=module", "-e", READ, FOLDER.as_uri(), json.dumps(asked)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found


def test_a_tile_has_the_first_clause(said: list[list[str]]) -> None:
    assert [short for short, _ in said[: len(CASES)]] == SHORT


def test_the_whole_is_the_service_s_sentence(said: list[list[str]]) -> None:
    for causes, (_, whole) in zip(CASES, said, strict=False):
        clauses = sentence(causes, "goes_with").removesuffix(".").split("; ")
        assert whole == " ".join(f"{clause[0].upper()}{clause[1:]}." for clause in clauses)


def test_the_same_in_chinese(said: list[list[str]]) -> None:
    start = len(CASES) + 1
    assert [whole for _, whole in said[start : start + len(CASES)]] == CHINESE


def test_a_line_of_a_knowledge_file(said: list[list[str]]) -> None:
    assert said[len(CASES)][1] == "We pair Ties with Shirts (formal)."
    assert said[-1][1] == "本店搭配：Ties 配 Shirts（formal）。"
