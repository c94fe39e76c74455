"""A small shop behind the service, asked in-process."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs pip install 'crossaisle[serve]'")
import httpx

from benchmarks.local_servers import Missing, Postgres
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.scorers.vectors.vector_model import VectorModel
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.api.app import create_app
from crossaisle.serve.limits.server import ServerLimits
from crossaisle.serve.limits.serving import ServingLimits
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.server.protocol import Connections, config
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Event, Store
from crossaisle.serve.tenants import ShopRegistry, read_shops
from tests.serve.browser import Browser, opened

_NUMBERS = count()


def fitted(shop: Dataset, *, popularity: float = 0.1) -> Recommender:
    parts = {
        "popularity": Popularity(),
        "item_knn": ItemKNN(shrink=1.0, decay=Decay(half_life_days=20.0)),
        "tfidf": TfidfSimilarity(),
    }
    weights = {
        "for_you": {"popularity": popularity, "item_knn": 1.0},
        "similar": {"tfidf": 1.0},
    }
    return Recommender(shop, Blend(parts=parts, weights=weights).fit(shop))


@pytest.fixture(scope="session")
def model(shop: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: `a`, and `b`, which leans on popularity."""
    folder = tmp_path_factory.mktemp("models")
    fitted(shop).save(folder / "a")
    fitted(shop, popularity=100.0).save(folder / "b")
    return folder / "a"


@pytest.fixture
def service(model: Path, tmp_path: Path) -> Iterator[ShopService]:
    opened = ShopService.open(model, tmp_path / "store.sqlite", model.parent)
    yield opened
    opened.close()


def served(
    model: Path, place: str | Path, limits: StoreLimits, models: str | Path | None = None
) -> ShopService:
    """A service whose store has limits of its own."""
    return ShopService.open(model, place, models, limits=ServingLimits(store=limits))


def as_if_large(base: Recommender) -> None:
    """Has the scorers of a small shop search their vectors as those of a large one do."""
    for part in base.blend.parts.values():
        if isinstance(part, VectorModel):
            part.large_items = 5


def always_fresh(*services: ShopService) -> None:
    """From now on keys are read again for every request."""
    for one in services:
        one.store.limits = replace(one.store.limits, fresh_key_seconds=-1.0)


@pytest.fixture
def folder(model: Path, tmp_path: Path) -> Path:
    """`shops.toml` with two shops whose people and items have the same ids."""
    for name in ("north", "south"):
        shutil.copytree(model, tmp_path / name / "models" / "a")
        shutil.copytree(model.parent / "b", tmp_path / name / "models" / "b")
    (tmp_path / "shops.toml").write_text(
        '[north]\nmodel = "north/models/a"\nmodels = "north/models"\nstore = "north.sqlite"\n'
        '[south]\nmodel = "south/models/b"\nmodels = "south/models"\nrate = 1e6\n'
    )
    return tmp_path


@pytest.fixture
def shops(folder: Path) -> Iterator[ShopRegistry]:
    opened = ShopRegistry.open(read_shops(folder / "shops.toml"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real server, or the test is skipped."""
    try:
        server = Postgres()
    except Missing as missing:
        pytest.skip(str(missing))
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """Where a new store may be: on both engines."""
    if request.param == "sqlite":
        return tmp_path / "s.sqlite"
    server: Postgres = request.getfixturevalue("postgres")
    return f"{server.url}&schema=test_{next(_NUMBERS)}"


Talk = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]


def events_of(store: Store, user: str) -> list[Event]:
    """A person's events, oldest first."""
    return sorted((one for _, one in store.events() if one.user == user), key=lambda one: one.time)


def talk(service: ShopService | ShopRegistry, conversation: Talk, **settings: Any) -> None:
    """Runs a conversation with the service."""

    async def run() -> None:
        transport = httpx.ASGITransport(app=create_app(service, **settings), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await conversation(client)

    asyncio.run(run())


@contextmanager
def listening(
    service: ShopService | ShopRegistry, port: int = 0, *, server: ServerLimits = ServerLimits(), **more: Any
) -> Iterator[tuple[str, Connections]]:
    """A real server on a real port, in a thread of its own; gives its address and its connections."""
    import uvicorn

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", port))
        made = config(create_app(service, **more), limits=server, log_level="warning")
        uvicorn_server = uvicorn.Server(made)
        thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            while not uvicorn_server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{bound.getsockname()[1]}", made.connections
        finally:
            uvicorn_server.should_exit = True
            thread.join(timeout=20)


@contextmanager
def running(service: ShopService | ShopRegistry, port: int = 0, **more: Any) -> Iterator[str]:
    """The same; gives the address only."""
    with listening(service, port, **more) as (address, _):
        yield address


@pytest.fixture
def address(service: ShopService) -> Iterator[str]:
    """Where the service listens."""
    with running(service) as url:
        yield url


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs chromium, to click through the page in it")
    with opened(found, tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """The module's browser, as if it had just been started: another port is another origin."""
    chromium.media()
    chromium.size(1280, 900)
    chromium.open("about:blank")
    chromium.until("location.href === 'about:blank'")
    chromium.complaints.clear()
    return chromium
