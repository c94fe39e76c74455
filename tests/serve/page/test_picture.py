"""The picture of the README: a filled page of the demo. CROSSAISLE_SHOTS=docs writes docs/page.png."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossaisle.serve.service import ShopService
from tests.serve.browser import Browser
from tests.serve.conftest import running

DEMO = Path(__file__).resolve().parents[3] / "demo" / "model"
HOUSEHOLD = "1609"
pytestmark = pytest.mark.slow


@pytest.mark.skipif(not DEMO.is_dir(), reason="needs demo/model: run  make demo")
def test_the_demo_fills_the_page(browser: Browser, tmp_path: Path) -> None:
    service = ShopService.open(DEMO, tmp_path / "s.sqlite")
    browser.size(1440, 1010)
    with running(service) as address:
        browser.open(f"{address}/?lang=en&user={HOUSEHOLD}")
        browser.until("document.querySelectorAll('#rows section:not([hidden]) .add').length >= 30")
        for n, place in enumerate(
            ("2) .tile:nth-child(1)", "1) .tile:nth-child(2)", "1) .tile:nth-child(3)"), 1
        ):
            browser.click(f"#rows section:nth-of-type({place} .add")
            browser.until(f"document.querySelectorAll('#lines .line').length === {n}")
        browser.until("document.querySelectorAll('#offer .line').length === 3")
        browser.until("document.querySelectorAll('[aria-busy=true]').length === 0")
        assert browser.run("document.querySelectorAll('#rows .why').length") >= 20
        browser.run("scrollTo(0, 0)")
        assert browser.complaints == []
        browser.shot("page", whole=False)
    service.close()
