"""A browser for the tests of a module, and a shop with what a page has to cope with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from crossaisle.client import Client
from crossaisle.data.dataset import Dataset
from crossaisle.serve.service import ShopService
from tests.serve.conftest import fitted, running

LONG = "An extraordinarily long title of a product that nobody ever cut short " * 8
PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a server of pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "jam.png").write_bytes(PIXEL)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def shop_window(shop: Dataset, pictures: str, tmp_path: Path) -> Iterator[tuple[str, ShopService]]:
    """Address and service of a shop with a picture, a link, a currency, something sold out, a long title and
    markup in a title.
    """
    from dataclasses import replace

    fitted(replace(shop, currency="EUR")).save(tmp_path / "models" / "a")
    fitted(shop, popularity=100.0).save(tmp_path / "models" / "b")
    service = ShopService.open(
        tmp_path / "models" / "a", tmp_path / "s.sqlite", tmp_path / "models", image_hosts=[pictures]
    )
    with running(service) as address:
        with Client(address) as client:
            jam = {"image": f"http://{pictures}/jam.png", "url": "https://shop.example.com/jam"}
            client.patch_item("jam", **jam, attributes={"colour": "red", "jar": "glass"})
            client.patch_item("cheese", in_stock=False)
            client.put_item("long", title=LONG, categories=[["Pantry", "Spreads"]], price=3.0)
            client.put_item("bold", title="<x-bold onclick=alert(1)>Bold</x-bold> bread", price=1.5)
        yield address, service
    service.close()
