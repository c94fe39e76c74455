"""`MerchandisingRule` and `RuleSet`: a merchandiser's rules for lists as data; and their TOML file.

See docs/rules.md. The order of rules has no meaning: a set sorts them by id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Literal, get_args

from crossaisle.data.knowledge.naming import words_of
from crossaisle.data.knowledge.rules import Direction
from crossaisle.data.query import PLACEMENTS, Placement
from crossaisle.decode import build, read_toml
from crossaisle.errors import ConfigError, UnknownIdError, nearest, shorten

Action = Literal["never", "adults-only", "only-with", "never-with", "pin", "boost", "bury"]
State = Literal["holds", "later", "over"]
ACTIONS: tuple[Action, ...] = get_args(Action)
BESIDE: frozenset[Action] = frozenset({"only-with", "never-with"})
"""Actions that need `beside`."""
WEIGHTED: frozenset[Action] = frozenset({"boost", "bury"})
"""Actions that take a `weight`."""
DEFAULT_WEIGHT = 2.0
LARGEST_WEIGHT = 1000.0
LAST_PLACE = 100
MOST_RULES = 1000
MOST_NAMES = 1000
"""Maximum number of names on one side of a rule."""
MOST_NAMES_IN_ALL = 10_000
"""Maximum number of names in all rules: each is looked up again whenever the catalogue changes."""
LONGEST = 500
"""Maximum length of a name or a reason."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class MerchandisingRule:
    """One rule. Raises `ConfigError` for invalid fields."""

    id: str
    """Identifies the rule in lists: letters, digits, `.`, `_` and `-`."""
    action: Action
    """`never`: not shown. `adults-only`: shown only where the query says `adult`. `only-with`: shown only
    where something of `beside` is in the cart, in view or in the history. `never-with`: not shown beside
    `beside`. `pin`: shown at `position`. `boost`, `bury`: the score is multiplied, or divided, by
    `weight`."""
    items: tuple[str, ...]
    """Categories (full path or last name; includes subcategories), items (id or title), or `words:` followed
    by words that a title must all contain. The prefixes `category:` and `item:` resolve ambiguity."""
    beside: tuple[str, ...] = ()
    """The other side of `only-with` and `never-with`, with names as in `items`."""
    direction: Direction = "both"
    """For `never-with`: `both`, or `one way`: only `items` are hidden next to `beside`, not the reverse."""
    position: int | None = None
    """For `pin`: position in the list, 1 = first."""
    weight: float | None = None
    """For `boost` and `bury`: above 1; by default 2."""
    placements: tuple[Placement, ...] = ()
    """The placements it applies to; all if empty."""
    since: date | None = None
    """The first day (UTC) on which it applies."""
    until: date | None = None
    """The last day (UTC) on which it applies."""
    reason: str = ""
    """Free text; responses include it."""

    def __post_init__(self) -> None:
        for wrong in (self._wrong_names(), self._wrong_sides(), self._wrong_values()):
            if wrong:
                raise ConfigError(wrong)

    def _wrong_names(self) -> str:
        if not _ID.fullmatch(self.id):
            return f"id must be up to 64 letters, digits, '.', '_' or '-' (found {shorten(self.id)})"
        if not self.items:
            return "items must name at least one category, item or 'words:...'"
        if len(self.reason) > LONGEST:
            return f"reason must have at most {LONGEST} characters (found {len(self.reason)})"
        return _wrong_list("items", self.items) or _wrong_list("beside", self.beside)

    def _wrong_sides(self) -> str:
        if self.action in BESIDE and not self.beside:
            return f"{self.action} needs beside: what the items are shown or not shown with"
        if self.action not in BESIDE and self.beside:
            return f"beside is for only-with and never-with, not for {self.action}"
        if self.direction != "both" and self.action != "never-with":
            return f"direction is for never-with, not for {self.action}"
        return ""

    def _wrong_values(self) -> str:
        if self.action == "pin" and self.position is None:
            return "pin needs position: 1 is the first place"
        if self.action != "pin" and self.position is not None:
            return f"position is for pin, not for {self.action}"
        if self.position is not None and not 1 <= self.position <= LAST_PLACE:
            return f"position must lie between 1 and {LAST_PLACE} (found {self.position})"
        if self.weight is not None and self.action not in WEIGHTED:
            return f"weight is for boost and bury, not for {self.action}"
        if self.weight is not None and not 1.0 < self.weight <= LARGEST_WEIGHT:
            return f"weight must be above 1 and at most {LARGEST_WEIGHT:g} (found {self.weight:g})"
        if self.since and self.until and self.since > self.until:
            return f"since must not be later than until (found {self.since} > {self.until})"
        return ""

    @property
    def factor(self) -> float:
        """The factor by which a positive score is multiplied."""
        weight = DEFAULT_WEIGHT if self.weight is None else self.weight
        return {"boost": weight, "bury": 1.0 / weight}.get(self.action, 1.0)

    def holds(self, placement: Placement, day: date) -> bool:
        """Whether it applies to a placement on a day."""
        there = not self.placements or placement in self.placements
        return (
            there and (self.since is None or self.since <= day) and (self.until is None or day <= self.until)
        )

    def state(self, day: date) -> State:
        """Whether a day is before, within or after its period."""
        if self.until is not None and self.until < day:
            return "over"
        return "later" if self.since is not None and day < self.since else "holds"

    def meets(self, other: MerchandisingRule) -> bool:
        """Whether both rules apply to the same placement on some day."""
        mine, its = set(self.placements or PLACEMENTS), set(other.placements or PLACEMENTS)
        first = max(self.since or date.min, other.since or date.min)
        return bool(mine & its) and first <= min(self.until or date.max, other.until or date.max)

    def changed(self, fields: Mapping[str, Any]) -> MerchandisingRule:
        """The rule with some fields changed; None resets one to its default. Raises `ConfigError`."""
        kept = {name: value for name, value in self.to_dict().items() if name not in fields}
        return MerchandisingRule.of({**kept, **fields}, f"rule {self.id!r}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without what is not set."""
        found = {name: value for name, value in asdict(self).items() if value not in (None, (), "")}
        if self.direction == "both":
            del found["direction"]
        return {
            name: value.isoformat()
            if isinstance(value, date)
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in found.items()
        }

    @classmethod
    def of(cls, values: object, where: str) -> MerchandisingRule:
        """From parsed TOML or JSON; `ConfigError` messages start with `where`."""
        if isinstance(values, Mapping):
            for name in ("id", "action", "items"):
                if values.get(name) is None:
                    raise ConfigError(f"{where}: {name} is missing")
            values = {name: _plain(name, value, where) for name, value in values.items() if value is not None}
        return build(cls, values, where)


@dataclass(frozen=True)
class RuleSet:
    """Rules, ordered by id. Raises `ConfigError` if two have the same id or pin the same position."""

    rules: tuple[MerchandisingRule, ...] = ()
    where: str = field(default="rules", compare=False)
    """The file they come from; messages start with it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(sorted(self.rules, key=lambda rule: rule.id)))
        if len(self.rules) > MOST_RULES:
            raise ConfigError(f"at most {MOST_RULES:,} rules (found {len(self.rules):,})")
        names = sum(len(rule.items) + len(rule.beside) for rule in self.rules)
        if names > MOST_NAMES_IN_ALL:
            raise ConfigError(
                f"all rules together must hold at most {MOST_NAMES_IN_ALL:,} names (found {names:,})"
            )
        for one, other in zip(self.rules, self.rules[1:], strict=False):
            if one.id == other.id:
                raise ConfigError(f"two rules are called {one.id!r}: ids must differ")
        for one, other in _same_place(self.rules):
            raise ConfigError(
                f"rules {one.id!r} and {other.id!r} pin the same place {one.position}: give one of "
                "them another position, other placements or other days"
            )

    def __bool__(self) -> bool:
        return bool(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def get(self, id: str) -> MerchandisingRule:
        """A rule by id; raises `UnknownIdError`."""
        for rule in self.rules:
            if rule.id == id:
                return rule
        raise UnknownIdError(f"no rule {shorten(id)}", name=id, known=[rule.id for rule in self.rules])

    def without(self, id: str) -> RuleSet:
        """All rules but one; raises `UnknownIdError`."""
        gone = self.get(id)
        return RuleSet(tuple(rule for rule in self.rules if rule is not gone))

    def with_rule(self, rule: MerchandisingRule) -> RuleSet:
        """The set with a rule added, or replaced if its id exists."""
        return RuleSet((*(other for other in self.rules if other.id != rule.id), rule))

    def to_list(self) -> list[dict[str, Any]]:
        """JSON-ready."""
        return [rule.to_dict() for rule in self.rules]

    @classmethod
    def of(cls, several: object, where: str) -> RuleSet:
        """From parsed TOML or JSON: a list of tables. `ConfigError` starts with `where`."""
        if not isinstance(several, Sequence) or isinstance(several, str):
            raise ConfigError(f"{where}: must be a list of rules (found {shorten(several)})")
        rules = [
            MerchandisingRule.of(one, f"{where}, {_called(at, one)}") for at, one in enumerate(several, 1)
        ]
        try:
            return cls(tuple(rules))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None


def _same_place(rules: Iterable[MerchandisingRule]) -> Iterator[tuple[MerchandisingRule, MerchandisingRule]]:
    """Pairs of pins at the same position that apply on the same day; yields at least one pair if any
    exist."""
    pins = (rule for rule in rules if rule.action == "pin")
    held: dict[tuple[int | None, Placement], list[MerchandisingRule]] = {}
    for rule in sorted(pins, key=lambda rule: rule.since or date.min):
        for placement in rule.placements or PLACEMENTS:
            before = held.setdefault((rule.position, placement), [])
            # Earlier rules do not overlap, so the last of them ends last.
            if before and before[-1].meets(rule):
                yield (before[-1], rule) if before[-1].id < rule.id else (rule, before[-1])
            before.append(rule)


NO_RULES = RuleSet()


def read_rule_file(path: str | Path) -> RuleSet:
    """Reads the `[[rule]]` tables of a TOML file. `ConfigError` names file, rule, key and remedy."""
    path = Path(path)
    values = read_toml(path)
    for key in values:
        if key != "rule":
            raise ConfigError(
                f"{path}: unknown key {key!r}{nearest(key, ['rule'])}: each rule is a table [[rule]]"
            )
    return replace(RuleSet.of(values.get("rule", []), str(path)), where=str(path))


def shipped(name: str) -> Path:
    """The rules file shipped for a known data set."""
    return Path(__file__).with_name(f"{name}.toml")


def today() -> date:
    """The current date in UTC, which decides whether rules apply."""
    return datetime.now(UTC).date()


def _called(at: int, values: object) -> str:
    name = values.get("id") if isinstance(values, Mapping) else None
    return f"rule {shorten(name)}" if isinstance(name, str) else f"rule {at}"


def _plain(name: str, value: object, where: str) -> object:
    """Normalizes TOML values: a single name becomes a list, an ISO date string a date."""
    if name in ("items", "beside", "placements") and isinstance(value, str):
        return [value]
    if name in ("since", "until") and isinstance(value, datetime | time):
        raise ConfigError(
            f"{where}: {name} must be a day such as 2026-12-31, without a time: rules begin and end at "
            f"midnight UTC (found {value})"
        )
    if name in ("since", "until") and isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ConfigError(
                f"{where}: {name} must be a day such as 2026-12-31 (found {shorten(value)})"
            ) from None
    return value


def _wrong_list(field_name: str, names: Sequence[str]) -> str:
    if len(names) > MOST_NAMES:
        return f"{field_name} must hold at most {MOST_NAMES:,} names (found {len(names):,})"
    wrong = next((name for name in names if not name.strip() or len(name) > LONGEST), None)
    if wrong is None:
        bare = next((name for name in names if words_of(name) == ()), None)
        return f"{field_name}: {bare.strip()!r} needs at least one word" if bare is not None else ""
    return f"{field_name}: a name must have 1 to {LONGEST} characters (found {shorten(wrong)})"
