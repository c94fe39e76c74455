"""Settings of a run: TOML -> frozen dataclasses. Each setting is declared once, with its default and range.

A key nobody knows, a wrong type and a value out of range are a `ConfigError` that names file, section,
key, rule and, for a misspelt key, the nearest known one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal, cast

from crossaisle.clean_config import CleanConfig
from crossaisle.decode import build, read_toml
from crossaisle.errors import ConfigError, shorten
from crossaisle.table_config import TableConfig, TreeConfig
from crossaisle.train_config import PretrainConfig, TrainConfig

HUB_NAME = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(?:@(\w[\w.-]*))?")
""""owner/name" of a repository on the Hugging Face hub, or "owner/name@revision"."""
NULLS = ("NULL", "null", r"\N", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "None")
"""What exports of databases, R, pandas and spreadsheets write where there is no value."""
ENCODERS = ("auto", "minilm", "use-multilingual", "none")
"""Text encoders known by name; "auto" is one of the next two, by the catalogue's languages."""


@dataclass(frozen=True, kw_only=True)
class ItemColumns:
    """What the shop calls the columns of its items; an unset one is looked for under its own name."""

    item_id: str | None = None
    title: str | None = None
    description: str | None = None
    categories: str | tuple[str, ...] | None = None
    """One column of paths ('A > B'), or a list of columns that are the levels, root first."""
    brand: str | None = None
    group_id: str | None = None
    """What variants of one product have in common; lists show one of them."""
    price: str | None = None
    currency: str | None = None
    """Codes or signs, where they do not stand beside the prices."""
    image: str | None = None
    url: str | None = None
    """Address of the product's own page."""
    in_stock: str | None = None
    available_from: str | None = None
    """Before this moment an item counts as sold out."""
    expires: str | None = None
    """From this moment on an item counts as sold out."""
    attributes: tuple[str, ...] = ()
    """Any further columns worth reading."""


@dataclass(frozen=True, kw_only=True)
class EventColumns:
    """What the shop calls the columns of its events."""

    item_id: str | None = None
    user_id: str | None = None
    time: str | None = None
    position: str | None = None
    """Order of the events where there is no time, or within one moment."""
    kind: str | None = None
    value: str | None = None
    quantity: str | None = None
    basket_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class UserColumns:
    """What the shop calls the columns of its users."""

    user_id: str | None = None
    attributes: tuple[str, ...] = ()
    """Columns to keep; all of them when empty."""


@dataclass(frozen=True, kw_only=True)
class ItemsConfig(TableConfig):
    """`[data.items]`"""

    columns: ItemColumns = ItemColumns()


@dataclass(frozen=True, kw_only=True)
class EventsConfig(TableConfig):
    """`[data.events]`"""

    columns: EventColumns = EventColumns()
    guests: Literal["set_aside", "baskets"] = "set_aside"
    """What happens to events that name a basket and no user: set aside, or each basket is a history."""


@dataclass(frozen=True, kw_only=True)
class UsersConfig(TableConfig):
    """`[data.users]`"""

    columns: UserColumns = UserColumns()


Repeats = Literal["auto", "keep", "leave_out"]
Role = Literal["view", "favourite", "cart", "rating", "purchase", "dislike", "return", "remove", "ignored"]
"""What an event says: interest, the strongest last; then what takes it back; then nothing."""


@dataclass(frozen=True, kw_only=True)
class KindConfig:
    """One kind of `[data.kinds]`."""

    means: Role
    weight: float | None = field(default=None, metadata={"low": 0.0, "high": 1000.0})
    """How much an event counts beside those of other kinds; unset: chosen on validation."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """`[data]`: a shop's tables and how to read them."""

    name: str = "shop"
    events: EventsConfig = EventsConfig()
    """Without a place, nothing has happened in this shop yet."""
    items: ItemsConfig | None = None
    """Without it, items are whatever the events name."""
    users: UsersConfig | None = None
    kinds: Mapping[str, KindConfig] = field(default_factory=dict)
    """`[data.kinds]`: what the shop's own names of kinds mean; the usual ones are known. A name alone is
    enough, as in `wish = "favourite"`."""
    default_kind: str | None = None
    """What events without a kind are. Unset: purchases; ratings where `value` looks like stars."""
    low_rating: float | None = None
    """A rating below this is a dislike. Unset: the middle of the scale."""
    currency: str | None = None
    """Of the prices, such as "EUR". Unset: the one that stands beside them, where it is one."""
    category_separator: str = ">"
    """Between the levels of a path."""
    path_separator: str | None = None
    """Between the paths of one cell; unset: a cell is one path."""
    category_lists: Literal["path", "paths"] | None = None
    """What a list of names is: one path, root first, or several. Unset: one path where each name of the
    column stands at one depth only, below one parent."""
    category_roots: tuple[str, ...] = ()
    """Names that say nothing, left out where a path begins with them."""
    category_tree: TreeConfig | None = None
    """A table that says below which category each one stands; items then name the last one only."""
    category_level: int | str = field(default=0, metadata={"low": -1})
    """The depth that the shop calls "category": 0 = top, -1 = leaf, or the name of a level's column."""
    min_users_per_item: int = field(default=0, metadata={"low": 0})
    """Items with fewer users than this are set aside, with their events."""
    require_category: bool = False
    """Items whose category path does not reach `category_level` are set aside, with their events."""
    exclude_categories: tuple[str, ...] = ()
    """Categories, by full path or last name, whose items are set aside, with their events."""
    nulls: tuple[str, ...] = NULLS
    """Cells that stand for no value, in every column, upper and lower case told apart. An empty cell is
    always one."""
    clean: CleanConfig = field(default_factory=CleanConfig)
    """`[data.clean]`: steps that put texts, categories and users right; see docs/cleaning.md."""
    time_unit: str | None = None
    """"s", "ms", "us" or "ns" since 1970, "excel" for a spreadsheet's days since 1900, or a format such as
    "%d/%m/%Y %H:%M". Unset: ISO text, dates, timestamps, and epoch numbers whose unit follows from their
    magnitude."""

    def __post_init__(self) -> None:
        unit = self.time_unit
        if unit is not None and unit not in ("s", "ms", "us", "ns", "excel") and "%" not in unit:
            raise ConfigError(
                "time_unit must be 's', 'ms', 'us', 'ns', 'excel' or a format such as '%d/%m/%Y' "
                f"(found {unit!r})"
            )
        if unit is not None and "%Z" in unit:
            raise ConfigError(
                f"time_unit cannot read the names of time zones (found {unit!r}): write offsets, such as "
                "+0100, and read them with %z"
            )
        if not self.category_separator.strip():
            raise ConfigError("category_separator must not be blank")
        if self.path_separator == "":
            raise ConfigError("path_separator must not be empty")
        if self.path_separator is not None and self.path_separator == self.category_separator:
            raise ConfigError("path_separator must differ from category_separator")


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """`[split]`: how validation and test are held out."""

    protocol: Literal[
        "temporal", "leave_last_out", "baskets", "random", "cold_items", "cold_users", "cold_categories"
    ] = "temporal"
    validation: float | date = field(default=0.1, metadata={"low": 0.0, "high": 0.9})
    """Share of the events (or baskets) before the test, or the day on which validation starts."""
    test: float | date = field(default=0.1, metadata={"low": 0.0, "high": 0.9})
    """Share of the last events, or the day on which the test starts; of baskets, and of events drawn at
    random, their share; of items, users and categories that are made cold, theirs, and as many more for
    validation."""
    seed: int = field(default=0, metadata={"low": 0})


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """`[evaluate]`"""

    k: tuple[int, ...] = field(default=(10,), metadata={"low": 1})
    bootstrap: int = field(default=1000, metadata={"low": 0})
    """Resamples behind each interval."""
    seed: int = field(default=0, metadata={"low": 0})
    max_users: int = field(default=10_000, metadata={"low": 1})
    """Evaluate a seeded sample of this many users, where there are more."""
    count: Literal["items", "groups"] = "items"
    """What is a hit: the item itself, or any item of its group (`group_id`, else title and brand)."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """`[model]`"""

    encoder: str = "auto"
    """"minilm", "use-multilingual", "none", the path of a folder with an encoder, or "owner/name" on
    the Hugging Face hub. "auto": "minilm" where the catalogue is English, else "use-multilingual"."""
    pictures: str = "efficientnet-lite0"
    """Encoder of the items' pictures, where a tenth of them have one at hand and its weights are on the
    machine: a known name, a folder, or "none"."""
    picture_hosts: tuple[str, ...] = ()
    """Hosts that pictures may be fetched from; files need none."""
    sequence: Literal["auto", "off"] = "auto"
    """Learn a sequence model where torch is installed and people buy a product once, in a shop of 10,000
    events or more: some minutes of one core. "off": without."""
    repeats: Repeats = "auto"
    """Items of the history in lists, of models that are measured and served alike: "keep", "leave_out", or
    "auto", what is better on validation."""
    keep: int = field(default=256, metadata={"low": 1, "high": 10_000_000})
    """Weights kept per row of an item-to-item matrix."""
    ranker: bool = True
    """Learn a ranker on top of the blend, where LightGBM is installed (the extra `rank`), and
    each user's last events are held out or time is cut."""
    seed: int = field(default=0, metadata={"low": 0})
    parts: Mapping[str, Mapping[str, Any]] | None = None
    """`[model.parts.NAME]`: hyper-parameters of a part of the blend that differ from the default, or, with
    `kind`, a further part. A table such as `decay` replaces the default one whole."""
    leave_out: tuple[str, ...] = ()
    """Parts that are not fitted."""
    knowledge: Path | None = None
    """File of what goes together, never does, or goes with everything; see docs/knowledge.md. Read once, then
    kept in the model."""


@dataclass(frozen=True, kw_only=True)
class RulesConfig:
    """`[rules]`"""

    file: Path | None = None
    """A merchandiser's rules: what is never shown, pinned, boosted or kept apart; see docs/rules.md. Read
    once, then kept in the model."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything `crossaisle run` needs."""

    data: DataConfig
    split: SplitConfig = SplitConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    model: ModelConfig = ModelConfig()
    rules: RulesConfig = RulesConfig()
    train: TrainConfig = field(default_factory=TrainConfig)
    """Read by `crossaisle train` only."""
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    """Read by `crossaisle pretrain` only."""


def overridden(name: str, overrides: Sequence[str], *, split: SplitConfig) -> RunConfig:
    """Settings for a known data set: its usual split and the defaults, with overrides of `[train]`."""
    values: dict[str, Any] = {}
    for key, text in _pairs(overrides):
        if key.strip().split(".")[0] not in ("train", "pretrain"):
            raise ConfigError(
                f"--set {key}: {name} is a known data set, for which only [train] and [pretrain] can be set"
            )
        _put(values, key, text)
    return replace(build(RunConfig, {"data": {"name": name}, **values}, "--set"), split=split)


def load_config(path: str | Path, overrides: Mapping[str, str] | Sequence[str] = ()) -> RunConfig:
    """Reads a TOML file; overrides are `section.key=value` and win over it.

    Paths are relative to the file's folder.
    """
    path = Path(path)
    values = read_toml(path)
    for name, text in _pairs(overrides):
        _put(values, name, text)
    config = build(RunConfig, values, str(path), base=path.parent)
    if config.data.items is None and not config.data.events.located:
        raise ConfigError(
            f"{path}, [data]: give [data.items], [data.events] or both to say where the tables are"
        )
    for name in ("events", "items", "users"):
        table = getattr(config.data, name)
        if name == "events" and table == EventsConfig():
            continue  # a shop on its first day: products, and nothing that happened
        if table is not None and not table.located:
            raise ConfigError(f"{path}, [data.{name}]: give path, url or hub to say where the table is")
    train, pretrain = config.train, config.pretrain
    return replace(
        config,
        train=replace(train, backbone=_folder_or_name(train.backbone, path.parent)),
        pretrain=replace(pretrain, backbone=_folder_or_name(pretrain.backbone, path.parent)),
        model=replace(config.model, encoder=_encoder(config.model.encoder, path)),
    )


def _folder_or_name(text: str, base: Path) -> str:
    """A folder relative to `base` where there is one, else the text as it is: a name."""
    folder = base / Path(text).expanduser()
    return str(folder) if folder.is_dir() else text


def _encoder(text: str, path: Path) -> str:
    if text in ENCODERS:
        return text
    folder = path.parent / Path(text).expanduser()
    if folder.is_dir():
        return str(folder)
    if not HUB_NAME.fullmatch(text):
        known = ", ".join(map(repr, ENCODERS))
        raise ConfigError(
            f"{path}, [model]: encoder must be {known}, a folder or 'owner/name' on the hub "
            f"(found {shorten(text)})"
        )
    return text


def _pairs(overrides: Mapping[str, str] | Sequence[str]) -> list[tuple[str, str]]:
    if isinstance(overrides, Mapping):
        return list(overrides.items())
    for text in overrides:
        if "=" not in text:
            raise ConfigError(f"an override must be section.key=value (found {text!r})")
    return [cast(tuple[str, str], tuple(text.split("=", 1))) for text in overrides]


def _put(values: dict[str, Any], name: str, text: str) -> None:
    *sections, key = name.strip().split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"override {name}: {section!r} is a value, not a section")
    try:
        values[key] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[key] = text  # a bare word is text, so that no quotes are needed on a command line
