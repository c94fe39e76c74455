"""The pages, shop window and console: static files, read once. They hold no data of a shop."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi.responses import Response

from crossaisle.serve.api.routing import Route

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
PAGES = {"index.html": "/", "console.html": "/console"}
"""Files that have addresses of their own."""


def routes() -> list[Route]:
    """One route per file."""
    return [
        _file(PAGES.get(name, f"/page/{name}"), file.read_bytes(), TYPES[name.rsplit(".", 1)[-1]])
        for name, file in _files(files("crossaisle.serve.api") / "page")
    ]


def _files(folder: Traversable, below: str = "") -> Iterator[tuple[str, Traversable]]:
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.is_dir():
            yield from _files(file, f"{below}{file.name}/")
        elif file.name.rsplit(".", 1)[-1] in TYPES:
            yield below + file.name, file


def _file(path: str, content: bytes, kind: str) -> Route:
    async def answer() -> Response:
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    return Route(path, answer, scope="public", include_in_schema=False, methods=["GET"], response_model=None)
