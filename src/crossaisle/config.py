"""Settings of a run, TOML -> frozen dataclasses. Each setting is declared once, with its default and range.

An unknown key, a wrong type or a value out of range raises `ConfigError`, which names file, section, key and
rule and, for a misspelt key, the nearest known one.
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
"""How databases, R, pandas and spreadsheets write a missing value when exporting."""
ENCODERS = ("auto", "minilm", "use-multilingual", "none")
"""Built-in text encoders; "auto" picks "minilm" or "use-multilingual" by the catalogue's languages."""


@dataclass(frozen=True, kw_only=True)
class ItemColumns:
    """The shop's column names for its items; an unset one defaults to the name of its setting."""

    item_id: str | None = None
    title: str | None = None
    description: str | None = None
    categories: str | tuple[str, ...] | None = None
    """One column of paths ('A > B'), or a list of columns, one per level, root first."""
    brand: str | None = None
    group_id: str | None = None
    """Shared by all variants of one product; lists show one item per group."""
    price: str | None = None
    currency: str | None = None
    """Currency codes or signs, if they are not part of the prices."""
    image: str | None = None
    url: str | None = None
    """Address of the product's own page."""
    in_stock: str | None = None
    available_from: str | None = None
    """The item counts as sold out before this moment."""
    expires: str | None = None
    """The item counts as sold out from this moment on."""
    attributes: tuple[str, ...] = ()
    """Further columns to read."""


@dataclass(frozen=True, kw_only=True)
class EventColumns:
    """The shop's column names for its events."""

    item_id: str | None = None
    user_id: str | None = None
    time: str | None = None
    position: str | None = None
    """Order of events without a time, or with the same time."""
    kind: str | None = None
    value: str | None = None
    quantity: str | None = None
    basket_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class UserColumns:
    """The shop's column names for its users."""

    user_id: str | None = None
    attributes: tuple[str, ...] = ()
    """Columns to keep; all if empty."""


@dataclass(frozen=True, kw_only=True)
class ItemsConfig(TableConfig):
    """`[data.items]`"""

    columns: ItemColumns = ItemColumns()


@dataclass(frozen=True, kw_only=True)
class EventsConfig(TableConfig):
    """`[data.events]`"""

    columns: EventColumns = EventColumns()
    guests: Literal["set_aside", "baskets"] = "set_aside"
    """What to do with events that have a basket but no user: set them aside, or treat each basket as a
    history."""


@dataclass(frozen=True, kw_only=True)
class UsersConfig(TableConfig):
    """`[data.users]`"""

    columns: UserColumns = UserColumns()


Repeats = Literal["auto", "keep", "leave_out"]
Role = Literal["view", "favourite", "cart", "rating", "purchase", "dislike", "return", "remove", "ignored"]
"""What an event means: interest, from weakest to strongest; then what withdraws it; then no meaning at
all."""


@dataclass(frozen=True, kw_only=True)
class KindConfig:
    """One event kind in `[data.kinds]`."""

    means: Role
    weight: float | None = field(default=None, metadata={"low": 0.0, "high": 1000.0})
    """Weight of an event relative to those of other kinds; unset: tuned on validation."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """`[data]`: a shop's tables and how to read them."""

    name: str = "shop"
    events: EventsConfig = EventsConfig()
    """Without a path, url or hub, the shop has no events yet."""
    items: ItemsConfig | None = None
    """If unset, the items are those that occur in the events."""
    users: UsersConfig | None = None
    kinds: Mapping[str, KindConfig] = field(default_factory=dict)
    """`[data.kinds]`: the meaning of the shop's own event kinds; common names are known. A meaning alone is
    enough, as in `wish = "favourite"`."""
    default_kind: str | None = None
    """The kind of events that have none. Unset: purchases; ratings if `value` looks like stars."""
    low_rating: float | None = None
    """A rating below this is a dislike. Unset: the middle of the scale."""
    currency: str | None = None
    """Currency of the prices, such as "EUR". Unset: the one written with the prices, if there is only one."""
    category_separator: str = ">"
    """Separates the levels of a category path."""
    path_separator: str | None = None
    """Separates several paths in one cell; unset: one path per cell."""
    category_lists: Literal["path", "paths"] | None = None
    """Whether a list of names is one path, root first, or several paths. Unset: one path if every name in the
    column occurs at only one depth and below only one parent."""
    category_roots: tuple[str, ...] = ()
    """Root names without information, which are removed from the beginning of paths."""
    category_tree: TreeConfig | None = None
    """A table with each category's parent; items then name only their deepest category."""
    category_level: int | str = field(default=0, metadata={"low": -1})
    """The level that the shop calls "category": 0 = top, -1 = leaf, or the name of a level's column."""
    min_users_per_item: int = field(default=0, metadata={"low": 0})
    """Items with fewer users than this are set aside, with their events."""
    require_category: bool = False
    """Items whose category path does not reach `category_level` are set aside, with their events."""
    exclude_categories: tuple[str, ...] = ()
    """Categories, by full path or last name, whose items are set aside, with their events."""
    nulls: tuple[str, ...] = NULLS
    """Cells that mean "no value" in every column, case-sensitive. Empty cells always do."""
    clean: CleanConfig = field(default_factory=CleanConfig)
    """`[data.clean]`: cleaning of texts, categories and users; see docs/cleaning.md."""
    time_unit: str | None = None
    """"s", "ms", "us" or "ns" since 1970, "excel" for spreadsheet days since 1900, or a format such as
    "%d/%m/%Y %H:%M". Unset: ISO text, dates, timestamps, or epoch numbers, whose magnitude gives the unit."""

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
    """Share of the newest events, or the day on which the test period starts. For `baskets` and `random`, the
    share of baskets or events drawn; for cold items, users and categories, the share made cold, with another
    such share for validation."""
    seed: int = field(default=0, metadata={"low": 0})


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """`[evaluate]`"""

    k: tuple[int, ...] = field(default=(10,), metadata={"low": 1})
    bootstrap: int = field(default=1000, metadata={"low": 0})
    """Number of bootstrap resamples per confidence interval."""
    seed: int = field(default=0, metadata={"low": 0})
    max_users: int = field(default=10_000, metadata={"low": 1})
    """Larger sets of users are reduced to a seeded sample of this size."""
    count: Literal["items", "groups"] = "items"
    """What counts as a hit: the item itself, or any item of its group (`group_id`, else title and brand)."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """`[model]`"""

    encoder: str = "auto"
    """"minilm", "use-multilingual", "none", a folder with an encoder, or "owner/name" on the Hugging Face
    hub. "auto": "minilm" if the catalogue is English, else "use-multilingual"."""
    pictures: str = "efficientnet-lite0"
    """Encoder of item pictures: a known name, a folder, or "none". Used if at least a tenth of the items have
    a readable picture and the weights are on this machine."""
    picture_hosts: tuple[str, ...] = ()
    """Hosts from which pictures may be fetched; picture files need no entry."""
    sequence: Literal["auto", "off"] = "auto"
    """"auto": train a sequence model if torch is installed, customers rarely buy a product twice, and the
    shop has at least 10,000 events; takes some minutes of one core. "off": never."""
    repeats: Repeats = "auto"
    """Whether lists may contain items of the history, in evaluation and service alike: "keep", "leave_out",
    or "auto": whichever is better on validation."""
    keep: int = field(default=256, metadata={"low": 1, "high": 10_000_000})
    """Weights kept per row of an item-item matrix."""
    ranker: bool = True
    """Train a ranker on top of the blend, if LightGBM is installed (the extra `rank`) and the split is
    temporal or leaves each user's last events out."""
    seed: int = field(default=0, metadata={"low": 0})
    parts: Mapping[str, Mapping[str, Any]] | None = None
    """`[model.parts.NAME]`: hyper-parameters of a blend component that differ from the defaults, or, with
    `kind`, an additional component. A table such as `decay` replaces the default table as a whole."""
    leave_out: tuple[str, ...] = ()
    """Blend components that are not fitted."""
    knowledge: Path | None = None
    """File of categories or items that go together, never go together, or go with everything; see
    docs/knowledge.md. Read when fitting, and stored in the model."""


@dataclass(frozen=True, kw_only=True)
class RulesConfig:
    """`[rules]`"""

    file: Path | None = None
    """Merchandiser's rules: what to hide, pin, boost or keep apart; see docs/rules.md. Read when fitting, and
    stored in the model."""


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
    """Settings for a known data set: its usual split and the defaults, with overrides of `[train]` and
    `[pretrain]`."""
    values: dict[str, Any] = {}
    for key, text in _pairs(overrides):
        if key.strip().split(".")[0] not in ("train", "pretrain"):
            raise ConfigError(
                f"--set {key}: {name} is a known data set, for which only [train] and [pretrain] can be set"
            )
        _put(values, key, text)
    return replace(build(RunConfig, {"data": {"name": name}, **values}, "--set"), split=split)


def load_config(path: str | Path, overrides: Mapping[str, str] | Sequence[str] = ()) -> RunConfig:
    """Reads a TOML file; overrides are `section.key=value` and take precedence.

    Relative paths are resolved against the file's folder. Raises `ConfigError`.
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
            continue  # a new shop: products, but no events yet
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
    """`text` as a path relative to `base` if that is a folder, else unchanged, as a name."""
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
        values[key] = text  # an unquoted word is text, so that the command line needs no quotes
