"""A shop with pictures, and a server of more of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from crossaisle.models.blend import Blend
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.picture_similarity import PictureSimilarity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.service import ShopService
from tests.encoders.tiny_pictures import png, vision_encoder
from tests.models.scorers.test_picture_similarity import with_pictures
from tests.models.shops import tiny_shop

MILK, BREAD, SPADE = (251, 249, 202), (241, 219, 152), (22, 41, 58)
PNG = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of a shop with pictures: `seeing`; `other`, with another encoder; and `blind`."""
    folder = tmp_path_factory.mktemp("seeing")
    shop = with_pictures(tiny_shop(), folder / "pictures")
    for name in ("seeing", "other", "blind"):
        parts = {"popularity": Popularity(), "item_knn": ItemKNN(shrink=1.0), "tfidf": TfidfSimilarity()}
        weights = {"for_you": {"popularity": 0.1, "item_knn": 1.0}, "similar": {"tfidf": 1.0}}
        if name != "blind":
            encoder = vision_encoder(folder / f"encoder-{name}", seed=len(name))
            parts["picture"] = PictureSimilarity(encoder=str(encoder), dimensions=16)
            weights["similar"] = {"picture": 1.0}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CROSSAISLE_CACHE", str(folder / "cache"))
            Recommender(shop, Blend(parts=parts, weights=weights).fit(shop)).save(folder / "models" / name)
    return folder / "models"


@pytest.fixture
def gallery() -> Iterator[tuple[str, list[str]]]:
    """A server of pictures: its host, and what it was asked for."""
    asked: list[str] = []
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/hangs":
                done.wait(20)
            if self.path == "/away":
                self.send_response(302)
                self.send_header("Location", "http://169.254.169.254/")
                self.end_headers()
                return
            content = {"/words": b"no picture", "/large": b"x" * 9_000_000}.get(self.path, png(MILK))
            self.send_response(404 if self.path == "/gone" else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(OSError):  # nobody waits for it any more
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}", asked
    done.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def seeing(models: Path, tmp_path: Path, gallery: tuple[str, list[str]]) -> Iterator[ShopService]:
    opened = ShopService.open(models / "seeing", tmp_path / "s.sqlite", models, image_hosts=[gallery[0]])
    yield opened
    opened.close()


def kinds(answer: httpx.Response) -> list[str]:
    """What kinds of items a list has, best first."""
    assert answer.status_code == 200, answer.text
    return [one["item_id"].rstrip("0123456789") for one in answer.json()["items"]]


async def place(client: httpx.AsyncClient, item: str) -> str:
    """What kind of item a new one is most like."""
    found = kinds(await client.get(f"/api/items/{item}/similar?n=3"))
    assert len(set(found)) == 1, found
    return found[0]
