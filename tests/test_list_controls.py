"""Every surface has the controls of `Query`, under the same names, with the same defaults and bounds."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.main import get_command

pytest.importorskip("fastapi", reason="needs pip install 'crossaisle[serve]'")
from fastapi import FastAPI

from crossaisle import Query
from crossaisle.cli.app import app as commands
from crossaisle.client import Client
from crossaisle.data.query import (
    CONTROLS,
    NOT_RANKED,
    NOT_TAKEN,
    PLACEMENTS,
    RANKED,
    Placement,
    QueryControls,
)
from crossaisle.data.query_types import as_declared
from crossaisle.data.text.query_text import OTHER_NAMES, hint_of
from crossaisle.errors import ConfigError
from crossaisle.serve.api.requests.list_schemas import LIMITS, ListRequest, RankRequest, UserParameters
from crossaisle.serve.api.routes import experiments, lists
from crossaisle.serve.api.routes.experiments import NewControls
from crossaisle.serve.experiments.design import ARM_CONTROLS, Arm, Controls

SUBJECT = {"placement", "user", "history", "items", "page"}
"""Fields of a `Query` that say what is asked about."""
ENDPOINTS = {
    "/api/recommend/{user}": set(CONTROLS),
    "/api/items/{item}/goes-with": set(CONTROLS),
    "/api/items/{item}/similar": set(CONTROLS),
    "/api/trending": set(CONTROLS) - {"cross_share", "calibration", "exclude_seen"},
}


@dataclass(frozen=True)
class Rules:
    default: Any
    minimum: float | None
    maximum: float | None


def differences(found: Mapping[str, Rules], names: set[str]) -> list[str]:
    """What a surface has other than `Query`. A service's own limit may lie below the maximum."""
    out = [f"{name}: missing" for name in names - set(found)]
    out += [f"{name}: not in Query" for name in set(found) - names]
    for name in names & set(found):
        declared = CONTROLS[name]
        limits = LIMITS.get(name, {})
        maximum = limits.get("le", limits.get("lt", declared.control.maximum))
        default = list(declared.default) if declared.default == () else declared.default
        expected = Rules(default, declared.control.minimum, maximum)
        if found[name] != expected:
            out.append(f"{name}: {found[name]}, not {expected}")
    return sorted(out)


def rules_of(schema: Mapping[str, Any]) -> Rules:
    """Of a JSON schema; bounds may stand in one of its parts."""
    inner = [schema, *schema.get("anyOf", ()), schema.get("additionalProperties", {})]
    low, high = ([part[key] for part in inner for key in keys if key in part] for keys in (LOW, HIGH))
    return Rules(schema.get("default"), *(bound[0] if bound else None for bound in (low, high)))


LOW, HIGH = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return FastAPI(routes=[*lists.router.routes, *experiments.router.routes]).openapi()


def parameters(document: Mapping[str, Any], path: str) -> dict[str, Rules]:
    found = document["paths"][path]["get"]["parameters"]
    return {p["name"]: rules_of(p["schema"]) for p in found if p["name"] in CONTROLS or p["in"] == "query"}


def test_query_is_made_of_its_subject_and_controls() -> None:
    assert {one.name for one in fields(Query)} == SUBJECT | set(CONTROLS)
    for name, declared in CONTROLS.items():
        assert declared.control.help.endswith("."), name
        assert getattr(Query(), name) == declared.default


@pytest.mark.parametrize("path", ENDPOINTS)
def test_query_parameters(document: dict[str, Any], path: str) -> None:
    found = {n: one for n, one in parameters(document, path).items() if n not in SUBJECT}
    assert found.pop("quotas") == Rules([], None, None)  # texts such as Dairy=2; `Query` checks the bounds
    found["quotas"] = Rules({}, 0, None)
    assert differences(found, ENDPOINTS[path]) == []


def test_the_body_of_a_request() -> None:
    schema = ListRequest.model_json_schema()
    found = {name: rules_of(one) for name, one in schema["properties"].items() if name not in SUBJECT}
    assert differences(found, set(CONTROLS)) == []
    assert set(schema["properties"]) == SUBJECT - {"page"} | set(CONTROLS)
    assert ListRequest().query() == Query()


def test_the_body_that_ranks_a_list_leaves_nothing_out_unless_asked() -> None:
    properties = RankRequest.model_json_schema()["properties"]
    found = {name: rules_of(one) for name, one in properties.items() if name in CONTROLS}
    free = {name: one for name, one in found.items() if name not in RANKED}
    assert differences(free, set(CONTROLS) - set(NOT_RANKED) - set(RANKED)) == []
    assert {name: found[name].default for name in RANKED} == dict(RANKED)
    assert set(properties) - set(found) == {"items", "placement", "user", "history", "in_view"}
    expected = Query(n=2, include_items=("b", "a"), user="u", placement="similar", items=("v",), **RANKED)
    asked = RankRequest(items=["b", "a", "b"], user="u", placement="similar", in_view=["v"])
    assert asked.query() == expected


def test_the_arms_of_experiments() -> None:
    assert {one.name for one in fields(Controls)} == set(ARM_CONTROLS)
    for one in fields(Controls):
        assert get_type_hints(Controls)[one.name] == CONTROLS[one.name].type
        assert one.default is CONTROLS[one.name].default is None  # else silence could not be told from it
    found = {name: rules_of(one) for name, one in NewControls.model_json_schema()["properties"].items()}
    assert differences(found, set(ARM_CONTROLS)) == []


@pytest.mark.parametrize("command", ["recommend", "goes-with", "similar"])
def test_the_command_line(command: str) -> None:
    names = {one.name: one for one in get_command(commands).commands[command].params}  # type: ignore[attr-defined]
    assert set(names) - {"model", "user", "history", "item", "placement", "rules", "as_json"} == set(CONTROLS)
    for name in CONTROLS:
        option = "--" + name.replace("_", "-")
        assert option in names[name].opts
        switch = CONTROLS[name].type in (bool, bool | None)
        assert names[name].secondary_opts == ([f"--no-{option[2:]}"] if switch else [])
        assert names[name].default is None  # what is not given is left to `Query`


def test_the_command_that_ranks_a_list() -> None:
    params = get_command(commands).commands["rank"].params  # type: ignore[attr-defined]
    own = {"model", "user", "history", "item", "items", "rules", "as_json"}
    assert {one.name for one in params} - own == set(CONTROLS) - set(NOT_RANKED)
    helped = {one.name: one.help for one in params}
    assert "[default: yes]" not in helped["in_stock"]


def test_the_client() -> None:
    hints = get_type_hints(QueryControls)
    assert list(hints) == list(CONTROLS)
    for name, declared in CONTROLS.items():
        expected = Sequence[str] if declared.control.names else declared.type
        assert hints[name] == expected, name
    for method in (Client.recommend, Client.goes_with, Client.similar, Client.trending, Client.rank):
        assert inspect.signature(method).parameters["controls"].annotation == "Unpack[QueryControls]"


@pytest.mark.parametrize(
    ("planted", "says"),
    [
        ({"share": Rules(None, 0, 1)}, "share: not in Query"),
        ({"n": Rules(20, 1, 100)}, "n: Rules(default=20"),
        ({"quota": Rules(None, 0, None)}, "quota: Rules(default=None, minimum=0"),
        ({"diversity": Rules(0.0, 0, 1)}, "diversity: Rules(default=0.0"),
        ({"in_stock": None}, "in_stock: missing"),
    ],
)
def test_a_planted_difference_is_found(planted: dict[str, Rules | None], says: str) -> None:
    schema = ListRequest.model_json_schema()
    found = {name: rules_of(one) for name, one in schema["properties"].items() if name not in SUBJECT}
    wrong = {name: one for name, one in (found | planted).items() if one is not None}
    (message,) = differences(wrong, set(CONTROLS))
    assert message.startswith(says)


def out_of_range() -> Iterator[tuple[str, float]]:
    for name, declared in CONTROLS.items():
        if declared.control.minimum is not None and name != "quotas":
            yield name, declared.control.minimum - 1
        if declared.control.maximum is not None:
            yield name, declared.control.maximum + 1


@pytest.mark.parametrize(("name", "value"), [*out_of_range()])
def test_query_holds_to_its_bounds(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} must (be at least|lie between)"):
        replace(Query(), **{name: value})


def test_wrong_names_lead_to_the_right_ones() -> None:
    assert set(OTHER_NAMES.values()) <= set(CONTROLS)
    assert not set(OTHER_NAMES) & set(CONTROLS)
    assert hint_of("share", CONTROLS) == " (did you mean 'cross_share'?)"
    assert hint_of("exclude_item", CONTROLS) == " (did you mean 'exclude_items'?)"
    assert hint_of("x" * 33, CONTROLS) == ""


def test_the_documentation_names_them_all() -> None:
    page = (Path(__file__).parent.parent / "docs" / "python.md").read_text()
    table = page.partition("## Controls\n")[2].partition("<!-- test -->")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(CONTROLS)


def test_values_reach_the_query() -> None:
    values = {
        **{"n": 3, "offset": 2, "cross_share": "auto", "quota": 2, "quotas": {"Dairy": 0}, "explain": True},
        **{"include_categories": ("Dairy", "Pantry"), "exclude_categories": ("Milk",)},
        **{"include_items": ("a", "b"), "exclude_items": ("b",), "in_stock": False, "exclude_seen": False},
        **{"min_price": 1.0, "max_price": 2.0, "diversity": 0.5},
        **{"one_per_title": False, "max_per_brand": 2, "diversify_by": "dpp", "calibration": 0.0},
        "adult": True,
        "habits": False,
    }
    assert set(values) == set(CONTROLS)
    expected = Query(user="ann", **values)  # type: ignore[arg-type]
    sent = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    assert ListRequest.model_validate(sent | {"user": "ann"}).query() == expected
    texts = sent | {"quotas": ["Dairy=0"], "cross_share": "auto", "n": "3", "in_stock": "false"}
    assert UserParameters.model_validate(texts).query(user="ann") == expected


@pytest.mark.parametrize(
    ("controls", "says"),
    [
        ({"exclude_items": "milk0"}, "exclude_items must be a list of texts (found 'milk0')"),
        ({"include_categories": "Dairy"}, "include_categories must be a list of texts (found 'Dairy')"),
        ({"n": 1.5}, "n must be a whole number (found 1.5)"),
        ({"offset": "2"}, "offset must be a whole number (found '2')"),
        ({"max_price": "cheap"}, "max_price must be a number (found 'cheap')"),
    ],
)
def test_controls_of_the_wrong_type_are_refused(controls: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        Query(**controls)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["auto", "mmr", "dpp", *PLACEMENTS]),
    st.lists(st.one_of(st.text(max_size=3), st.integers()), max_size=3),
    st.dictionaries(
        st.one_of(st.text(max_size=3), st.integers()), st.one_of(st.integers(), st.text(max_size=3))
    ),
    st.sampled_from(
        [np.int64(3), np.float32(0.5), np.nan, object(), b"a", 10**40, 1j, Decimal(1), {"a"}, ("a",)]
    ),
)


@given(st.dictionaries(st.sampled_from([one.name for one in fields(Query)]), VALUES, max_size=3))
@example({"diversity": "auto"})
@example({"min_price": "auto"})
@example({"calibration": ["a"]})
@example({"quotas": {"Dairy": None}})
@example({"n": True})
def test_a_query_is_made_or_refused_in_one_line(given_fields: dict[str, Any]) -> None:
    try:
        made = Query(**given_fields)
    except ConfigError as error:
        message = str(error)
    else:
        assert replace(made) == made
        for name, kind in get_type_hints(Query).items():
            assert as_declared(name, kind, getattr(made, name)) == getattr(made, name)
        return
    assert "\n" not in message
    assert any(message.startswith(name) or name in message for name in given_fields)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("user", [None, "u"])
def test_what_a_placement_does_not_take_is_refused(placement: Placement, user: str | None) -> None:
    values: dict[str, Any] = {"cross_share": 0.5, "calibration": 0.5, "exclude_seen": False}
    items = ("a",) if placement in ("goes_with", "similar") else ()
    refused = set(NOT_TAKEN.get(placement, ())) if placement != "trending" or user is None else set()
    for name, value in values.items():
        if name not in refused:
            Query(placement=placement, user=user, items=items, **{name: value})
            continue
        with pytest.raises(ConfigError, match=rf"^{placement} takes no {name}, because .*: leave it out$"):
            Query(placement=placement, user=user, items=items, **{name: value})
    Query(placement=placement, user=user, items=items, calibration=0.0)  # none, said aloud


def test_arms_set_what_the_placement_takes() -> None:
    arm = Arm(name="a", controls=Controls(cross_share=0.5, diversity=0.3))
    made = arm.query(Query(placement="discover", user="u"))
    assert (made.cross_share, made.diversity) == (None, 0.3)
    body = {
        **{"name": "e", "placement": "discover"},
        "arms": [{"name": "a"}, {"name": "b", "controls": {"cross_share": 0.5}}],
    }
    with pytest.raises(ConfigError, match="discover takes no cross_share"):
        experiments.NewExperiment.model_validate(body).experiment(0.0)
