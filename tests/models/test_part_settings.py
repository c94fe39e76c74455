"""`[model.parts]` and `leave_out`: what a configuration changes about the parts, and what it may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from crossaisle.config import ModelConfig
from crossaisle.data.history import Decay
from crossaisle.decode import build
from crossaisle.errors import ConfigError
from crossaisle.models.defaults import default_parts, with_settings
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.linear import EASE, SLIT
from tests.models.shops import tiny_shop

PARTS = {"slit": SLIT(keep=7), "item_knn": ItemKNN()}


def test_settings_change_what_they_name_and_nothing_else() -> None:
    made = with_settings(PARTS, {"slit": {"ridge": 30, "decay": {"half_life_days": 9.0}}})
    assert made["slit"] == SLIT(keep=7, ridge=30.0, decay=Decay(half_life_days=9.0))
    assert made["item_knn"] is PARTS["item_knn"]
    assert list(made) == list(PARTS)


def test_a_further_part_and_one_left_out() -> None:
    made = with_settings(PARTS, {"linear": {"kind": "ease", "ridge": 5.0}}, ["item_knn"])
    assert made == {"slit": PARTS["slit"], "linear": EASE(ridge=5.0)}


def test_a_part_of_another_kind_starts_from_that_kinds_defaults() -> None:
    assert with_settings(PARTS, {"slit": {"kind": "ease"}})["slit"] == EASE()


def test_the_default_parts_take_them() -> None:
    parts = default_parts(
        tiny_shop(), encoder="none", settings={"popularity": {"half_life_days": 3.0}}, leave_out=("tfidf",)
    )
    assert "tfidf" not in parts
    assert parts["popularity"].settings()["half_life_days"] == 3.0


@pytest.mark.parametrize(
    ("settings", "leave_out", "message"),
    [
        ({"slid": {"ridge": 3.0}}, (), r"\[model.parts.slid\]: not a part .*did you mean 'slit'"),
        (
            {"slit": {"rigde": 3.0}},
            (),
            r"\[model.parts.slit\]: unknown setting 'rigde' \(did you mean",
        ),
        ({"slit": {"ridge": "much"}}, (), r"\[model.parts.slit\]: ridge: must be a number"),
        ({"slit": {"decay": {"evens": 3.0}}}, (), r"\[model.parts.slit.decay\]: unknown .* mean 'events'"),
        ({"more": {"kind": "eas"}}, (), r"\[model.parts.more\]: unknown kind 'eas' \(did you mean 'ease'"),
        ({"My part": {"kind": "ease"}}, (), "lower-case letters"),
        ({}, ("slitt",), "leave_out names 'slitt', which is not a part of this shop .*did you mean 'slit'"),
        ({}, ("slit", "item_knn"), "removes every part"),
    ],
)
def test_what_is_wrong_is_named(
    settings: Mapping[str, Mapping[str, Any]], leave_out: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        with_settings(PARTS, settings, leave_out)


def test_they_are_read_from_a_table() -> None:
    config = build(ModelConfig, {"parts": {"slit": {"ridge": 3}}, "leave_out": ["tfidf"]}, "[model]")
    assert config.parts == {"slit": {"ridge": 3}}
    with pytest.raises(ConfigError, match=r"\[model.parts.slit\]: must be a table \(found 3\)"):
        build(ModelConfig, {"parts": {"slit": 3}}, "[model]")


def test_popularity_stays_for_whoever_has_no_history() -> None:
    with pytest.raises(ConfigError, match="must not name popularity: users without a history need it"):
        default_parts(tiny_shop(), encoder="none", leave_out=("popularity",))
    other = {"sold": {"kind": "popularity"}}
    assert "sold" in default_parts(tiny_shop(), encoder="none", settings=other, leave_out=("popularity",))
