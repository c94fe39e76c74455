"""The page: it holds together, speaks two languages, needs nothing from elsewhere, works in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import urllib.request
from importlib.resources import files
from pathlib import Path

import httpx
import pytest

from crossaisle.serve.service import Service
from tests.serve.conftest import talk
from tests.serve.test_process import free_port

PAGE = files("crossaisle.serve") / "page"
HTML, SCRIPT, STYLE = ((PAGE / name).read_text() for name in ("index.html", "page.js", "page.css"))


def test_every_word_is_there_in_both_languages() -> None:
    english, chinese = (
        set(re.findall(r"\b(\w+): (?:\"|n =>|\(a, b\) =>)", part))
        for part in re.search(r"en: \{(.*?)\n  \},\n  zh: \{(.*?)\n  \},", SCRIPT, re.DOTALL).groups()  # type: ignore[union-attr]
    )
    assert english == chinese
    used = set(re.findall(r"data-[tp]=\"(\w+)\"", HTML)) | set(re.findall(r"\bt\(\"(\w+)\"", SCRIPT))
    assert used <= english


def test_the_script_finds_what_it_looks_for() -> None:
    ids = set(re.findall(r"\bid=\"([\w-]+)\"", HTML))
    assert set(re.findall(r"\$\(\"([\w-]+)\"\)", SCRIPT)) <= ids


def test_nothing_comes_from_elsewhere_and_nothing_is_markup() -> None:
    for text in (HTML, SCRIPT, STYLE):
        assert not re.search(r"(src|href|url|import|fetch)\W{1,3}https?:", text)
    assert "innerHTML" not in SCRIPT
    assert not re.search(r"\son\w+=|style=", HTML)  # the content security policy would stop these


def test_the_files_are_served(service: Service) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.get("/")).headers["content-type"].startswith("text/html")
        for path in re.findall(r"(?:href|src)=\"(/page/[^\"]+)\"", HTML):
            assert (await client.get(path)).status_code == 200

    talk(service, conversation)


def test_a_browser_shows_products_and_lists(model: Path, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium, to open the page in it")
    port = free_port()
    command = [sys.executable, "-m", "crossaisle", "serve", str(model), "--port", str(port)]
    command += ["--store", str(tmp_path / "s.sqlite")]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health/ready", timeout=5).close()
                break
            except OSError:
                time.sleep(0.05)
        shown = subprocess.run(
            [
                *(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"),
                *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"),
                f"http://127.0.0.1:{port}/?lang=zh&user=ann",
            ],
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
    finally:
        server.terminate()
        server.wait(timeout=20)
    assert "White bread" in shown
    assert "为你推荐" in shown
    assert "因为 " in shown  # a reason, in the language of the page
    assert re.search(r'id="problem"[^>]*hidden', shown)
