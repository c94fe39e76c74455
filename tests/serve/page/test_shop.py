"""The shop window in a real browser, with real clicks and keys."""

from __future__ import annotations

import json

import pytest

from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from crossaisle.serve.tenants import ShopRegistry
from tests.serve.browser import Browser
from tests.serve.conftest import events_of, running
from tests.serve.page.conftest import LONG

Window = tuple[str, ShopService]
pytestmark = pytest.mark.slow
TILES = "document.querySelectorAll('#rows .tile .open').length"


def start(browser: Browser, address: str, query: str = "lang=en&user=ann") -> None:
    browser.open(f"{address}/?{query}")
    browser.until(f"{TILES} > 0 && document.querySelectorAll('#products .tile .open').length > 0")


def text(browser: Browser, selector: str) -> str:
    found: str = browser.run(f"document.querySelector({json.dumps(selector)}).textContent")
    return found


def test_rows_say_what_they_are_and_why(browser: Browser, shop_window: Window) -> None:
    address, service = shop_window
    start(browser, address)
    browser.until("document.querySelectorAll('#rows section:not([hidden])').length === 3")
    titles = browser.run("[...document.querySelectorAll('#rows section h2')].map(h => h.textContent)")
    assert titles == ["For you", "New aisles for you", "Buy again"]
    browser.until("document.querySelectorAll('#rows [aria-busy=true]').length === 0")
    assert browser.run("document.querySelectorAll('#rows .why').length") > 3
    assert "Because you bought" in text(browser, "#rows section:nth-of-type(3)")
    assert text(browser, "#products .price").startswith("€")
    # Somebody unknown gets one row of what is popular, and is told so.
    start(browser, address, "lang=en&user=nobody")
    browser.until("document.querySelectorAll('#rows section:not([hidden])').length === 1")
    assert text(browser, "#rows h2") == "Popular now"
    assert "Nothing is known" in text(browser, "#rows .note")
    # What was only looked at was not bought.
    browser.click("#products .tile .open")
    browser.until("document.getElementById('rows').textContent.includes('looked at')")
    assert "bought" not in text(browser, "#rows section:not([hidden])")
    assert [event.kind for event in events_of(service.store, "nobody")] == ["view"]
    assert browser.complaints == []


def test_a_product_in_view_and_the_way_back(browser: Browser, shop_window: Window) -> None:
    address, service = shop_window
    start(browser, address)
    browser.click("#products [data-item=jam]")
    browser.until("document.querySelectorAll('#product-rows section:not([hidden]) .tile .open').length > 0")
    assert browser.run("document.activeElement.id") == "product-title"
    assert browser.run("document.title").startswith("Strawberry jam")
    browser.until("document.querySelector('#product-body img').naturalWidth > 0")  # the policy lets it in
    assert browser.run("document.querySelector('#product-body .do a').href") == "https://shop.example.com/jam"
    # The whole picture, in its box; a square one fits a wide box by its height.
    assert browser.run(
        "[...document.querySelectorAll('.picture:has(img)')].every(box => {"
        "const a = box.getBoundingClientRect(), b = box.firstChild.getBoundingClientRect();"
        "return b.height <= a.height && b.width <= a.width; })"
    )
    assert text(browser, "#product-body .details") == "colourredjarglass"
    assert "Goes with this" in text(browser, "#product-rows")
    assert "Similar products" in text(browser, "#product-rows")
    # The headings say so, and the tiles need not.
    browser.until("document.querySelectorAll('#product-rows [aria-busy=true]').length === 0")
    assert not {"goes", "similar"} & set(text(browser, "#product-rows .tiles").lower().split())
    first = text(browser, "#product-rows .tiles")
    # With something in the cart, "this" is still the product in view.
    browser.click("#product .main")
    browser.until("document.querySelectorAll('#lines .line').length === 1")
    browser.click("#product-rows section:first-child .tile .open")
    browser.until(f"document.querySelector('#product-rows .tiles').textContent !== {json.dumps(first)}")
    browser.run("history.back()")
    browser.until("document.getElementById('product-title')?.textContent === 'Strawberry jam'")
    browser.run("history.back()")
    browser.until("document.getElementById('product').hidden")
    assert browser.run("document.activeElement.dataset.item || document.activeElement.tagName") in (
        "jam",
        "H2",
    )
    # The address alone is enough; an unknown product is said where it would be.
    start(browser, address, "lang=en&user=ann&item=milk")
    browser.until("document.getElementById('product-title')?.textContent === 'Whole milk'")
    browser.until("document.querySelectorAll('[aria-busy=true]').length === 0")
    start(browser, address, "lang=en&user=ann&item=nothing")
    browser.until(
        "document.getElementById('product-body').textContent.includes('There is no product nothing')"
    )
    kinds = [event.kind for event in events_of(service.store, "ann")]
    # Clicks are looks. An address is none, nor is the way back: a link elsewhere must not write.
    assert (kinds.count("cart"), kinds.count("view")) == (1, 2)
    assert [one for one in browser.complaints if "404" not in one] == []


def test_the_cart_is_kept_counted_and_completed(browser: Browser, shop_window: Window) -> None:
    address, service = shop_window
    start(browser, address)
    assert browser.run(
        "document.querySelector('#products [data-item=cheese]').closest('li').querySelector('.add').disabled"
    )
    browser.click("#products li:has([data-item=bread]) .add")
    browser.until("document.querySelectorAll('#offer .line').length > 0")
    assert browser.run("document.activeElement.className") == "add"  # the focus stays on what was used
    browser.click("#products li:has([data-item=bread]) .add")
    browser.until("document.getElementById('total').textContent === '€4.00'")
    browser.until(
        "document.getElementById('say').textContent === 'Added: White bread. In the cart: 2, €4.00.'"
    )
    assert text(browser, "#completes-title") == "Completes your cart"
    if browser.run("!document.getElementById('add-all').hidden"):
        assert "€" in text(browser, "#add-all")
    start(browser, address)  # loaded again
    browser.until("document.getElementById('total').textContent === '€4.00'")
    browser.click("#lines .step")
    browser.until("document.getElementById('total').textContent === '€2.00'")
    browser.click("#lines .step")
    browser.until("document.getElementById('cart-foot').hidden")
    assert browser.run("document.activeElement.id") == "cart-title"
    browser.click("#products li:has([data-item=milk]) .add")
    browser.until("!document.getElementById('cart-foot').hidden")
    browser.click("#order")
    browser.until("document.getElementById('lines').textContent.includes('Thank you')")
    browser.until("localStorage.getItem('unsent ') === '[]'")
    kinds = [(event.kind, event.item) for event in events_of(service.store, "ann")]
    assert kinds == [("cart", "bread"), ("remove_from_cart", "bread"), ("cart", "milk"), ("purchase", "milk")]
    assert browser.complaints == []


def test_search_understands_and_the_newest_answer_wins(browser: Browser, shop_window: Window) -> None:
    address, _ = shop_window
    start(browser, address)
    for words, found in (
        ("strawberries", "Strawberry jam"),
        ("strawbery", "Strawberry jam"),
        ("meadow milk", "Whole milk"),
        ("soap", "Lemon soap"),
    ):
        browser.type("words", words)
        browser.until(f"document.querySelector('#products .title')?.textContent === {json.dumps(found)}")
    assert "Showing results for" not in text(browser, "#results-note")
    # The answer to an earlier question comes after the one to a later question.
    browser.run(
        "(() => { const real = fetch; const later = new Promise(done => setTimeout(done, 900)); "
        "window.fetch = (path, more) => String(path).includes('q=milk') "
        "? later.then(() => real(path, { ...more, signal: undefined })) : real(path, more); })()"
    )
    browser.type("words", "milk")
    browser.run("document.getElementById('search').requestSubmit()")
    browser.type("words", "honey")
    browser.until("document.querySelector('#products .title')?.textContent === 'Forest honey'")
    browser.run("new Promise(done => setTimeout(done, 1300))")
    assert text(browser, "#products .title") == "Forest honey"
    assert browser.run("new URLSearchParams(location.search).get('q')") == "honey"
    browser.type("words", "xyzzy")
    browser.until("!document.getElementById('nothing').hidden")
    assert text(browser, "#results-title") == "Nothing found for “xyzzy”."
    # Sorted, by price, in a category of the tree.
    start(browser, address, "lang=en&user=ann&sort=price&min=1.5&max=3")
    prices = browser.run(
        "[...document.querySelectorAll('#products .price')].map(p => parseFloat(p.textContent.slice(1)))"
    )
    assert prices == sorted(prices)
    assert prices[0] >= 1.5
    assert prices[-1] <= 3
    browser.click("#categories summary")
    browser.click("#tree summary")
    browser.until("document.querySelectorAll('#tree details li a').length > 1")
    browser.click("#tree details li a")
    browser.until("location.search.includes('category=')")
    browser.until("document.getElementById('chips').children.length === 2")
    assert browser.complaints == []


def test_busy_failed_and_away(browser: Browser, shop_window: Window) -> None:
    address, service = shop_window
    start(browser, address)
    browser.run(
        "window.held = []; window.real = fetch; "
        "window.fetch = (...asked) => new Promise(done => held.push(() => done(real(...asked))))"
    )
    browser.click("#products li:has([data-item=bread]) .add")
    browser.until("held.length > 0")
    browser.run("held.splice(0).forEach(go => go())")
    browser.until("document.querySelectorAll('#rows [aria-busy=true]').length > 0")
    browser.run("window.fetch = real; held.splice(0).forEach(go => go())")
    browser.until("document.querySelectorAll('[aria-busy=true]').length === 0")
    browser.offline(True)
    browser.click("#products li:has([data-item=milk]) .add")
    browser.until("document.getElementById('messages').textContent.includes('is not responding')")
    browser.until("JSON.parse(localStorage.getItem('unsent ')).length > 0")
    browser.offline(False)
    browser.until("document.getElementById('messages').children.length === 0")  # by itself
    browser.until("localStorage.getItem('unsent ') === '[]'")
    assert ("cart", "milk") in [(event.kind, event.item) for event in events_of(service.store, "ann")]
    # An odd visitor is a visitor.
    start(browser, address, "lang=en&user=a%2Fb")
    browser.until("document.querySelector('#rows h2').textContent === 'Popular now'")


def test_chinese_says_everything_in_chinese(browser: Browser, shop_window: Window) -> None:
    address, _ = shop_window
    start(browser, address, "lang=zh&user=ann")
    browser.until("document.getElementById('rows').textContent.includes('因为你买过')")
    browser.click("#products li:has([data-item=bread]) .add")
    browser.until("document.querySelectorAll('#offer .line').length > 0")
    assert "购物车" in text(browser, "#cart-title")
    assert (
        "搭配" in text(browser, "#offer")
        or "其他顾客" in text(browser, "#offer")
        or "因为" in text(browser, "#offer")
    )
    browser.type("words", "strawberries")
    browser.until("document.getElementById('results-title').textContent.includes('件商品')")
    browser.click("#menu summary")
    browser.click("#language")
    browser.until(
        "document.documentElement.lang === 'en' && "
        "document.querySelector('#rows h2').textContent === 'For you'"
    )


def test_keys_and_forced_colours(browser: Browser, shop_window: Window) -> None:
    address, _ = shop_window
    start(browser, address)
    browser.until("document.querySelectorAll('#rows section:not([hidden])').length === 3")
    presses = 0
    while not browser.run("Boolean(document.activeElement.closest('#rows .tile'))"):
        browser.press("Tab")
        presses += 1
        assert presses <= 8, browser.run("document.activeElement.outerHTML.slice(0, 200)")
    browser.press("Enter")
    browser.until("document.activeElement.id === 'product-title'")
    browser.press("Escape")
    browser.until("document.getElementById('product').hidden")
    assert browser.run("document.activeElement !== document.body")
    # Skip links lead to what can be seen.
    for n in (0, 1):
        target = browser.run(
            f"document.querySelector(document.querySelectorAll('.skip')[{n}].hash).checkVisibility()"
        )
        assert target
    browser.media(forced_colors="active")
    assert browser.run("getComputedStyle(document.querySelector('.tile')).borderTopWidth") == "1px"
    assert browser.complaints == []


def test_a_tap_on_a_phone_is_answered_where_the_eye_is(browser: Browser, shop_window: Window) -> None:
    address, _ = shop_window
    browser.size(390, 844)
    start(browser, address)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    assert browser.run("document.querySelector('header').offsetHeight") <= 130
    browser.click("#rows .tile .open")
    browser.until("document.getElementById('product-title') === document.activeElement")
    edge = "document.getElementById('product').getBoundingClientRect()"
    browser.until(f"Math.round({edge}.bottom) === innerHeight")  # it has risen
    assert browser.run(f"{edge}.top") >= 0
    assert browser.run("document.getElementById('rows').inert")
    browser.click("#product .main")
    browser.until("document.getElementById('cart-button').textContent.includes('1')")
    browser.press("Escape")
    browser.until("document.getElementById('product').hidden && !document.getElementById('rows').inert")
    browser.click("#cart-button")
    browser.until("document.querySelectorAll('#offer .line').length > 0")
    assert browser.run("document.documentElement.scrollWidth") <= 390
    browser.click("#cart-close")
    browser.until("document.activeElement.id === 'cart-button'")
    # A title of 600 characters does not push anything away; what looks like an element in a title is text.
    browser.open(f"{address}/?lang=en&user=ann&q=extraordinarily")
    browser.until("document.querySelector('#products .title')?.textContent.startsWith('An extraordinarily')")
    assert len(LONG) > 500
    assert browser.run("document.querySelector('#products .tile').offsetHeight") < 420
    browser.open(f"{address}/?lang=en&user=ann&q=bold")
    browser.until("document.querySelector('#products .title')?.textContent.startsWith('<x-bold onclick')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, shop_window: Window, scheme: str) -> None:
    address, _ = shop_window
    browser.media(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    start(browser, address)
    browser.until("document.querySelectorAll('#rows section:not([hidden])').length === 3")
    assert browser.violations() == []
    browser.click("#rows .tile .open")
    browser.until("document.querySelectorAll('#product-rows .tile .open').length > 0")
    browser.click("#product .main")
    browser.until("document.querySelectorAll('#offer .line').length > 0")
    assert browser.violations() == []
    browser.shot(f"product-{scheme}")
    browser.size(390, 844)
    assert browser.violations() == []
    browser.open(f"{address}/?lang=en&user=ann&q=xyzzy")
    browser.until("!document.getElementById('nothing').hidden")
    browser.click("#menu summary")
    assert browser.violations() == []


def test_the_page_asks_for_the_shop_and_keeps_shops_apart(browser: Browser, shops: ShopRegistry) -> None:
    token = add_key(shops.services["south"].store, "operator", ["admin"])
    add_key(shops.services["north"].store, "operator", ["admin"])
    with running(shops) as address:
        browser.open(f"{address}/?lang=en")
        browser.until("!document.getElementById('store-label').hidden")  # it says that a shop is to be named
        browser.type("store", "south", "change")
        browser.until("document.getElementById('messages').textContent.includes('API key')")
        browser.type("key", token, "change")
        browser.until("document.querySelectorAll('#products .tile .open').length === 10")
        assert browser.run("document.getElementById('messages').children.length") == 0
        browser.click("#products li:has([data-item=bread]) .add")
        browser.until("localStorage.getItem('unsent south') === '[]'")
        visitor = browser.run("document.getElementById('user').value")
        assert [event.kind for event in events_of(shops.services["south"].store, visitor)] == ["cart"]
        assert not shops.services["north"].live.of(visitor).items
        # Another shop has another key, another visitor, and nothing of the first one on the page.
        browser.open(f"{address}/?lang=en&shop=north")
        browser.until("document.getElementById('messages').textContent.includes('API key')")
        assert browser.run("document.getElementById('store').value") == "north"
        assert browser.run("document.getElementById('key').value") == ""
        assert browser.run("document.getElementById('user').value") != visitor
        assert browser.run("document.querySelectorAll('#products .open, #lines .line').length") == 0
