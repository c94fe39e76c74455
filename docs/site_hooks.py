"""Hooks of mkdocs: pages beside `docs/` join the site, and files that pages link to, as listings.

A link is written as it works in the repository, and turned into the one that works in the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
BESIDE = (
    "README.md",
    "README.zh.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
)
"""Pages outside `docs/`."""
HOME = {"README.md": "index.md"}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Adds what lies outside `docs/`."""
    for name in BESIDE:
        files.append(File.generated(config, HOME.get(name, name), content=(ROOT / name).read_text("utf-8")))
    for path in _listed(files):
        text = (ROOT / path).read_text("utf-8")
        page = f"# `{path}`\n\n````{Path(path).suffix[1:]}\n{text}````\n"
        files.append(File.generated(config, f"{path}.md", content=page))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns links between files of the repository into links between files of the site."""
    here = page.file.src_uri
    origin = _origin(here)

    def turned(found: re.Match[str]) -> str:
        target = _target(origin, found.group(1))
        return posixpath.relpath(_uri(target), posixpath.dirname(here)) + (found.group(2) or "")

    parts, at = [], 0
    for block in FENCE.finditer(markdown):
        parts += [LINK.sub(turned, markdown[at : block.start()]), block.group()]
        at = block.end()
    return "".join([*parts, LINK.sub(turned, markdown[at:])])


def _origin(uri: str) -> str:
    """The file of the repository that a page of the site is made of."""
    named = {there: name for name, there in HOME.items()}.get(uri, uri)
    return named if named in BESIDE else f"docs/{uri}"


def _target(origin: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))


def _uri(path: str) -> str:
    """Where a file of the repository lies in the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return HOME.get(path, path) if path in BESIDE else f"{path}.md"


def _listed(files: Files) -> list[str]:
    """Files outside `docs/` that pages link to, which are no pages themselves."""
    found = set()
    for file in files.documentation_pages():
        origin = _origin(file.src_uri)
        for link, _ in LINK.findall(FENCE.sub("", file.content_string)):
            target = _target(origin, link)
            if not target.startswith("docs/") and target not in BESIDE and (ROOT / target).is_file():
                found.add(target)
    return sorted(found)
