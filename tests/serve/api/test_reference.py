"""The reference of the API at /docs: under the policy for pages, with nothing from another host."""

from __future__ import annotations

import re

import httpx
import pytest

from crossaisle.serve.api.routes import reference
from crossaisle.serve.service import ShopService
from tests.serve.browser import Browser
from tests.serve.conftest import browser, chromium, talk

__all__ = ["browser", "chromium"]  # fixtures


def test_without_the_package_the_page_says_how_to_add_it(
    service: ShopService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "PACKAGE", "not_installed_here")

    async def conversation(client: httpx.AsyncClient) -> None:
        page = (await client.get("/docs")).text
        assert re.search(r"pip install .*\[reference\]", page)
        assert 'href="openapi.json"' in page

    talk(service, conversation)


def test_no_other_host_is_named(service: ShopService) -> None:
    pytest.importorskip(reference.PACKAGE)

    async def conversation(client: httpx.AsyncClient) -> None:
        page = await client.get("/docs")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        loaded = re.findall(r'(?:src|href)="([^"]*)"', page.text)
        assert len(loaded) == 4
        for one in loaded:
            assert not one.startswith(("http", "//"))
            if not one.startswith("data:"):
                assert (await client.get(f"/{one}")).status_code == 200

    talk(service, conversation)


@pytest.mark.slow
def test_it_shows_every_operation(browser: Browser, address: str) -> None:
    pytest.importorskip(reference.PACKAGE)
    document = httpx.get(f"{address}/openapi.json").json()
    operations = sum(len(methods) for methods in document["paths"].values())
    browser.open(f"{address}/docs")
    browser.until(f"document.querySelectorAll('.opblock').length === {operations}")
    browser.until("document.title === 'crossaisle: HTTP API'")
    assert browser.complaints == []
