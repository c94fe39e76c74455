"""examples/platforms/orders.py: orders as shop systems send them, to a real service."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("httpx", reason="needs pip install 'crossaisle[client]'")
pytest.importorskip("fastapi", reason="needs pip install 'crossaisle[serve]'")

from crossaisle.client import Client
from crossaisle.serve.service import ShopService
from tests.serve.conftest import model, running, service

__all__ = ["model", "service"]  # fixtures
SECRET = "s3cret"
FILE = Path(__file__).parents[2] / "examples" / "platforms" / "orders.py"


@pytest.fixture(scope="module")
def orders() -> ModuleType:
    spec = importlib.util.spec_from_file_location("orders", FILE)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def client(service: ShopService) -> Iterator[Client]:
    with running(service) as address, Client(address, retries=1) as opened:
        yield opened


def shopify_order(**more: Any) -> dict[str, Any]:
    """As `orders/paid` sends it, without what is not read."""
    lines = [
        {"id": 11, "sku": "bread", "quantity": 2, "price": "3.10", "title": "Bread"},
        {"id": 12, "sku": "butter", "quantity": 1, "price": "2.00", "title": "Butter"},
        {"id": 13, "sku": None, "quantity": 1, "price": "5.00", "title": "Gift wrapping"},
    ]
    order = {"id": 450789469, "name": "#1001", "email": "zoe@x.example", "financial_status": "paid"}
    return {
        **order,
        "created_at": "2026-09-01T16:12:00+02:00",
        "cancelled_at": None,
        "note_attributes": [{"name": "crossaisle", "value": "v-" + "0" * 32}],
        "line_items": lines,
        **more,
    }


WOO = {
    "id": 727,
    "status": "processing",
    "date_created_gmt": "2026-09-01T14:12:00",
    "billing": {"email": "yan@x.example"},
    "line_items": [{"id": 315, "product_id": "bread", "quantity": 2, "price": 3.1}],
}
MAGENTO = {
    "increment_id": "000000001",
    "state": "complete",
    "created_at": "2026-09-01 14:12:00",
    "customer_email": "max@x.example",
    "items": [
        {"item_id": 1, "sku": "rolls", "qty_ordered": 3, "price": 1.5},
        {"item_id": 2, "sku": "rolls", "qty_ordered": 3, "price": 0, "parent_item_id": 1},
    ],
}


@contextmanager
def listening(server: HTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


def sent(address: str, header: str, body: bytes, secret: str = SECRET) -> int:
    """The status with which a signed webhook is answered."""
    signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    request = urllib.request.Request(address, data=body, headers={header: signature})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def bought(client: Client, user: str) -> list[tuple[str, str, float | None, float | None]]:
    events = client.user(user).events
    return sorted((one.item, one.kind, one.quantity, one.value) for one in events)


def test_shopify_tells_of_orders_and_takes_them_back(client: Client, orders: ModuleType) -> None:
    header = "X-Shopify-Hmac-Sha256"
    paid = json.dumps(shopify_order()).encode()
    with listening(orders.listener("shopify", client, SECRET, port=0)) as address:
        assert sent(address, header, paid, "another") == 401
        assert sent(address, header, b"{") == 400
        assert sent(address, header, b'{"line_items": [{"sku": "bread"}]}') == 400
        assert sent(address, header, json.dumps(shopify_order(financial_status="pending")).encode()) == 200
        assert sent(address, header, paid) == 200
        assert sent(address, header, paid) == 200  # sent again
        expected = [("bread", "purchase", 2.0, 3.1), ("butter", "purchase", 1.0, 2.0)]
        assert bought(client, "zoe@x.example") == expected
        [when] = {one.time for one in client.user("zoe@x.example").events}
        assert when == datetime(2026, 9, 1, 14, 12, tzinfo=UTC).timestamp()
        assert "bread" in client.recommend("zoe@x.example", placement="buy_again").ids
        gone = json.dumps(shopify_order(cancelled_at="2026-09-02T10:00:00+02:00")).encode()
        for _ in range(2):
            assert sent(address, header, gone) == 200
        assert client.recommend("zoe@x.example").served == "trending"
        guest = json.dumps(shopify_order(id=2, name="#1002", email="")).encode()
        assert sent(address, header, guest) == 200
        assert len(bought(client, "v-" + "0" * 32)) == 2


def test_woocommerce(client: Client, orders: ModuleType) -> None:
    header = "X-WC-Webhook-Signature"
    with listening(orders.listener("woocommerce", client, SECRET, port=0)) as address:
        assert sent(address, header, b'{"webhook_id": 4}') == 200
        assert sent(address, header, json.dumps(WOO).encode()) == 200
        assert bought(client, "yan@x.example") == [("bread", "purchase", 2.0, 3.1)]
        assert sent(address, header, json.dumps(WOO | {"status": "refunded"}).encode()) == 200
        assert client.recommend("yan@x.example").served == "trending"


def test_magento_is_asked_page_by_page(client: Client, orders: ModuleType) -> None:
    asked: list[dict[str, list[str]]] = []

    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.headers["Authorization"] == "Bearer token"
            asked.append(parse_qs(urlsplit(self.path).query))
            page = int(asked[-1]["searchCriteria[currentPage]"][0])
            found = [MAGENTO | {"increment_id": f"{page}-{n}"} for n in range(100 if page == 1 else 1)]
            body = json.dumps({"items": found, "total_count": 101}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *words: Any) -> None:
            """Quiet."""

    with listening(HTTPServer(("127.0.0.1", 0), Shop)) as address:
        since = datetime(2026, 9, 1, tzinfo=UTC)
        found = list(orders.changed_orders(address, "token", since))
    assert len(found) == 101
    assert len(asked) == 2
    value = "searchCriteria[filter_groups][0][filters][0][value]"
    assert asked[0][value] == ["2026-09-01 00:00:00"]
    assert sum(orders.tell(client, orders.magento(one)) for one in found) == 101
    assert bought(client, "max@x.example") == [("rolls", "purchase", 3.0, 1.5)] * 101
