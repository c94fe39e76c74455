"""`Remembered`: query strings that were checked before, so that most requests need no validation.

FastAPI looks at each parameter of a list for every request, which takes longer than all else that a kept list
needs. What a query string comes to never changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import Any, get_type_hints

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError

from crossaisle.serve.limits.api import DEFAULT


class Remembered:
    """Of one route that takes ids of its path and a model of query parameters."""

    def __init__(self, parameters: str, ids: dict[str, TypeAdapter[str]]) -> None:
        """`parameters`: name of the model's argument. `ids`: what each id of the path has to be."""
        self._parameters, self._ids = parameters, ids
        self._known: OrderedDict[bytes, BaseModel] = OrderedDict()
        """What was asked for longest ago comes first."""

    @classmethod
    def of(cls, route: APIRoute) -> Remembered | None:
        """None for a route that takes anything else. Call it before FastAPI makes the route's handler."""
        call = route.dependant.call
        if route.methods != {"GET"} or call is None or not iscoroutinefunction(call):
            return None
        kinds = get_type_hints(call, include_extras=True)
        arguments = set(signature(call).parameters) - {"request"}
        models = [name for name in arguments if _is_model(kinds[name])]
        ids = arguments - set(models)
        if len(models) != 1 or ids != set(route.param_convertors):
            return None
        found = cls(models[0], {name: TypeAdapter(kinds[name]) for name in ids})
        route.dependant.call = found.remembering(call)
        return found

    @property
    def queries(self) -> list[bytes]:
        """Query strings, the one asked for longest ago first."""
        return list(self._known)

    def forget(self) -> None:
        """Checks all of them again."""
        self._known.clear()

    def values(self, request: Request) -> dict[str, Any] | None:
        """The arguments of the endpoint; None where they have to be checked."""
        query = request.scope["query_string"]
        parameters = self._known.get(query)
        if parameters is None:
            return None
        self._known.move_to_end(query)
        values: dict[str, Any] = {self._parameters: parameters}
        given = request.scope["path_params"]
        for name, kind in self._ids.items():
            if "%" in given[name]:
                return None
            try:
                values[name] = kind.validate_python(given[name])
            except ValidationError:
                return None
        return values

    def remembering(
        self, call: Callable[..., Coroutine[Any, Any, Any]]
    ) -> Callable[..., Coroutine[Any, Any, Any]]:
        """An endpoint that is called with what was checked."""

        @wraps(call)
        async def remembered(*, request: Request, **values: Any) -> Any:
            query, parameters = request.scope["query_string"], values[self._parameters]
            # Of whom a list is about is nothing remembered: they may be deleted, and hardly come again.
            named = getattr(parameters, "user", None) is not None
            if len(query) <= DEFAULT.remembered_bytes and not named:
                self._known[query] = parameters
                if len(self._known) > DEFAULT.remembered_queries:
                    self._known.popitem(last=False)
            return await call(request=request, **values)

        return remembered


def _is_model(kind: Any) -> bool:
    inner = getattr(kind, "__origin__", kind)
    return isinstance(inner, type) and issubclass(inner, BaseModel)
