"""The example shop in a real browser: its pages lie elsewhere than the service."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from crossaisle.client import Client
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from crossaisle.serve.store.store import Event
from tests.serve.browser import Browser
from tests.serve.conftest import running

pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).parents[3] / "examples" / "shop"
PRODUCTS = {"bread": "Bread", "jam": "Jam"}
MARKUP = "<marquee onstart=window.hacked=1>Bold</marquee> bread"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nothing."""


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """Serves a folder from an origin of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def written(folder: Path, service: str, key: str) -> None:
    """The example with what a shop changes in it: address, key and products."""
    folder.mkdir(exist_ok=True)
    for file in EXAMPLE.iterdir():
        text = file.read_text().replace("http://127.0.0.1:8080", service).replace("pk_YOUR_KEY", key)
        text = re.sub(
            r'(id="products">).*?(</script>)', rf"\g<1>{json.dumps(PRODUCTS)}\g<2>", text, flags=re.S
        )
        (folder / file.name).write_text(text)


@pytest.fixture
def shop_site(service: ShopService, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address of the shop's pages and of the service; the pages may ask."""
    key = add_key(service.store, "pages", ["visitor"])
    with site(tmp_path / "site") as pages, running(service, origins=[pages]) as address:
        written(tmp_path / "site", address, key)
        yield pages, address


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "never true"
        time.sleep(0.02)


def events(service: ShopService) -> list[Event]:
    return [event for _, event in service.store.events() if event.user.startswith("v-")]


def row(placement: str, what: str = "li") -> str:
    return f"document.querySelectorAll('[data-crossaisle={placement}] {what}')"


def test_rows_appear_a_click_counts_and_the_next_list_follows(
    service: ShopService, shop_site: tuple[str, str], browser: Browser
) -> None:
    pages, _ = shop_site
    browser.open(f"{pages}/")
    browser.until(f"{row('for-you')}.length === 4")  # trending: nothing is known yet
    visitor = browser.run("crossaisle.visitor()")
    assert re.fullmatch("v-[0-9a-f]{32}", visitor)
    browser.open(f"{pages}/?item=bread")
    browser.until(f"{row('goes-with')}.length > 0")
    until(lambda: [(one.user, one.item, one.kind) for one in events(service)] == [(visitor, "bread", "view")])
    assert browser.run("crossaisle.visitor()") == visitor
    assert (
        browser.run("document.querySelector('[data-crossaisle=goes-with] h2').textContent")
        == "Goes well with it"
    )
    assert browser.run("document.querySelector('[data-crossaisle=goes-with]').ariaLive") == "polite"

    browser.click("[data-crossaisle=goes-with] li a")
    browser.until("location.search !== '?item=bread' && document.readyState === 'complete'")
    clicked = browser.run("new URLSearchParams(location.search).get('item')")
    browser.until(f"{row('goes-with')}.length > 0")
    # Once: the page of the product knows that the click told it.
    until(lambda: [one.item for one in events(service)] == ["bread", clicked])
    assert {one["placement"]: one["clicks"] for one in service.insights.since(0)}["goes_with"] == 1

    assert browser.run(f"{row('cart')}.length") == 0
    browser.click("#add")
    browser.until(f"{row('cart')}.length > 0")  # it follows the cart
    until(lambda: [one.kind for one in events(service)] == ["view", "view", "cart"])
    browser.until(
        f"Array.from({row('for-you', 'a')}).every(a => !a.href.endsWith({json.dumps('=' + clicked)}))"
    )
    assert browser.violations() == []
    assert browser.complaints == []


def test_what_is_sent_survives_the_end_of_the_page(
    service: ShopService, shop_site: tuple[str, str], browser: Browser
) -> None:
    pages, _ = shop_site
    browser.open(f"{pages}/")
    browser.until(f"{row('for-you')}.length === 4")
    browser.run(
        "crossaisle.view('jam'); crossaisle.purchase('order-1', [{item: 'bread', quantity: 2, value: 2.5}]); "
        "location.href = 'about:blank'"
    )
    until(lambda: len(events(service)) == 2)
    bought = next(one for one in events(service) if one.kind == "purchase")
    assert (bought.item, bought.quantity, bought.value) == ("bread", 2.0, 2.5)


def test_events_wait_while_the_service_is_away(
    service: ShopService, shop_site: tuple[str, str], browser: Browser
) -> None:
    pages, _ = shop_site
    browser.open(f"{pages}/")
    browser.until(f"{row('for-you')}.length === 4")
    browser.offline(True)
    browser.run("crossaisle.view('jam'); crossaisle.flush()")
    assert events(service) == []
    assert browser.run(f"{row('for-you')}.length") == 4  # what was shown stays
    browser.offline(False)
    browser.open(f"{pages}/?item=bread")
    until(lambda: [one.item for one in events(service)] == ["jam", "bread"])


def test_one_bad_event_takes_no_other_with_it(
    service: ShopService, shop_site: tuple[str, str], browser: Browser
) -> None:
    pages, _ = shop_site
    browser.open(f"{pages}/")
    browser.until(f"{row('for-you')}.length === 4")
    browser.run(
        "crossaisle.view('jam'); crossaisle.cart('bread', {quantity: 1e9}); crossaisle.view('bread'); "
        "crossaisle.flush()"
    )
    assert [(one.item, one.kind) for one in events(service)] == [("jam", "view"), ("bread", "view")]
    assert browser.run("JSON.parse(localStorage['crossaisle.outbox']).events") == []


def test_another_origin_is_refused_and_shows_nothing(
    service: ShopService, shop_site: tuple[str, str], tmp_path: Path, browser: Browser
) -> None:
    with site(tmp_path / "site") as elsewhere:  # the same files, another port
        browser.open(f"{elsewhere}/?item=bread")
        browser.until("window.crossaisle && document.readyState === 'complete'")
        browser.run("crossaisle.flush()")
        browser.run("crossaisle.refresh()")
        assert browser.run("document.querySelectorAll('[data-crossaisle] *').length") == 0
        assert browser.run(
            "Array.from(document.querySelectorAll('[data-crossaisle]')).every(one => one.hidden)"
        )
        assert any("CORS" in one or "403" in one for one in browser.complaints)
        # What needs no permission is sent by the browser, and refused by the service.
        browser.run(
            f"fetch('{shop_site[1]}/api/visitor/events?key=' + document.querySelector('script[data-key]')"
            ".dataset.key, {method: 'POST', mode: 'no-cors', body: JSON.stringify({visitor: "
            "crossaisle.visitor(), events: [{item: 'bread'}]})}).catch(() => 0)"
        )
    assert events(service) == []


def test_texts_and_addresses_of_items_never_become_code(
    service: ShopService, tmp_path: Path, browser: Browser
) -> None:
    ops, key = add_key(service.store, "ops", ["admin"]), add_key(service.store, "pages", ["visitor"])
    with site(tmp_path / "site") as pages, running(service, origins=[pages]) as address:
        written(tmp_path / "site", address, key)
        page = tmp_path / "site" / "index.html"
        page.write_text(page.read_text().replace('data-link="?item={id}"', ""))
        with Client(address, key=ops) as client:
            client.patch_item("bread", title=MARKUP, url="https://shop.example/bread?a=1&b=2")
        browser.open(f"{pages}/")
        browser.until(f"{row('for-you')}.length === 4")
        texts = browser.run(f"Array.from({row('for-you', '.crossaisle-title')}, one => one.textContent)")
        assert MARKUP in texts
        assert browser.run("window.hacked") is None
        assert browser.run(f"Array.from({row('for-you', 'a')}, one => one.href)") == [
            "https://shop.example/bread?a=1&b=2"
        ]
        browser.run(
            "document.querySelector('[data-crossaisle=for-you]').dataset.link = 'javascript:hacked=1//{id}'"
        )
        browser.run("crossaisle.refresh()")
        assert browser.run(f"{row('for-you')}.length") == 4
        assert browser.run(f"{row('for-you', 'a')}.length") == 0


def test_nothing_is_kept_or_sent_before_the_page_says_so(
    service: ShopService, shop_site: tuple[str, str], tmp_path: Path, browser: Browser
) -> None:
    pages, _ = shop_site
    page = tmp_path / "site" / "index.html"
    page.write_text(page.read_text().replace("data-key=", "data-wait data-key="))
    browser.open(f"{pages}/?item=bread")
    browser.until("window.crossaisle && document.readyState === 'complete'")
    browser.run("localStorage.clear()")
    browser.open(f"{pages}/?item=bread")
    browser.until("window.crossaisle && document.readyState === 'complete'")
    assert browser.run("localStorage.length") == 0
    assert events(service) == []
    browser.run("crossaisle.start()")
    browser.until(f"{row('goes-with')}.length > 0")
    assert [one.item for one in events(service)] == ["bread"]
    browser.run("crossaisle.forget()")
    assert browser.run("localStorage.length") == 0
