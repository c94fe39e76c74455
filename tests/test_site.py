"""The documentation as a site: no warning, no dead link, nothing from another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("material", reason="needs pip install 'crossaisle[docs]'")

ROOT = Path(__file__).parent.parent
LOADED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=["']?([^"'\s>]+)""")
LINKED = re.compile(r"""<a\b[^>]*?\bhref=["']?([^"'\s>]+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_page_is_there_and_every_link_leads_somewhere(site: Path) -> None:
    pages = {page.relative_to(site).as_posix(): page.read_text("utf-8") for page in site.rglob("*.html")}
    for page in (ROOT / "docs").rglob("*.md"):
        name = (
            page.relative_to(ROOT / "docs")
            .with_suffix(".html")
            .as_posix()
            .replace("README.html", "index.html")
        )
        assert name in pages
    assert {"README.zh.html", "getting-started.zh.html", "examples/platforms/orders.py.html"} <= set(pages)
    for name, text in pages.items():
        for link in LINKED.findall(text):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or name == "404.html":
                continue
            target = (site / name).parent / unquote(parts.path) if parts.path else site / name
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{name}: {link}"


@pytest.mark.slow
def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        for address in LOADED.findall(page.read_text("utf-8")):
            assert not urlsplit(address).netloc, f"{page.name}: {address}"


@pytest.mark.slow
def test_the_navigation_has_the_chinese_pages(site: Path) -> None:
    home = (site / "index.html").read_text("utf-8")
    for title in ("中文简介", "快速入门"):
        assert title in home
