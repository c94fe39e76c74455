"""Sends orders of Shopify, WooCommerce and Magento to a crossaisle service as events.

    CROSSAISLE_KEY=... WEBHOOK_SECRET=... python orders.py shopify --service https://reco.shop.example
    CROSSAISLE_KEY=... WEBHOOK_SECRET=... python orders.py woocommerce
    CROSSAISLE_KEY=... MAGENTO_TOKEN=... python orders.py magento --shop https://shop.example

The first two listen for webhooks and check their signatures. The last one polls Magento for orders that
changed. An order received twice counts once; a cancelled or refunded order is withdrawn. CROSSAISLE_KEY needs
the scope `write`. For webhooks, put a proxy with TLS in front.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from crossaisle.client import Client
from crossaisle.errors import CrossaisleError, ServiceError

LARGEST = 5_000_000
"""Bytes of a webhook, at most."""


class Order(NamedTuple):
    """An order of any of the three systems."""

    counts: bool | None
    """True: paid; False: cancelled or refunded; None: not paid yet."""
    events: list[dict[str, Any]]


def shopify(order: dict[str, Any]) -> Order:
    """Topics `orders/paid`, `orders/cancelled` and `refunds/create` (as an order: `orders/updated`)."""
    paid = order.get("financial_status") in ("paid", "partially_refunded")
    gone = bool(order.get("cancelled_at")) or order.get("financial_status") in ("refunded", "voided")
    # A guest's cart carries the visitor id: see docs/platforms/shopify.md.
    noted = {one["name"]: one["value"] for one in order.get("note_attributes") or ()}
    user = order.get("email") or noted.get("crossaisle") or f"basket:{order['name']}"
    lines = [line for line in order["line_items"] if line.get("sku")]
    events = [
        _event("shopify", order["id"], line["id"], user, line["sku"], order["created_at"], line)
        for line in lines
    ]
    return Order(False if gone else paid or None, events)


def woocommerce(order: dict[str, Any]) -> Order:
    """Topics `order.created` and `order.updated`."""
    status = order.get("status")
    user = order.get("billing", {}).get("email") or f"basket:{order['id']}"
    when = f"{order['date_created_gmt']}Z"
    events = [
        _event("woocommerce", order["id"], line["id"], user, line["product_id"], when, line)
        for line in order["line_items"]
    ]
    gone = status in ("cancelled", "refunded", "failed", "trash")
    return Order(False if gone else status in ("processing", "completed") or None, events)


def magento(order: dict[str, Any]) -> Order:
    """From `GET /rest/V1/orders`. The row of a variant follows its product's, which already has the SKU."""
    status = order.get("state")
    user = order.get("customer_email") or f"basket:{order['increment_id']}"
    when = order["created_at"].replace(" ", "T") + "Z"
    lines = [line for line in order["items"] if not line.get("parent_item_id")]
    events = [
        _event(
            "magento",
            order["increment_id"],
            line["item_id"],
            user,
            line["sku"],
            when,
            {"quantity": line["qty_ordered"], "price": line.get("price")},
        )
        for line in lines
    ]
    gone = status in ("canceled", "closed")
    return Order(False if gone else status in ("processing", "complete") or None, events)


def _event(
    shop: str, order: Any, number: Any, user: str, item: Any, when: str, line: dict[str, Any]
) -> dict[str, Any]:
    found = {
        "user": user,
        "item": str(item),
        "kind": "purchase",
        "time": when,
        "key": f"{shop}-{order}-{number}",
        "quantity": float(line["quantity"]),
    }
    return found if line.get("price") is None else {**found, "value": float(line["price"])}


READ: dict[str, Callable[[dict[str, Any]], Order]] = {
    "shopify": shopify,
    "woocommerce": woocommerce,
    "magento": magento,
}
SIGNED = {"shopify": "X-Shopify-Hmac-Sha256", "woocommerce": "X-WC-Webhook-Signature"}


def tell(client: Client, order: Order) -> int:
    """Sends the events of an order, or withdraws them; returns how many were new or withdrawn."""
    if order.counts is None or not order.events:
        return 0
    if order.counts:
        return client.events(order.events).accepted
    gone = 0
    for event in order.events:
        try:
            client.delete_event(event["key"])
        except ServiceError as error:
            if error.status != 404:
                raise
        else:
            gone += 1
    return gone


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Both systems sign with the base64 of HMAC-SHA256 over the body."""
    expected = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(expected.encode(), signature.encode())


def listener(shop: str, client: Client, secret: str, port: int = 8090) -> ThreadingHTTPServer:
    """A server for webhooks; the shop resends whatever is not answered with 200."""

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(min(length, LARGEST))
            if length > LARGEST or not is_signed(body, self.headers.get(SIGNED[shop]) or "", secret):
                return self.answer(401)
            try:
                order = json.loads(body)
                # WooCommerce tests a new address with a form.
                told = tell(client, READ[shop](order)) if "line_items" in order else 0
            except (ValueError, KeyError, TypeError) as error:
                self.log_error("not an order: %r", error)
                return self.answer(400)
            except CrossaisleError as error:
                self.log_error("%s", error)
                return self.answer(502)
            self.log_message("%s", f"{told} events")
            return self.answer(200)

        def answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return ThreadingHTTPServer(("127.0.0.1", port), Webhook)


def changed_orders(shop: str, token: str, since: datetime) -> Iterator[dict[str, Any]]:
    """Orders of a Magento shop changed since a time, read 100 a page."""
    page = 1
    while True:
        wanted = {
            "searchCriteria[filter_groups][0][filters][0][field]": "updated_at",
            "searchCriteria[filter_groups][0][filters][0][condition_type]": "gteq",
            "searchCriteria[filter_groups][0][filters][0][value]": f"{since:%Y-%m-%d %H:%M:%S}",
            "searchCriteria[pageSize]": 100,
            "searchCriteria[currentPage]": page,
        }
        request = urllib.request.Request(
            f"{shop}/rest/V1/orders?{urllib.parse.urlencode(wanted)}",
            headers={"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        yield from found["items"]
        if page * 100 >= found["total_count"]:
            return
        page += 1


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("system", choices=READ, help="the shop system")
    words.add_argument("--service", default="http://127.0.0.1:8080", help="address of the service")
    words.add_argument("--shop", help="Magento: address of the shop")
    words.add_argument("--port", type=int, default=8090, help="port that webhooks arrive at")
    words.add_argument("--every", type=float, default=60.0, help="Magento: seconds between polls")
    asked = words.parse_args()
    with Client(asked.service, key=os.environ.get("CROSSAISLE_KEY")) as client:
        if asked.system != "magento":
            secret = os.environ.get("WEBHOOK_SECRET")
            if not secret:
                words.error("WEBHOOK_SECRET is not set: the shop signs what it sends")
            return listener(asked.system, client, secret, asked.port).serve_forever()
        if not asked.shop or not os.environ.get("MAGENTO_TOKEN"):
            words.error("magento needs --shop and MAGENTO_TOKEN")
        since = datetime.now(UTC) - timedelta(days=1)
        while True:
            began = datetime.now(UTC)
            try:
                orders = changed_orders(asked.shop.rstrip("/"), os.environ["MAGENTO_TOKEN"], since)
                told = sum(tell(client, magento(order)) for order in orders)
                since = began - timedelta(minutes=5)  # clocks differ; duplicates count once
                print(f"{told} events", flush=True)
            except (OSError, CrossaisleError) as error:
                print(f"{error}; trying again", flush=True)
            time.sleep(asked.every)


if __name__ == "__main__":
    main()
