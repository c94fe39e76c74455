"""The reference of the HTTP API at `/docs`: Swagger UI of an installed package, on our document.

Nothing comes from another host, and no script stands in the page: the policy for pages holds.
"""

from __future__ import annotations

from html import escape
from importlib.util import find_spec
from pathlib import Path

from fastapi.responses import Response

from crossaisle.extras import install_command
from crossaisle.serve.api.routing import Route

EXTRA, PACKAGE = "reference", "fastapi_standalone_docs"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>crossaisle: HTTP API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<main id="reference"></main>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#reference", deepLinking: true, docExpansion: "list",
  defaultModelsExpandDepth: 0, validatorUrl: null, presets: [SwaggerUIBundle.presets.apis],
});
"""
_MISSING = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>crossaisle: HTTP API</title>
<h1>HTTP API</h1>
<p>The document is at <a href="openapi.json">/openapi.json</a>.
To read it here, run <code>{}</code> and start again.</p>
</html>
"""


def routes() -> list[Route]:
    """The page and its files; where the package is missing, a page that says how to add it."""
    folder = _folder()
    if folder is None:
        return [_served("/docs", _MISSING.format(escape(install_command(EXTRA))), "text/html")]
    return [
        _served("/docs", _PAGE, "text/html"),
        _served("/docs/start.js", _START, "text/javascript"),
        _served("/docs/swagger-ui.css", (folder / "swagger-ui.css").read_text("utf-8"), "text/css"),
        _served(
            "/docs/swagger-ui-bundle.js",
            (folder / "swagger-ui-bundle.js").read_text("utf-8"),
            "text/javascript",
        ),
    ]


def _folder() -> Path | None:
    """Where Swagger UI lies; only files of the package are used, none of its code."""
    spec = find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) / "static" / "swagger" if places else None


def _served(path: str, content: str, kind: str) -> Route:
    written = content.encode()

    async def answer() -> Response:
        return Response(written, media_type=kind, headers={"cache-control": "no-cache"})

    return Route(path, answer, scope="public", include_in_schema=False, methods=["GET"], response_model=None)
