"""`Rule`: one line of prior knowledge; and the CSV file of such lines, which people edit.

The header is `rule,from,to,direction,strength,reason`. Spreadsheet files with semicolons, tabs or a byte
order mark are accepted; blank lines are skipped, and so are lines that start with `#` outside of quotes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from crossaisle.data.ingest.readers.csv_rows import csv_rows
from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.data.text.control import tidied
from crossaisle.errors import DataError, either, nearest, shorten

Kind = Literal["goes with", "never with", "staple"]
Direction = Literal["both", "one way"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
COLUMNS = ("rule", "from", "to", "direction", "strength", "reason")
DEFAULT_STRENGTH = 0.5
"""The default strength: twice as likely."""
LONGEST_CELL = 10_000
"""Maximum length of a name or a reason."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One line of a knowledge file."""

    kind: Kind
    """`goes with`: items of `target` become more likely next to those of `source`. `never with`: they are not
    shown next to them. `staple`: items of `source` go with everything."""
    source: str
    """A category (full path or last name) or an item (id or title); prefix `category:` or `item:` if
    ambiguous."""
    target: str = ""
    """As `source`; "" for a staple."""
    direction: Direction = "both"
    """Whether the rule also holds from `target` to `source`."""
    strength: float = field(default=DEFAULT_STRENGTH, metadata={"low": 0.0, "high": 1.0})
    """0 to 1: next to the source, the target is 1 / (1 - strength) times as likely; .5 means twice, .8 five
    times. Ignored by `never with`, which always holds."""
    reason: str = ""
    """Free text, shown in explanations."""
    line: int = 0
    """Line number in its file; 0 if it does not come from a file."""

    @property
    def text(self) -> str:
        """The rule in words, without its reason; categories are given by their last names."""
        if self.kind == "staple":
            return f"{_last_name(self.source)} goes with everything"
        return f"{_last_name(self.source)} {self.kind} {_last_name(self.target)}"

    @property
    def said(self) -> str:
        """The rule and its reason in words."""
        return f"{self.text}: {self.reason}" if self.reason else self.text

    def sides(self) -> Iterator[tuple[str, str]]:
        """Yields source and target for each direction in which the rule holds."""
        yield self.source, self.target
        if self.direction == "both":
            yield self.target, self.source


def read_rules(path: str | Path) -> tuple[Rule, ...]:
    """Reads the rules of a file; `DataError` with line, value, rule and remedy for the first invalid line."""
    rules, problems = parse(path)
    if problems:
        first, more = problems[0], len(problems) - 1
        rest = f"; {more} more wrong line(s): crossaisle knowledge check lists them all" if more else ""
        raise DataError(f"{first}{rest}")
    return tuple(rules)


def shipped(name: str) -> Path:
    """The knowledge file shipped for a known data set."""
    return Path(__file__).with_name(f"{name}.csv")


def parse(path: str | Path) -> tuple[list[Rule], list[DataError]]:
    """Parses a file: its rules, and the errors of all other lines."""
    text = _text_of(Path(path))
    name, rules, problems = str(path), list[Rule](), list[DataError]()
    seen: dict[tuple[str, str], Rule] = {}
    columns: list[str] | None = None
    for number, raw in csv_rows(io.StringIO(text), _delimiter(text), name, comments="#"):
        cells = [tidied(cell) for cell in raw]
        if not any(cells):
            continue
        if columns is None:
            columns = _columns_of(cells, name)
            continue
        place = f"{name}, line {number}"
        try:
            rule = _rule_of(_by_column(columns, cells, place), place, number)
            _check_consistent(rule, seen, place)
            rules.append(rule)
        except DataError as problem:
            problems.append(problem)
    if columns is None:
        raise DataError(f"is empty: the first line must be {','.join(COLUMNS)}", file=name)
    return rules, problems


def write_rules(path: str | Path, rules: Iterable[Rule], comments: Sequence[str] = ()) -> None:
    """Writes a file for `read_rules`. `comments` go above the header, each after a `#`."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        for comment in comments:
            file.write(f"# {tidied(comment)}\n")
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        out.writerows(cells_of(rule) for rule in rules)


def cells_of(rule: Rule) -> list[str]:
    """The cells of a rule's line."""
    never, staple = rule.kind == "never with", rule.kind == "staple"
    return [
        rule.kind,
        rule.source,
        rule.target,
        "" if staple else rule.direction,
        "" if never else f"{rule.strength:g}",
        rule.reason,
    ]


def bare_name(name: str) -> str:
    """A name without the prefix that distinguishes categories from items."""
    head, marked, rest = name.partition(":")
    return rest.strip() if marked and head.strip().lower() in ("category", "item") else name


def _last_name(name: str) -> str:
    return bare_name(name).split(SEPARATOR)[-1]


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError("no such file", file=str(path)) from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", file=str(path)) from None
    except UnicodeDecodeError:
        raise DataError("must be UTF-8: save it as 'CSV UTF-8' in the spreadsheet", file=str(path)) from None


def _delimiter(text: str) -> str:
    """The delimiter used in the header."""
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    header = next(lines, "")
    return max((",", ";", "\t"), key=header.count)


def _by_column(columns: Sequence[str], cells: Sequence[str], where: str) -> dict[str, str]:
    """Column -> cell of a record; `DataError` for a cell beyond the last column."""
    longest = max(map(len, cells))
    if longest > LONGEST_CELL:
        rule = f"a cell of {longest:,} characters, at most {LONGEST_CELL:,} are read: is a quote left open?"
        raise DataError(rule, file=where)
    alone = [cell for at, cell in enumerate(cells) if cell and (at >= len(columns) or not columns[at])]
    if alone:
        rule = (
            f"{len(cells)} cells for {len([c for c in columns if c])} columns: put text that "
            "contains the delimiter in double quotes"
        )
        raise DataError(rule, file=where, value=alone[0])
    return dict(zip(columns, [*cells, *[""] * len(columns)], strict=False))


def _columns_of(cells: Sequence[str], name: str) -> list[str]:
    columns = [cell.lower() for cell in cells]
    for column in columns:
        if column and column not in COLUMNS:
            rule = f"unknown column{nearest(column, COLUMNS)}; the header is {','.join(COLUMNS)}"
            raise DataError(rule, file=name, value=column)
    twice = next((column for column in columns if column and columns.count(column) > 1), None)
    if twice is not None:
        raise DataError("two columns have this name: keep one of them", file=name, column=twice)
    missing = [column for column in ("rule", "from") if column not in columns]
    if missing:
        raise DataError(
            f"the header lacks {' and '.join(missing)}; it must be {','.join(COLUMNS)}", file=name
        )
    return columns


def _rule_of(cells: dict[str, str], where: str, number: int) -> Rule:
    kind = " ".join(cells["rule"].lower().replace("_", " ").split())
    if kind not in KINDS:
        raise DataError(_one_of("rule", KINDS, kind), file=where, value=cells["rule"])
    source, target = cells["from"], cells.get("to", "")
    if not source:
        raise DataError("from must name a category or an item", file=where, column="from", value="")
    if kind == "staple" and target:
        rule = "a staple goes with everything: leave 'to' empty, or write goes with"
        raise DataError(rule, file=where, column="to", value=target)
    if kind != "staple" and not target:
        raise DataError(f"{kind} needs a category or an item in 'to'", file=where, column="to", value="")
    if target and source.lower() == target.lower() and kind == "never with":
        raise DataError("from and to are the same", file=where, value=target)
    direction = " ".join(cells.get("direction", "").lower().replace("-", " ").split()) or "both"
    if direction not in DIRECTIONS:
        raise DataError(_one_of("direction", DIRECTIONS, direction), file=where, value=cells["direction"])
    return Rule(
        kind=kind,
        source=source,
        target=target,
        direction=direction,
        strength=_strength_of(cells.get("strength", ""), where),
        reason=cells.get("reason", ""),
        line=number,
    )


def _one_of(column: str, known: Sequence[str], found: str) -> str:
    hint = nearest(found, known)
    choices = either([repr(choice) for choice in known])
    return f"{column} must be {choices}{hint if 'did you mean' in hint else ''}"


def _strength_of(text: str, where: str) -> float:
    rule = "strength must be a number from 0 to 1, such as 0.8, or empty"
    if not text:
        return DEFAULT_STRENGTH
    try:
        value = float(text.replace(",", "."))  # spreadsheets of many countries write a decimal comma
    except ValueError:
        raise DataError(rule, file=where, value=text) from None
    if not 0.0 <= value <= 1.0:
        raise DataError(rule, file=where, value=text)
    return value


def _check_consistent(rule: Rule, seen: dict[tuple[str, str], Rule], where: str) -> None:
    """Each pair may have only one line, as two could contradict each other."""
    directions = [(rule.source, "")] if rule.kind == "staple" else list(rule.sides())
    for source, target in directions:
        before = seen.get((source.lower(), target.lower()))
        if before is None or (before.kind == rule.kind and before.line == rule.line):
            continue
        pair = shorten(f"{source}, {target}" if target else source)
        if before.kind != rule.kind:
            said = f"line {before.line} already says {before.kind!r} of the same pair: keep one of the two"
            raise DataError(said, file=where, value=pair)
        raise DataError(
            f"line {before.line} is already about the same pair: keep one of the two", file=where, value=pair
        )
    for source, target in directions:
        seen[source.lower(), target.lower()] = rule
