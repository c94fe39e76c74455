"""The page: it holds together, speaks two languages, needs nothing from elsewhere, works in a browser."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import httpx
import pytest

from crossaisle.client import Client
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from crossaisle.serve.store.store import Event
from crossaisle.serve.tenants import ShopRegistry
from tests.serve.browser import Browser, opened
from tests.serve.conftest import events_of, running, talk

PAGE = files("crossaisle.serve.api") / "page"
HTML, STYLE = ((PAGE / name).read_text() for name in ("index.html", "page.css"))
SCRIPTS = [file for file in sorted(PAGE.iterdir(), key=lambda f: f.name) if file.name.endswith(".js")]
SCRIPT = "\n".join(file.read_text() for file in SCRIPTS)


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


def test_the_files_are_served(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.get("/")).headers["content-type"].startswith("text/html")
        for path in re.findall(r"(?:href|src)=\"(/page/[^\"]+)\"", HTML):
            assert (await client.get(path)).status_code == 200
        for name in re.findall(r"from \"\./(\w+\.js)\"", SCRIPT):
            assert (await client.get(f"/page/{name}")).headers["content-type"].startswith("text/javascript")

    talk(service, conversation)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("needs chromium, to click through the page in it")
    with opened(chromium, tmp_path / "profile") as found:
        yield found


def test_a_click_through_the_shop_window(service: ShopService, browser: Browser) -> None:
    with running(service) as address:
        browser.open(f"{address}/?lang=en&user=ann")
        browser.until("document.querySelectorAll('#you li .why').length > 0")
        assert browser.run("document.querySelectorAll('#products li').length") == 10
        # search
        browser.type("words", "bread")
        browser.until("document.querySelectorAll('#products li').length === 3")
        # into the cart: what goes with it is shown, with a reason, and the event is kept
        assert browser.run("document.querySelector('#goes button') === null")
        browser.click("#products li:first-child .add")
        browser.until("document.querySelectorAll('#goes button.open').length > 0")
        assert browser.run("document.querySelectorAll('#cart button').length") == 1
        assert [event.kind for event in events_of(service.store, "ann")] == ["cart"]
        before = browser.run("document.getElementById('goes').textContent")
        browser.type("words", "milk")
        browser.until("document.querySelectorAll('#products li').length === 1")
        browser.click("#products li:first-child .add")
        browser.until(f"document.getElementById('goes').textContent !== {json.dumps(before)}")
        # the slider of the share from other aisles
        browser.drag("share", 100)
        browser.until("document.getElementById('share-value').textContent === '100 %'")
        browser.until("document.querySelectorAll('#you li').length > 0")
        # the other language, dark, phone
        browser.click("#language")
        browser.until("document.getElementById('you-title').textContent === '为你推荐'")
        browser.until("document.getElementById('you').textContent.includes('因为')")
        browser.click("#theme")
        ground = "getComputedStyle(document.body).backgroundColor"
        one = browser.run(ground)
        browser.click("#theme")
        assert browser.run(ground) != one
        browser.size(390, 844)
        assert browser.run("document.documentElement.scrollWidth") <= 390
        assert browser.run("document.getElementById('problem').hidden")
        assert browser.complaints == []
        browser.shot("shop")


def test_the_page_asks_for_the_shop_and_keeps_shops_apart(shops: ShopRegistry, browser: Browser) -> None:
    token = add_key(shops.services["south"].store, "operator", ["admin"])
    add_key(shops.services["north"].store, "operator", ["admin"])
    with running(shops) as address:
        browser.open(f"{address}/?lang=en")
        browser.until("!document.getElementById('store-label').hidden")  # it says that a shop is to be named
        browser.type("store", "south", "change")
        browser.until("document.getElementById('problem').textContent.includes('API key')")
        browser.type("key", token, "change")
        browser.until("document.querySelectorAll('#products li').length === 10")
        browser.click("#products li:first-child .add")
        browser.until("document.querySelectorAll('#goes button.open').length > 0")
        visitor = browser.run("document.getElementById('user').value")
        assert [event.kind for event in events_of(shops.services["south"].store, visitor)] == ["cart"]
        assert not shops.services["north"].live.of(visitor).items
        browser.size(390, 844)
        assert browser.run("document.documentElement.scrollWidth") <= 390
        # Another shop has another key, another visitor, and nothing of the first one on the page.
        browser.open(f"{address}/?lang=en&shop=north")
        browser.until("document.getElementById('problem').textContent.includes('API key')")
        assert browser.run("document.getElementById('store').value") == "north"
        assert browser.run("document.getElementById('key').value") == ""
        assert browser.run("document.getElementById('user').value") != visitor
        assert browser.run("document.querySelectorAll('#products li, #cart button').length") == 0
        browser.type("store", "south", "change")
        browser.until("document.querySelectorAll('#products li').length === 10")
        assert browser.run("document.getElementById('user').value") == visitor


def test_a_click_through_the_console(service: ShopService, browser: Browser) -> None:
    service.store.add([Event(None, "ann", "jam", "cart", time.time())]).result()
    token = add_key(service.store, "operator", ["admin"])
    with running(service) as address:
        with Client(address, key=token) as client:
            client.start_experiment("more-variety", [{"name": "as-it-is"}, {"name": "popular", "model": "b"}])
        browser.open(f"{address}/?lang=en&user=ann")
        browser.until("!document.getElementById('problem').hidden")  # it says that a key is needed
        browser.type("key", token, "change")
        browser.until("document.querySelectorAll('#products li').length === 10")
        assert browser.run("document.getElementById('problem').hidden")
        browser.click("#tab-console")
        browser.until("document.querySelectorAll('#tests tr').length === 1")
        browser.until("document.querySelectorAll('#heat td[data-step]').length > 0")
        browser.until("document.querySelectorAll('#past li').length > 1")
        browser.until("document.querySelectorAll('#next .why').length > 0")
        browser.until("document.querySelectorAll('#known li').length === 2")
        assert "White bread" in browser.run("document.getElementById('past').textContent")
        browser.shot("console")
        browser.click("#tests button")
        browser.until("document.getElementById('tests').textContent.includes('stopped')")
        browser.click("#known li:nth-child(2) button")
        browser.until("document.getElementById('model').textContent.includes('b')")
        browser.size(390, 844)
        assert browser.run("document.documentElement.scrollWidth") <= 390
        assert not [text for text in browser.complaints if "401" not in text]
