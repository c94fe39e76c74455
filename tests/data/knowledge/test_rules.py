"""Knowledge files: what is read, and what is said of lines that cannot be."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import from_frames
from crossaisle.data.knowledge.naming import named, write_rejected
from crossaisle.data.knowledge.rules import Rule, parse, read_rules, shipped, write_rules
from crossaisle.errors import DataError
from tests.models.shops import tiny_shop

HEADER = "rule,from,to,direction,strength,reason\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "knowledge.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_three_rules_with_their_defaults(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "# drafted, then edited\n\n"
        + HEADER
        + "goes with,Dairy,Bakery > Bread,one way,0.8,breakfast\n"
        + "Never With,Dairy,Paint,,,\n"
        + '\nSTAPLE,milk0,,,0.25,"in one basket, of four"\n',
    )
    assert read_rules(path) == (
        Rule(
            kind="goes with",
            source="Dairy",
            target="Bakery > Bread",
            direction="one way",
            strength=0.8,
            reason="breakfast",
            line=4,
        ),
        Rule(kind="never with", source="Dairy", target="Paint", line=5),
        Rule(kind="staple", source="milk0", strength=0.25, reason="in one basket, of four", line=7),
    )


def test_what_a_spreadsheet_writes(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.csv"
    path.write_bytes("\ufeffRule;From;To;Strength\r\ngoes with;Dairy;Bakery;0,8\r\n;;;\r\n".encode())
    assert read_rules(path) == (
        Rule(kind="goes with", source="Dairy", target="Bakery", strength=0.8, line=2),
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    rules = (
        Rule(
            kind="goes with",
            source='A "b", c',
            target="D > E",
            direction="one way",
            strength=0.35,
            reason="é, ü",
        ),
        Rule(kind="never with", source="A", target="F"),
        Rule(kind="staple", source="G", strength=0.125),
    )
    write_rules(tmp_path / "k.csv", rules, comments=["made by\nnobody"])
    again = [rule.__dict__ | {"line": 0} for rule in read_rules(tmp_path / "k.csv")]
    assert again == [rule.__dict__ for rule in rules]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "gos with,A,B,,,",
            "rule must be 'goes with', 'never with' or 'staple' (did you mean 'goes with'?)",
        ),
        ("goes with,A,B,,1.5,", "line 2: strength must be a number from 0 to 1, such as 0.8, or empty"),
        ("goes with,A,B,,nan,", "strength must be a number from 0 to 1"),
        ("goes with,A,B,oneway,,", "direction must be 'both' or 'one way' (did you mean 'one way'?)"),
        ("goes with,A,,,,", "goes with needs a category or an item in 'to'"),
        ("goes with,,B,,,", "from must name a category or an item"),
        ("staple,A,B,,,", "a staple goes with everything: leave 'to' empty, or write goes with (found 'B')"),
        ("never with,A,a,,,", "from and to are the same"),
        ("goes with,A,B,,0.5,likes, both", "7 cells for 6 columns"),
        ("goes with,A,B,,,\nnever with,b,A,,,", "line 3: line 2 already says 'goes with' of the same pair"),
        ("goes with,A,B,,0.5,\ngoes with,B,A,one way,0.6,", "line 3: line 2 is already about the same pair"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, line: str, says: str) -> None:
    path = written(tmp_path, f"{HEADER}{line}\n")
    with pytest.raises(DataError) as found:
        read_rules(path)
    assert says in str(found.value)
    assert str(path) in str(found.value)


def test_two_directions_of_a_pair_may_differ(tmp_path: Path) -> None:
    lines = "goes with,A,B,one way,0.5,\ngoes with,B,A,one way,0.6,\n"
    assert [rule.strength for rule in read_rules(written(tmp_path, HEADER + lines))] == [0.5, 0.6]


def test_every_wrong_line_is_found_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEADER}goes with,A,B,,2,\ngoes with,C,D,,,\nx,A,B,,,\n")
    rules, problems = parse(path)
    assert [rule.source for rule in rules] == ["C"]
    assert len(problems) == 2
    with pytest.raises(DataError, match="1 more wrong line"):
        read_rules(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty: the first line must be rule,from,to"),
        ("rule,from,tow\n", "unknown column (did you mean 'to'?)"),
        ("from,to\nA,B\n", "the header lacks rule"),
    ],
)
def test_a_wrong_header(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError) as found:
        read_rules(written(tmp_path, text))
    assert says in str(found.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_rules(tmp_path / "none.csv")
    (tmp_path / "k.csv").write_bytes(b"rule,from\nstaple,Caf\xe9\n")
    with pytest.raises(DataError, match="must be UTF-8"):
        read_rules(tmp_path / "k.csv")


def rows_of(name: str) -> list[str]:
    found, rejected = named([Rule(kind="staple", source=name)], tiny_shop())
    return tiny_shop().item_ids.ids(found[0].source) if found else [rejected[0].why]


def test_names_are_categories_or_items() -> None:
    milk = [f"milk{i}" for i in range(6)]
    assert rows_of("Dairy") == rows_of("dairy > milk") == rows_of("Dairy>Milk") == rows_of("milk") == milk
    assert rows_of("category: Milk") == milk
    assert rows_of("milk3") == rows_of("item:milk3") == rows_of("Fresh milk number 3") == ["milk3"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Diary", "unknown category or item 'Diary' (did you mean 'Dairy'?)"),
        ("Dairy > Milch", "(did you mean 'Dairy > Milk'?)"),
        ("item:fresh milk number 33", "unknown item 'fresh milk number 33' (did you"),
        ("category:milk3", "unknown category 'milk3' (did you mean 'Milk'?)"),
    ],
)
def test_unknown_names_get_the_nearest_one(name: str, says: str) -> None:
    [why] = rows_of(name)
    assert says in why


def test_rejected_lines_are_kept_as_they_stood(tmp_path: Path) -> None:
    rules = [
        Rule(kind="goes with", source="Dairy", target="Wine", strength=0.7, reason="cheese", line=8),
        Rule(kind="goes with", source="Dairy", target="Bakery", line=9),
    ]
    found, rejected = named(rules, tiny_shop())
    assert [one.rule.line for one in found] == [9]
    write_rejected(tmp_path / "r.csv", rejected)
    head, line = (tmp_path / "r.csv").read_text().splitlines()
    assert head == "rule,from,to,direction,strength,reason,line,why"
    assert line.startswith("goes with,Dairy,Wine,both,0.7,cheese,8,")
    assert "unknown category or item 'Wine'" in line


def wrong(folder: Path, text: str) -> str:
    with pytest.raises(DataError) as error:
        read_rules(written(folder, text))
    return str(error.value)


def test_a_column_named_twice(tmp_path: Path) -> None:
    assert "column 'to': two columns have this name: keep one of them" in wrong(tmp_path, "rule,from,to,to\n")


def test_a_hash_within_quotes_is_text(tmp_path: Path) -> None:
    text = HEADER + 'goes with,A,B,,,"no. 1\n# of 3"\n# a comment, "with a quote\ngoes with,C,D,,,#1\n'
    rules = read_rules(written(tmp_path, text))
    assert [(rule.reason, rule.line) for rule in rules] == [("no. 1 # of 3", 2), ("#1", 5)]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    text = HEADER + '\ngoes with,A,B,,,"two\nlines\x0b\u2028"\n\n# x\ngoes with,C,D,,9,\n'
    rules, problems = parse(written(tmp_path, text))
    assert [rule.line for rule in rules] == [3]
    assert "line 7: strength must be" in str(problems[0])


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('goes with,A,B,,,"open\ngoes with,C,D,,,\n', 'line 2: a quote (") is opened here and never closed'),
        (
            'goes with,A,B,,,"open\ngoes with,C,D,,,"a, b"\n',
            'line 2: a quote (") is opened here and closed in the middle of line 3: close it earlier',
        ),
        ('goes with,"A\nB",C,,,"open\nx\n', 'line 3: a quote (") is opened here and never closed'),
        (
            'goes with,A,B,,,"5" wide"\n',
            'line 2: a quote (") is opened here and closed in the middle of line 2',
        ),
    ],
)
def test_an_open_quote_is_named_where_it_opens(tmp_path: Path, lines: str, says: str) -> None:
    assert says in wrong(tmp_path, HEADER + lines)


def test_a_quote_within_a_quoted_text_is_written_twice(tmp_path: Path) -> None:
    [rule] = read_rules(written(tmp_path, HEADER + 'goes with,"5"" nails",B,,,6" will do\n'))
    assert (rule.source, rule.reason) == ('5" nails', '6" will do')


@pytest.mark.parametrize("size", [200_000, 1_000_000])
def test_a_cell_that_is_too_long(tmp_path: Path, size: int) -> None:
    said = wrong(tmp_path, HEADER + f"goes with,A,B,,,{'x' * size}\n")
    assert f"line 2: a cell of {size:,} characters, at most 10,000 are read" in said
    assert "a cell is longer than 16 million characters" in wrong(tmp_path, HEADER + "y" * ((1 << 24) + 2))


def test_a_cell_below_no_column(tmp_path: Path) -> None:
    said = wrong(tmp_path, "rule,from,to,,reason\ngoes with,A,B,lost,\ngoes with,A,C,,x,y\n")
    assert "line 2: 5 cells for 4 columns" in said
    assert "1 more wrong line" in said


def shop_of(*paths: str) -> Dataset:
    rows = {"item_id": [f"i{n}" for n in range(len(paths))], "categories": list(paths)}
    return from_frames(pl.DataFrame(rows), None)


def test_a_name_that_several_categories_have() -> None:
    shop = shop_of("Grocery > Liquor", "Spirits > Liquor", "Drug > Filters > Filters", "Drug > Filters")
    found, rejected = named([Rule(kind="goes with", source="Filters", target="Liquor")], shop)
    assert not found
    assert rejected[0].why == (
        "2 categories are called 'Liquor': write 'Grocery > Liquor' or 'Spirits > Liquor'"
    )
    [one] = named([Rule(kind="staple", source="filters")], shop)[0]
    assert shop.item_ids.ids(one.source) == ["i2", "i3"]
    many = shop_of(*(f"{'Long ' * 15}{n} > Tea" for n in range(11)))
    [why] = [one.why for one in named([Rule(kind="staple", source="tea")], many)[1]]
    assert why.endswith(f"'{'Long ' * 15}7 > Tea', or one of 3 more")


def test_the_file_that_comes_with_the_demo_is_whole() -> None:
    rules, problems = parse(shipped("completejourney"))
    assert not problems
    assert {rule.kind for rule in rules} == {"goes with"}
    assert {rule.direction for rule in rules} == {"one way"}
    assert all(0.5 < rule.strength <= 0.9 for rule in rules)
    # From one category to another: within one, nothing is shown.
    assert all(rule.source.split(" > ")[:2] != rule.target.split(" > ")[:2] for rule in rules)
    assert len({(rule.source, rule.target) for rule in rules}) == len(rules)
