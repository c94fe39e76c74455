"""Requests for lists over HTTP, as bodies and as query parameters. Their controls come from `Query`.

This module adds what only a service needs: limits on the size of one request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_origin

from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from crossaisle.data.query import (
    CONTROLS,
    NOT_RANKED,
    NOT_TAKEN,
    RANKED,
    ControlField,
    CrossShare,
    Placement,
    Query,
)
from crossaisle.data.text.query_text import quotas_of, share_of
from crossaisle.errors import ConfigError
from crossaisle.recommend.rank import rank_query
from crossaisle.serve.api.requests.schemas import Body, Id, Level, at_most

B = TypeVar("B", bound=Body)
EXPLAINED = 20
"""Places of a list that are explained at once: each takes milliseconds, tens of them for a long history."""
MOST_QUOTAS = 100
MOST_RANKED = 1000
"""Items of a list that is ranked at once."""
LIMITS: dict[str, dict[str, Any]] = {
    "n": {"le": 100},
    "offset": {"le": 1000},
    "include_categories": {"max_length": 100},
    "exclude_categories": {"max_length": 100},
    "include_items": {"max_length": 1000},
    "exclude_items": {"max_length": 1000},
    "quotas": {"max_length": MOST_QUOTAS},
    "min_price": {"lt": 1e12, "allow_inf_nan": False},
    "max_price": {"lt": 1e12, "allow_inf_nan": False},
}
"""What one request may ask for, beyond the rules of `Query`: arguments of pydantic's `Field`."""
_URL_LIMITS: dict[str, dict[str, Any]] = {
    "include_items": {"max_length": 100},
    "exclude_items": {"max_length": 100},
}
"""A URL is shorter than a body."""


def with_controls(*names: str, defaults: Mapping[str, Any] = {}) -> Callable[[type[B]], type[B]]:
    """Class decorator: adds these controls (all, if none is named) to the model of a body.

    `defaults`: of those that have others here than in `Query`.
    """
    types = {name: _json_type(one) for name, one in CONTROLS.items()}
    return lambda model: _extended(model, names or tuple(CONTROLS), types, LIMITS, defaults)


def with_parameters(*names: str) -> Callable[[type[B]], type[B]]:
    """The same for a model of query parameters, whose values are text."""
    types = {name: _FROM_TEXT.get(name) or _json_type(one) for name, one in CONTROLS.items()}
    return lambda model: _extended(model, names or tuple(CONTROLS), types, LIMITS | _URL_LIMITS)


def _extended(
    model: type[B],
    names: tuple[str, ...],
    types: Mapping[str, Any],
    limits: Mapping[str, Mapping[str, Any]],
    defaults: Mapping[str, Any] = {},
) -> type[B]:
    added: dict[str, Any] = {}
    for name in names:
        declared, rules = CONTROLS[name], limits.get(name, {})
        if types[name] == declared.type:  # any other type has the bounds inside
            rules = {"ge": declared.control.minimum, "le": declared.control.maximum, **rules}
        default = [] if get_origin(types[name]) is list else defaults.get(name, declared.default)
        added[name] = types[name], Field(default=default, description=declared.control.help, **rules)
    extended: type[B] = create_model(
        model.__name__, __base__=model, __module__=model.__module__, __doc__=model.__doc__, **added
    )
    return extended


def _json_type(declared: ControlField) -> Any:
    """The type of a control in JSON."""
    control = declared.control
    if control.names is not None:
        return list[Level] if control.names == "category" else list[Id]
    if declared.type == Mapping[str, int]:
        return Annotated[
            dict[Level, Annotated[int, Field(ge=control.minimum, le=control.maximum)]], at_most(MOST_QUOTAS)
        ]
    if declared.type == CrossShare | None:
        # Bounds within a union would make two errors of one; `Query` checks them and says it better.
        bounded = {"type": "number", "minimum": control.minimum, "maximum": control.maximum}
        number = Annotated[float, WithJsonSchema(bounded)]
        return Annotated[number | Literal["auto"] | None, BeforeValidator(_no_text)]
    return declared.type


def _no_text(value: Any) -> Any:
    if isinstance(value, str) and value != "auto":
        raise PydanticCustomError("cross_share", "must be a number from 0 to 1, or 'auto'")
    return value


def _share(value: Any) -> Any:
    return share_of(value) if isinstance(value, str) else value


_FROM_TEXT: dict[str, Any] = {
    "cross_share": Annotated[_json_type(CONTROLS["cross_share"]), BeforeValidator(_share)],
    "quotas": list[Annotated[str, Field(max_length=220, examples=["Dairy=2"])]],
}


class ListModel(Body):
    """Base of the models whose fields are those of a `Query`."""

    def query(self, **more: Any) -> Query:
        """The query. `more`: fields that the model does not have. `ConfigError` if fields contradict
        each other.
        """
        given = {name: _value(name, getattr(self, name)) for name in type(self).model_fields}
        query = Query(**given, **more)
        if query.explain and query.n > EXPLAINED:
            rule = f"n must be at most {EXPLAINED} with explain (found {query.n}): use offset for the rest"
            raise ConfigError(rule)
        return query


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return quotas_of(value) if name == "quotas" else tuple(value)
    return value


@with_controls()
class ListRequest(ListModel):
    """A request for a list. A session (`history`) or a cart (`items`) may take the place of a user."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"placement": "goes_with", "items": ["834103"], "n": 5}]}
    )
    placement: Placement = "for_you"
    user: Id | None = None
    history: Annotated[list[Id], Field(max_length=1000)] | None = None
    """A session: item ids, oldest first."""
    items: Annotated[list[Id], Field(max_length=100, default_factory=list)]
    """The item in view or the cart, for `goes_with` and `similar`."""


@with_controls(*(name for name in CONTROLS if name not in NOT_RANKED), defaults=RANKED)
class RankRequest(ListModel):
    """A list that another system found, to be ranked for a user, a session (`history`) or items in view."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user": "1609", "items": ["1082185", "834103", "866211"]}]}
    )
    items: Annotated[list[Id], Field(min_length=1, max_length=MOST_RANKED)]
    """What is to be ranked, in any order."""
    placement: Placement = "for_you"
    """What it is ranked for; a placement leaves out what does not fit it."""
    user: Id | None = None
    history: Annotated[list[Id], Field(max_length=1000)] | None = None
    """A session: item ids, oldest first."""
    in_view: Annotated[list[Id], Field(max_length=100, default_factory=list)]
    """The item in view or the cart, for `goes_with` and `similar`."""

    def query(self, **more: Any) -> Query:
        """The query that ranks the items; `ConfigError` if fields contradict each other."""
        given = {name: _value(name, getattr(self, name)) for name in type(self).model_fields}
        items, in_view = given.pop("items"), given.pop("in_view")
        if given["explain"] and len(items) > EXPLAINED:
            raise ConfigError(f"items must be at most {EXPLAINED} with explain (found {len(items)})")
        return rank_query(items, items=tuple(in_view or ()), **given, **more)


class ListParameters(ListModel):
    """Base of the models of query parameters, which are remembered: one query string, many users or items."""

    model_config = ConfigDict(strict=False)
    called: ClassVar[str] = "parameter"
    _first: tuple[object, Query] | None = PrivateAttr(default=None)
    """What a route asked for, and the query that was checked."""

    def query(self, **more: Any) -> Query:
        """As `ListModel.query`, which checks the first time what all ids of a route have in common."""
        asked, first = (more.get("placement"), tuple(more)), self._first
        if first is not None and first[0] == asked:
            return first[1].about(**more)
        made = super().query(**more)
        if made.user is None or "user" in more:
            self._first = asked, made.about(**dict.fromkeys(more))
        return made


@with_parameters()
class UserParameters(ListParameters):
    """Query parameters of a user's list."""

    placement: Literal["for_you", "discover", "buy_again", "trending"] = "for_you"


@with_parameters()
class ItemParameters(ListParameters):
    """Query parameters of a list for the item in view."""

    user: Annotated[Id | None, Field(description="Whose history counts as seen")] = None


@with_parameters(*(name for name in CONTROLS if name not in NOT_TAKEN["trending"]))
class TrendingParameters(ListParameters):
    """Query parameters of what is popular: all controls that need no user."""
