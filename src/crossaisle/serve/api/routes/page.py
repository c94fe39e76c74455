"""The page: static files, read once. It holds no data of a shop."""

from __future__ import annotations

from importlib.resources import files

from fastapi.responses import Response

from crossaisle.serve.api.routing import Route

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def routes() -> list[Route]:
    """One route per file."""
    found = []
    for file in sorted((files("crossaisle.serve.api") / "page").iterdir(), key=lambda f: f.name):
        kind = TYPES.get(file.name.rsplit(".", 1)[-1])
        if kind is not None:
            path = "/" if file.name == "index.html" else f"/page/{file.name}"
            found.append(_file(path, file.read_bytes(), kind))
    return found


def _file(path: str, content: bytes, kind: str) -> Route:
    async def answer() -> Response:
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    return Route(path, answer, scope="public", include_in_schema=False, methods=["GET"], response_model=None)
