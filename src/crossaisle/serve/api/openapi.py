"""The OpenAPI document: what FastAPI writes, completed by every way in which the service refuses."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response

from crossaisle.serve.api.responses import as_json
from crossaisle.serve.api.routing import Route
from crossaisle.serve.tenants import NAME

REFUSALS = {
    400: (
        "Several shops are served and none is named",
        "several shops are served here: name yours in the header X-Shop",
    ),
    401: ("An API key is needed", "an API key is needed: Authorization: Bearer KEY"),
    403: (
        "The key lacks a scope, or there is no key and the host is not loopback",
        "this key lacks the scope 'write'",
    ),
    404: ("An item, category, name or shop is unknown", "unknown item 'x1'"),
    405: ("The path does not support this method; `Allow` names those it does", "Method Not Allowed"),
    408: (
        "The body came too slowly",
        "the body came too slowly: at least 10,000 bytes a second",
    ),
    409: (
        "A model is damaged, and the old one still serves; a name is taken; an idempotency "
        "key belongs to another event; the shop is full; or this installation cannot encode "
        "pictures",
        "model-2: titles.npy does not match its checksum",
    ),
    413: ("The body is too large", "the body must not exceed 16,000,000 bytes"),
    415: (
        "The media type of the body is not the one in this document",
        "a body must be sent as application/json (found 'text/plain')",
    ),
    422: (
        "A rule is broken: the detail says which",
        "cross_share must be a number from 0 to 1, or 'auto' (found 'x')",
    ),
    429: ("Too many requests", "more than 200 requests per second"),
    503: (
        "Too much is waiting: try again after `Retry-After` seconds",
        "the store is busy: try again in a moment",
    ),
}
EVERYWHERE = (403, 404, 413, 422, 429, 503)
"""Refusals of every operation; 404 because each may name a shop that is not there."""
TAGS = [
    {"name": "lists", "description": "Recommendations"},
    {"name": "visitor", "description": "One visitor of the shop's pages, with a publishable key"},
    {"name": "events", "description": "What users do"},
    {"name": "items", "description": "The catalogue"},
    {"name": "users", "description": "What is stored about a user"},
    {"name": "rules", "description": "What a merchandiser pins, boosts, or keeps out of lists"},
    {"name": "experiments", "description": "Comparisons of ways to recommend"},
    {"name": "state", "description": "Health, models, metrics"},
]


def install(app: FastAPI, *, shops: int = 0) -> None:
    """Completes the document and serves it. It is built once.

    `shops`: how many there are to choose from by `X-Shop`; 0 where the one there is has no name.
    """
    written, made = app.openapi, dict[str, Any]()

    def complete() -> dict[str, Any]:
        if not made:
            document = written()
            _complete(document)
            if shops:
                _with_shops(document, required=shops > 1)
            made.update(document)
        return made

    async def document() -> Response:
        return as_json(app.openapi())

    app.openapi = complete  # type: ignore[method-assign]
    methods = ["GET", "HEAD"]
    app.routes.append(
        Route("/openapi.json", document, scope="public", methods=methods, include_in_schema=False)
    )


def _complete(document: dict[str, Any]) -> None:
    parts = document.setdefault("components", {})
    parts["responses"] = {f"Problem{status}": _refusal(status) for status in REFUSALS if status != 400}
    parts["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "Needed once an API key exists"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "publishable": {
            "type": "apiKey",
            "in": "query",
            "name": "key",
            "description": (
                "A key with the scope visitor, which anyone may see. It only works for pages of `--origins`"
            ),
        },
    }
    for name in ("HTTPValidationError", "ValidationError"):
        parts.get("schemas", {}).pop(name, None)
    document["tags"] = TAGS
    for methods in document["paths"].values():
        for operation in methods.values():
            answers = operation["responses"]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                parts.setdefault("schemas", {}).update(content["schema"].pop("$defs", {}))
            for status in _refusals_of(operation):
                answers[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}


def _with_shops(document: dict[str, Any], *, required: bool) -> None:
    """Adds the header that names the shop, and the answer where it is missing."""
    document["components"]["responses"]["Problem400"] = _refusal(400)
    for name in (True, False):
        document["components"].setdefault("parameters", {})["Shop" if name else "ShopOrNone"] = {
            "name": "X-Shop",
            "in": "header",
            "required": required and name,
            "schema": {"type": "string", "pattern": f"^{NAME.pattern}$"},
            "example": "north",
            "description": "Which shop: each has its own data, keys and models, and a key opens only one. "
            "Required where more than one is served.",
        }
    for methods in document["paths"].values():
        for operation in methods.values():
            which = "Shop" if "security" in operation else "ShopOrNone"
            operation.setdefault("parameters", []).append({"$ref": f"#/components/parameters/{which}"})
            for status in (400,) if which == "Shop" else (401,):
                found = {"$ref": f"#/components/responses/Problem{status}"}
                operation["responses"].setdefault(str(status), found)


def _refusals_of(operation: dict[str, Any]) -> list[int]:
    """Statuses with which an operation refuses: those its route declares, and those that middlewares add."""
    found = {*EVERYWHERE, *(int(status) for status in operation["responses"] if int(status) >= 400)}
    if "security" in operation:
        found.add(401)
    if "requestBody" in operation:
        found |= {408, 415}
    return sorted(found)


def _refusal(status: int) -> dict[str, Any]:
    description, detail = REFUSALS[status]
    example = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    answer: dict[str, Any] = {"description": description, "content": {"application/problem+json": content}}
    if status in (429, 503):
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return answer
