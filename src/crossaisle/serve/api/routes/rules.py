"""A merchandiser's rules: what is never shown, pinned, boosted, or kept apart."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.responses import Response
from pydantic import BeforeValidator, ConfigDict, Field

from crossaisle.api_types import RulesInForce, StoredRule
from crossaisle.data.knowledge.rules import Direction
from crossaisle.data.merchandising.rules import (
    LARGEST_WEIGHT,
    LAST_PLACE,
    LONGEST,
    MOST_NAMES,
    MOST_RULES,
    Action,
    MerchandisingRule,
    RuleSet,
)
from crossaisle.data.merchandising.shown import shown_rule, shown_rules
from crossaisle.data.query import Placement
from crossaisle.errors import shorten
from crossaisle.serve.api.dependencies import service_of, who_asks
from crossaisle.serve.api.requests.request_body import Checked, read, takes
from crossaisle.serve.api.requests.schemas import Body
from crossaisle.serve.api.responses import answered, as_json
from crossaisle.serve.api.routing import Router
from crossaisle.serve.service import ShopService

router = Router("/api/rules", tags=["rules"], scope="merchandise")
RuleId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
InPath = Annotated[str, Path(min_length=1, max_length=64, examples=["tobacco"])]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST)]
SAID = 300
"""Characters of a rule in the audit log."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[list[Name], Field(max_length=MOST_NAMES), BeforeValidator(_as_list)]


def _day(value: Any) -> Any:
    if value is None or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    raise ValueError("must be a day such as 2026-12-31")


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
Day = Annotated[date, Field(strict=False), BeforeValidator(_day)]


class RulePatch(Body):
    """Fields of a rule. null takes one away."""

    model_config = ConfigDict(
        use_attribute_docstrings=True, json_schema_extra={"examples": [{"until": "2026-12-24"}]}
    )
    action: Action | None = None
    items: Names | None = None
    """Categories, items, or `words:` of the title."""
    beside: Names | None = None
    """The other side of only-with and never-with."""
    direction: Direction | None = None
    position: Annotated[int, Field(ge=1, le=LAST_PLACE)] | None = None
    """Of pin: 1 is the first place."""
    weight: Annotated[float, Field(gt=1, le=LARGEST_WEIGHT)] | None = None
    """Of boost and bury."""
    placements: Annotated[list[Placement], Field(max_length=10)] | None = None
    """Where it holds; everywhere if null or empty."""
    since: Day | None = None
    """The first day (UTC)."""
    until: Day | None = None
    """The last day (UTC)."""
    reason: Annotated[str, Field(max_length=LONGEST)] | None = None

    def fields(self) -> dict[str, Any]:
        """What was sent, with None for what goes."""
        return self.model_dump(exclude_unset=True)


class NewRule(RulePatch):
    """A rule."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"action": "adults-only", "items": ["category:Cigarettes"]}]}
    )
    action: Action
    items: Names

    def rule(self, id: str) -> MerchandisingRule:
        """The rule with an id; `ConfigError`."""
        return MerchandisingRule.of({**self.fields(), "id": id}, f"rule {shorten(id)}")


class NamedRule(NewRule):
    """A rule with its id."""

    id: RuleId


class AllRules(Body):
    """Rules that replace all others."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"rules": [{"id": "coupons", "action": "never", "items": ["words:coupon"]}]}]
        }
    )
    rules: Annotated[list[NamedRule], Field(max_length=MOST_RULES)]


_ALL, _NEW, _PATCH = Checked(AllRules), Checked(NewRule), Checked(RulePatch)
_SHOWN = {
    **{"id": "tobacco", "action": "adults-only", "items": ["category:Cigarettes"], "beside": []},
    **{"direction": "both", "position": None, "weight": None, "placements": [], "since": None, "until": None},
    **{
        "reason": "18 and over",
        "state": "holds",
        "matches": 214,
        "examples": ["Cigarettes, 974246 pk"],
        "notices": [],
    },
}
_LIST = answered(RulesInForce, {"source": "shop", "rules": [_SHOWN]})
_ONE = answered(StoredRule, _SHOWN)


def _in_force(service: ShopService) -> Response:
    shop = service.shop
    source = "model" if service.state.rules is None else "shop"
    return as_json({"source": source, "rules": shown_rules(shop.merchandising.matched, shop.dataset)})


def _one(service: ShopService, rule: str) -> Response:
    shop = service.shop
    shop.rules.get(rule)
    [found] = [one for one in shop.merchandising.matched if one.rule.id == rule]
    return as_json(shown_rule(found, shop.dataset))


@router.get("", responses=_LIST)
async def every(request: Request) -> Response:
    """The rules in force: those of this shop, or, where it has none of its own, those of the model."""
    return _in_force(service_of(request))


@router.put("", openapi_extra=takes(_ALL), responses=_LIST)
async def put_all(request: Request) -> Response:
    """Replaces all rules. When this answers, they hold in every list. If one is refused, nothing changes."""
    service = service_of(request)
    sent = await read(request, _ALL)
    rules = RuleSet(tuple(one.rule(one.id) for one in sent.rules))
    said = f"put {len(rules)} rules: {', '.join(rule.id for rule in rules.rules)}"
    await service.changes.put_rules(lambda _: rules, who_asks(request), said[:SAID])
    return _in_force(service)


@router.delete("", responses=_LIST)
async def delete_all(request: Request) -> Response:
    """Goes back to the rules that the model was saved with."""
    service = service_of(request)
    await service.changes.put_rules(lambda _: None, who_asks(request), "went back to the rules of the model")
    return _in_force(service)


@router.get("/{rule}", responses=_ONE)
async def one(request: Request, rule: InPath) -> Response:
    """A rule, how many items it matches, and some of them."""
    return _one(service_of(request), rule)


@router.put("/{rule}", openapi_extra=takes(_NEW), responses=_ONE)
async def put_one(request: Request, rule: InPath) -> Response:
    """Creates or replaces a rule. When this answers, it holds in every list."""
    service = service_of(request)
    made = (await read(request, _NEW)).rule(rule)
    await service.changes.put_rules(
        lambda rules: rules.with_rule(made), who_asks(request), _said("put", made)
    )
    return _one(service, rule)


@router.patch("/{rule}", openapi_extra=takes(_PATCH), responses=_ONE)
async def patch_one(request: Request, rule: InPath) -> Response:
    """Changes some fields of a rule."""
    service = service_of(request)
    patch = await read(request, _PATCH)
    sent = patch.fields()

    def changed(rules: RuleSet) -> RuleSet:
        return rules.with_rule(rules.get(rule).changed(sent))

    said = f"changed rule {rule}: {_short(patch.model_dump(mode='json', exclude_unset=True))}"
    await service.changes.put_rules(changed, who_asks(request), said)
    return _one(service, rule)


@router.delete("/{rule}", status_code=204)
async def delete_one(request: Request, rule: InPath) -> Response:
    """Deletes a rule."""
    service = service_of(request)
    await service.changes.put_rules(
        lambda rules: rules.without(rule), who_asks(request), f"deleted rule {rule}"
    )
    return Response(status_code=204)


def _said(verb: str, rule: MerchandisingRule) -> str:
    fields = {name: value for name, value in rule.to_dict().items() if name != "id"}
    return f"{verb} rule {rule.id}: {_short(fields)}"


def _short(fields: dict[str, Any]) -> str:
    text = json.dumps(fields, ensure_ascii=False)
    return text if len(text) <= SAID else f"{text[:SAID]}…"
