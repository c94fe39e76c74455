"""The console in a real browser: what a manager asks for, with real clicks."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from crossaisle.client import Client
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from tests.serve.browser import Browser
from tests.serve.conftest import running

pytestmark = pytest.mark.slow


@pytest.fixture
def console(browser: Browser, service: ShopService) -> Iterator[tuple[str, str]]:
    """Address and key of a shop in which people were shown lists and followed them."""
    token = add_key(service.store, "operator", ["admin"])
    with running(service) as address:
        with Client(address, key=token) as client:
            client.start_experiment("more-variety", [{"name": "as-it-is"}, {"name": "popular", "model": "b"}])
            bought = ""
            for user in ("ann", "bob", "visitor-1"):
                [first, *_] = client.recommend(user, n=3).items
                bought = first.item_id if user == "ann" else bought
                client.event(user, first.item_id, "view")
                client.event(user, first.item_id, "add_to_cart")
            client.event("ann", bought, "purchase", value=2.5, quantity=2)
        browser.open(f"{address}/console?lang=en&user=ann")
        browser.until("document.getElementById('messages').textContent.includes('API key')")
        browser.type("key", token, "change")
        browser.until("document.querySelectorAll('.heat td[data-step]').length > 0")
        browser.until("document.querySelectorAll('#events tbody tr').length > 3")
        browser.until("document.querySelectorAll('#visitor ol li').length > 2")
        browser.until("document.querySelectorAll('#experiments article').length === 1")
        yield address, token
    assert not [text for text in browser.complaints if "401" not in text]


def text(browser: Browser, name: str) -> str:
    found: str = browser.run(f"document.getElementById('{name}').innerText")
    return found


def test_a_manager_sees_what_lists_led_to(browser: Browser, console: tuple[str, str]) -> None:
    cards = browser.run("[...document.querySelectorAll('#totals .cards strong')].map(s => s.textContent)")
    assert cards[:4] == ["3", "3", "3", "1"]
    assert cards[4] == "5.00"
    assert "Purchases that followed a recommendation within 24 hours: 1 of 1 (100.0%)." in text(
        browser, "totals"
    )
    assert "more-variety" in text(browser, "totals")
    rows = browser.run("[...document.querySelectorAll('#totals tbody th')].map(th => th.textContent)")
    assert rows[0] == "For you"
    # Another figure by day, with the focus where it was.
    browser.run(
        "(() => { const s = document.getElementById('totals-what'); s.focus(); s.value = 'revenue'; "
        "s.dispatchEvent(new Event('change')); })()"
    )
    browser.until("document.querySelector('#totals figcaption').textContent.startsWith('Revenue by day')")
    browser.until("document.activeElement.id === 'totals-what'")


def test_a_manager_sees_how_much_of_the_catalogue_is_shown(
    browser: Browser, console: tuple[str, str], service: ShopService
) -> None:
    said = text(browser, "totals")
    [heads, rows] = browser.run(
        "(() => { const table = [...document.querySelectorAll('#totals h3')]"
        ".find(h => h.textContent.startsWith('How much')).nextElementSibling.nextElementSibling;"
        "return ['thead th', 'tbody th'].map(s => [...table.querySelectorAll(s)].map(c => c.textContent));"
        "})()"
    )
    assert heads == [
        "Placement",
        "Different products",
        "Of the catalogue",
        "Places in lists",
        "Of these, long tail",
    ]
    assert rows == ["For you", "All placements"]
    assert f" of {service.shop.dataset.n_items} products (" in said
    assert "long tail" in said


def test_one_visitor_has_times_kinds_and_reasons(browser: Browser, console: tuple[str, str]) -> None:
    past = text(browser, "visitor")
    assert "looked at" in past
    assert "put in the cart" in past
    assert "bought" in past
    assert str(time.gmtime().tm_year) in past
    assert browser.run("document.querySelectorAll('#visitor .why').length") > 0
    browser.click("#events tbody .link")
    browser.until("document.activeElement.id === 'visitor-title'")
    # Looking is no list shown.
    assert browser.run("document.querySelector('#totals .cards strong').textContent") == "3"


def test_changes_are_asked_about(browser: Browser, console: tuple[str, str], service: ShopService) -> None:
    assert "Roll back" not in text(browser, "models")  # there is nothing to go back to
    browser.click("#models tbody button")
    browser.until("document.querySelector('dialog[open] h2').textContent === 'Serve the model b?'")
    browser.press("Escape")
    browser.until("!document.querySelector('dialog')")
    assert service.state.active.name == "a"
    browser.click("#models tbody button")
    browser.click("dialog .main")
    browser.until("document.getElementById('messages').textContent.includes('Now serving b.')")
    browser.until("document.getElementById('models').innerText.includes('Roll back')")
    assert service.state.active.name == "b"
    browser.run(
        "[...document.querySelectorAll('#models button')].find(b => b.textContent === 'Roll back').click()"
    )
    browser.click("dialog .main")
    browser.until("document.getElementById('messages').textContent.includes('Now serving a.')")
    # A message stays until it is put away, whatever is polled meanwhile.
    time.sleep(2.5)
    assert browser.run("document.querySelectorAll('#messages .message').length") == 2
    browser.click("#messages button")
    assert browser.run("document.querySelectorAll('#messages .message').length") == 1


def test_experiments_start_and_stop(browser: Browser, console: tuple[str, str], service: ShopService) -> None:
    assert "not decided yet" in text(browser, "experiments")
    browser.click("#experiments article button")
    browser.until("Boolean(document.querySelector('dialog[open]'))")
    browser.click("dialog .main")
    browser.until("document.querySelector('#experiments article').innerText.includes('stopped')")
    browser.click("#experiments details summary")
    browser.run("document.querySelector('#experiments form input').value = 'varied-2'")
    browser.click("#experiments form .main")
    browser.until(
        "document.querySelector('#experiments form .failed').textContent.includes('Change something')"
    )
    browser.run("document.querySelectorAll('#experiments fieldset input')[1].value = '0.5'")
    browser.click("#experiments form .main")
    browser.until("document.querySelector('dialog[open] h2').textContent === 'Start varied-2?'")
    browser.click("dialog .main")
    browser.until("document.querySelectorAll('#experiments article').length === 2")
    assert service.experiments.all["varied-2"].arms[1].controls.diversity == 0.5


def test_the_category_map_shows_numbers_and_does_not_exaggerate(
    browser: Browser, console: tuple[str, str]
) -> None:
    cells = browser.run(
        "[...document.querySelectorAll('.heat td[data-step]')]"
        ".map(cell => [Number(cell.textContent), Number(cell.dataset.step)])"
    )
    assert cells
    for lift, step in cells:
        assert step == sum(lift >= bound for bound in (0.33, 0.5, 0.67, 0.9, 1.1, 1.5, 2, 3)) - 4
    legend = browser.run(
        "[...document.querySelectorAll('#links .patch')]"
        ".map(patch => [Number(patch.dataset.step), patch.parentElement.innerText.trim()])"
    )
    assert [step for step, _ in legend] == list(range(-4, 5))  # each colour of the map is explained
    assert [said for _, said in legend][3:6] == ["0.67–0.9", "0.9–1.1", "1.1–1.5"]
    assert [legend[0][1], legend[-1][1]] == ["< 0.33", "≥ 3"]
    browser.click("#links summary")
    browser.click("#links .choices label")
    browser.until("document.querySelector('#links .choose .note').textContent === '1 chosen.'")
    browser.click("#links .choices li:nth-child(2) label")
    browser.until("document.querySelectorAll('.heat tbody tr').length === 2")
    assert "Less often" in text(browser, "links")


def test_times_have_axes_and_leave_the_console_out(
    browser: Browser, console: tuple[str, str], service: ShopService
) -> None:
    assert browser.run("document.querySelectorAll('#load svg text').length") > 10
    assert "ms" in browser.run("document.querySelector('#load svg text:nth-of-type(3)').textContent")
    cut = browser.run(
        "[...document.querySelectorAll('svg.chart text')].filter(one => one.getBoundingClientRect().right "
        "> one.ownerSVGElement.getBoundingClientRect().right + 1).map(one => one.textContent)"
    )
    assert cut == []
    assert re.search(r"since the start \d+ min ago", text(browser, "load"))
    before = service.metrics.summary()["requests"]
    time.sleep(2.5)  # the console asks meanwhile
    assert service.metrics.summary()["requests"] == before


def test_roles_are_respected(browser: Browser, service: ShopService) -> None:
    add_key(service.store, "operator", ["admin"])
    token = add_key(service.store, "window", ["read"])
    with running(service) as address:
        browser.open(f"{address}/console?lang=en")
        browser.until("document.getElementById('messages').textContent.includes('API key')")
        browser.type("key", token, "change")
        browser.until("document.getElementById('sections').textContent.includes('key with the scope admin')")
        assert browser.run("document.querySelectorAll('#sections section, #sections button').length") == 0
        browser.open(f"{address}/?lang=en")
        browser.until("document.querySelectorAll('#rows .tile .open').length > 0")
        assert browser.run("document.getElementById('console-link').hidden")
        browser.click("#products .add")  # a key that may only read: it is said, and nothing breaks
        browser.until("document.querySelectorAll('#lines .line').length === 1")
        assert not [one for one in browser.complaints if "401" not in one and "403" not in one]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, console: tuple[str, str], scheme: str) -> None:
    browser.media(prefers_color_scheme=scheme)
    browser.run("document.querySelectorAll('details.choose').forEach(one => { one.open = true; })")
    assert browser.violations() == []
    browser.shot(f"console-{scheme}")
    browser.size(390, 844)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    wide = "one.scrollWidth > one.parentElement.clientWidth"
    assert (
        browser.run(f"[...document.querySelectorAll('.stack')].filter(one => {wide}).length") == 0
    )  # no column of a table lies outside of the screen
    assert (
        browser.run("document.querySelector('#totals .stack td').getAttribute('data-label')") == "Lists shown"
    )
    assert browser.violations() == []
    browser.media(forced_colors="active")
    assert (
        browser.run("getComputedStyle(document.querySelector('.heat td[data-step]')).borderTopWidth") == "1px"
    )
    browser.size(1280, 900)
    browser.click("#menu summary")
    browser.click("#language")
    browser.until("document.getElementById('totals-title')?.textContent === '成效'")
    browser.until("document.querySelectorAll('#events tbody tr').length > 3")
    assert "put in the cart" not in browser.run("document.getElementById('sections').innerText")


def test_rules_are_added_changed_and_deleted(
    browser: Browser, console: tuple[str, str], service: ShopService
) -> None:
    def fill(**fields: str) -> None:
        for selector, value in fields.items():
            browser.run(
                f"(() => {{ const n = document.querySelector('#rules form {selector}'); "
                f"n.value = {value!r}; n.dispatchEvent(new Event('change')); }})()"
            )

    assert "None yet." in text(browser, "rules")
    browser.click("#rules summary")
    fill(input="recall", textarea="item:jaam")
    browser.click("#rules form .main")
    browser.until("document.querySelector('#rules form .failed').textContent.includes('jaam')")
    fill(textarea="item:jam")
    browser.click("#rules form .main")
    browser.until("document.querySelector('#rules tbody th').textContent === 'recall'")
    assert [rule.items for rule in service.shop.rules.rules] == [("item:jam",)]
    assert not browser.violations()
    browser.click("#rules tbody button")
    browser.until("document.querySelector('#rules form input').value === 'recall'")
    fill(select="boost")
    browser.click("#rules form .main")
    browser.until("document.querySelector('#rules tbody').innerText.includes('Boost')")
    assert service.shop.rules.get("recall").factor == 2.0
    browser.run("document.querySelectorAll('#rules tbody button')[1].click()")
    browser.click("dialog .main")
    browser.until("document.getElementById('rules').innerText.includes('None yet.')")
    assert not service.shop.rules
    browser.complaints[:] = [one for one in browser.complaints if "422" not in one]
