"""Routes that declare the scope a key needs for them, and the table in which it is looked up."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from crossaisle.api_types import Problem
from crossaisle.errors import DataError
from crossaisle.serve.api.access import KEYED, RouteScope
from crossaisle.serve.api.context import context_of
from crossaisle.serve.api.remembered import Remembered
from crossaisle.serve.api.requests.query_names import check_names, check_once, lists_of, parameters_of
from crossaisle.serve.api.requests.request_body import limits_of

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
READING = frozenset({"GET", "HEAD"})
API = "/api/"
VISITOR = "/api/visitor"
"""Where pages of the shop may ask; the only part of the API that takes keys in the query."""
_STRICTNESS = ("public", "health", "visitor", "read", "write", "merchandise", "admin")
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}, {}]
"""Of the OpenAPI document: a key in one header or the other, or none while no key was made."""


class Route(APIRoute):
    """A route with its scope. It decodes ids, and answers only what was let in for it."""

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, scope: RouteScope | None = None, **settings: Any
    ) -> None:
        self.scope = scope
        self.remembered: Remembered | None = None
        """What its query strings come to."""
        if scope in KEYED:
            extra = settings.get("openapi_extra") or {}
            security = [{"publishable": []}, *_SECURITY] if scope == "visitor" else _SECURITY
            settings["openapi_extra"] = {"security": security, **extra}
        super().__init__(path, endpoint, **settings)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        known, lists = parameters_of(self), lists_of(self)
        self.remembered = Remembered.of(self)
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if context_of(request.scope).route is not self:
                raise RuntimeError(f"{self.path}: the scope of another route was checked; this is a bug")
            query = request.scope["query_string"]
            most = limits_of(request).query_parameters
            if query.count(b"&") >= most:
                raise DataError(f"a query has at most {most} parameters")
            if b"%" in query:
                _text(query, "the query")
            if known is not None:
                check_names(request, known)
            if b"&" in query:
                check_once(request, lists)
            params = request.scope["path_params"]
            if any("%" in value for value in params.values()):
                request.scope["path_params"] = {
                    name: _text(value, "the path") for name, value in params.items()
                }
            return await handle(request)

        return checked


def _text(written: str | bytes, what: str) -> str:
    try:
        return unquote_to_bytes(written).decode()
    except UnicodeDecodeError:
        raise DataError(f"{what} must be percent-encoded UTF-8 (%XX)") from None


class Router:
    """Routes below one prefix. They are built when they are declared, not at the first request."""

    def __init__(self, prefix: str = "", *, tags: Sequence[str], scope: RouteScope | None = None) -> None:
        """`scope`: of routes that declare none of their own."""
        self.prefix, self.tags, self.scope = prefix, list(tags), scope
        self.routes: list[Route] = []

    def get(self, path: str, **settings: Any) -> Callable[[Endpoint], Endpoint]:
        """Declares a route for GET. `settings`: `scope`, and those of FastAPI's `APIRoute`."""
        return self._declare("GET", path, **settings)

    def post(self, path: str, **settings: Any) -> Callable[[Endpoint], Endpoint]:
        """The same for POST."""
        return self._declare("POST", path, **settings)

    def put(self, path: str, **settings: Any) -> Callable[[Endpoint], Endpoint]:
        """The same for PUT."""
        return self._declare("PUT", path, **settings)

    def patch(self, path: str, **settings: Any) -> Callable[[Endpoint], Endpoint]:
        """The same for PATCH."""
        return self._declare("PATCH", path, **settings)

    def delete(self, path: str, **settings: Any) -> Callable[[Endpoint], Endpoint]:
        """The same for DELETE."""
        return self._declare("DELETE", path, **settings)

    def _declare(
        self,
        method: str,
        path: str,
        *,
        scope: RouteScope | None = None,
        responses: dict[int | str, dict[str, Any]] | None = None,
        response_class: type[Response] = Response,
        **settings: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        def declare(endpoint: Endpoint) -> Endpoint:
            route = Route(
                self.prefix + path,
                endpoint,
                scope=scope or self.scope,
                methods=[method],
                tags=self.tags,
                responses={422: {"model": Problem}, **(responses or {})},
                response_class=response_class,
                **settings,
            )
            self.routes.append(route)
            return endpoint

        return declare


class RouteTable:
    """Finds the route and the scope of a request before anything else is done for it."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        """`routes`: in the order in which the application tries them. `TypeError` where one has no scope."""
        every = [_checked(route) for route in routes]
        self._patterns = [route for route in every if route.param_convertors]
        self._by_path = {
            route.path: [one for one in every if one.path_regex.match(route.path)]
            for route in every
            if not route.param_convertors
        }
        self._beside: dict[tuple[str, bool], RouteScope] = {}
        for route in every:
            for reading in {False, "GET" in (route.methods or ())}:
                place = _section(route.path), reading
                self._beside[place] = min(self._beside.get(place, "admin"), _scope(route), key=_strictness)

    def find(self, method: str, path: str) -> tuple[Route | None, RouteScope]:
        """The route that will answer, if any, and the scope that the request needs either way."""
        for route in self._by_path.get(path, self._patterns):
            if method in (route.methods or ()) and route.path_regex.match(path):
                return route, _scope(route)
        return None, self._unanswered(path, method in READING)

    def _unanswered(self, path: str, reading: bool) -> RouteScope:
        """What a request needs that no route answers: as much as those around it.

        A key that lacks the scope for a part of the API does not learn which paths that part has.
        """
        least: RouteScope = "public"
        if path.startswith(API):
            least = "read" if reading else "write"
        beside = self._beside.get((_section(path), reading))
        if beside is None:
            return least
        return beside if beside not in KEYED else max(beside, least, key=_strictness)


def _checked(route: BaseRoute) -> Route:
    if not isinstance(route, Route) or route.scope is None:
        methods = " ".join(sorted(getattr(route, "methods", None) or ()))
        raise TypeError(
            f"route {methods} {getattr(route, 'path', route)} declares no scope: give scope=... to it or to "
            f"its router (one of {', '.join(_STRICTNESS)})"
        )
    return route


def _scope(route: Route) -> RouteScope:
    assert route.scope is not None
    return route.scope


def _section(path: str) -> str:
    """A part of the API, such as `/api/users`. Elsewhere every path stands for itself."""
    return "/".join(path.split("/", 3)[:3]) if path.startswith(API) else path


def _strictness(scope: RouteScope) -> int:
    return _STRICTNESS.index(scope)
