from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from crossaisle.config import load_config
from crossaisle.errors import ConfigError

FULL = """
[data]
name = "corner shop"
category_separator = "/"
category_level = "aisle"
min_users_per_item = 5
exclude_categories = ["Fuel"]

[data.items]
path = "items.csv"
columns = { item_id = "sku", categories = ["department", "aisle"], attributes = ["colour"] }

[data.events]
url = "https://example.org/events.parquet"
sha256 = "00"
columns = { user_id = "customer", time = "when" }

[data.users]
hub = "someone/shop"
file = "users.jsonl"

[split]
validation = 2024-10-01
test = 0.2

[evaluate]
k = [5, 10]

[model]
encoder = "none"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "shop.toml"
    path.write_text(text)
    return path


def test_everything_a_file_can_say(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, FULL))
    assert config.data.items is not None
    assert config.data.items.path == tmp_path / "items.csv"
    assert config.data.items.columns.categories == ("department", "aisle")
    assert config.data.events.columns.user_id == "customer"
    assert config.data.users is not None
    assert config.data.users.hub == "someone/shop"
    assert config.split.validation == date(2024, 10, 1)
    assert config.split.test == 0.2
    assert config.evaluate.k == (5, 10)
    assert config.evaluate.bootstrap == 1000


def test_overrides_win_and_are_typed(tmp_path: Path) -> None:
    path = write(tmp_path, FULL)
    config = load_config(path, ["evaluate.k=[3]", "data.name=other", "split.test=2024-12-01", "model.keep=7"])
    assert config.evaluate.k == (3,)
    assert config.data.name == "other"
    assert config.split.test == date(2024, 12, 1)
    assert config.model.keep == 7
    assert load_config(path, {"model.seed": "3"}).model.seed == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "c', 'nam = "c', r"shop\.toml, \[data\]: unknown key 'nam' \(did you mean 'name'\?\)"),
        (
            'user_id = "customer"',
            'usr_id = "customer"',
            r"\[data\.events\.columns\]: unknown key 'usr_id' \(did you mean 'user_id'\?\)",
        ),
        (
            "min_users_per_item = 5",
            "min_users_per_item = -1",
            r"\[data\]: min_users_per_item: must be at least 0",
        ),
        ("min_users_per_item = 5", "min_users_per_item = true", r"must be a whole number \(found True\)"),
        ("test = 0.2", "test = 1.5", r"\[split\]: test: must be at least 0\.0 and at most 0\.9"),
        ("test = 0.2", "test = 'soon'", r"\[split\]: test: must be a number or a day"),
        ("k = [5, 10]", "k = [0]", r"\[evaluate\]: k: must be at least 1"),
        ("k = [5, 10]", "k = 10", r"\[evaluate\]: k: must be a list"),
        (
            "[split]",
            "[split]\nprotocol = 'temporl'",
            r"unknown value 'temporl' \(did you mean 'temporal'\?\)",
        ),
        ("[split]", "[splits]", r"unknown key 'splits' \(did you mean 'split'\?\)"),
        ('sha256 = "00"', "", r"\[data\.events\]: url needs sha256"),
        ('path = "items.csv"', "", r"\[data\.items\]: give path, url or hub"),
        ('path = "items.csv"', 'path = "a"\nhub = "b/c"', r"give one of path, url and hub"),
        ('file = "users.jsonl"', "", r"hub needs file"),
        (
            '"none"',
            '"no such folder"',
            r"\[model\]: encoder must be 'auto', 'minilm', 'use-multilingual', 'none', a folder or ",
        ),
        ("[model]", "[model", r"not TOML"),
        ('category_level = "aisle"', 'time_unit = "minutes"', r"\[data\]: time_unit must be"),
    ],
)
def test_a_mistake_names_file_section_key_and_rule(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, FULL.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_tables_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"give \[data\.items\], \[data\.events\] or both"):
        load_config(write(tmp_path, "[data]\nname = 'x'"))
    with pytest.raises(ConfigError, match=r"section \[data\] is missing"):
        load_config(write(tmp_path, ""))
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "absent.toml")
    (tmp_path / "items.csv").write_text("id,title")
    with pytest.raises(ConfigError, match=r"items\.csv: holds data, not settings; crossaisle init "):
        load_config(tmp_path / "items.csv")


def test_overrides_need_a_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        load_config(write(tmp_path, FULL), ["data.name"])
    with pytest.raises(ConfigError, match="'name' is a value, not a section"):
        load_config(write(tmp_path, FULL), ["data.name.x=1"])


def test_an_encoder_folder_is_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    config = load_config(write(tmp_path, FULL.replace('"none"', '"mine"')))
    assert config.model.encoder == str(tmp_path / "mine")
