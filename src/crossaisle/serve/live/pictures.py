"""`Pictures`: pictures of new items, fetched or uploaded, encoded once, and kept.

Nothing is loaded or started before the first picture arrives: no pillow, no session, no thread.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from crossaisle.errors import ConflictError, CrossaisleError, DataError, FetchError, shorten
from crossaisle.models.scorers.picture_similarity import PictureSimilarity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import PictureLimits
from crossaisle.serve.store.store import Busy, Picture

if TYPE_CHECKING:
    from crossaisle.encoders.fetching import Hosts
    from crossaisle.encoders.images.image_encoder import ImageEncoder

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
LARGEST = 8_000_000
"""Bytes of a picture."""
TYPES = ("image/jpeg", "image/png", "image/webp")
BLIND = "the served model does not use pictures: fit one whose items have pictures (docs/images.md)"
Body = Mapping[str, Any]


def picture_model(base: Recommender) -> PictureSimilarity | None:
    """The part of a model that encodes new pictures, if it has one."""
    parts = base.blend.parts.values()
    return next((part for part in parts if isinstance(part, PictureSimilarity) and part.sees), None)


@contextmanager
def _naming(item: str, bodies: Mapping[str, Body]) -> Iterator[None]:
    """Names the item in an error, where there are several."""
    try:
        yield
    except DataError as error:
        if len(bodies) == 1:
            raise
        raise DataError(f"item {shorten(item)}: {error}") from None


def type_of(content: bytes) -> str:
    """Which of `TYPES` a stored picture is of."""
    if content.startswith(b"\x89PNG"):
        return "image/png"
    return "image/webp" if content[8:12] == b"WEBP" else "image/jpeg"


class Pictures:
    """Fetches and encodes the pictures of one shop."""

    def __init__(self, hosts: Sequence[str] = (), limits: PictureLimits = PictureLimits()) -> None:
        """`hosts`: where pictures may be fetched from; `ConfigError` for what is not a host."""
        self.named, self._limits = tuple(hosts), limits
        if hosts:
            _ = self.hosts
        self._fetching = ThreadPoolExecutor(limits.fetched_at_once, "fetching")
        self._encoding = ThreadPoolExecutor(1, "encoding")
        self._room = threading.BoundedSemaphore(limits.waiting)
        self._encoders: dict[str, ImageEncoder] = {}

    @cached_property
    def hosts(self) -> Hosts:
        """Where pictures may be fetched from."""
        from crossaisle.encoders.fetching import Hosts

        return Hosts.of(self.named)

    async def of(
        self, bodies: Mapping[str, Body], kept: Mapping[str, Picture], base: Recommender
    ) -> dict[str, Picture | None]:
        """New pictures of some items: None where one is removed, no entry where nothing changes.

        An address whose picture is encoded is not fetched again. Raises `DataError` for an address that may
        not or cannot be fetched, and for one that is not a picture; then nothing should be changed.
        """
        reader, changes, wanted = picture_model(base), dict[str, Picture | None](), dict[str, str]()
        for item, body in bodies.items():
            before, address = kept.get(item), body.get("image") or ""
            if address:
                with _naming(item, bodies):
                    self.hosts.target(address)
            if before is not None and before.address != address and (address or before.address):
                changes[item] = None
            seen = (
                before is not None
                and before.address == address
                and reader
                and before.fingerprint == reader.sees
            )
            if address and not seen:
                wanted[item] = address
        if reader is None or not wanted:
            return changes
        if len(wanted) > (most := self._limits.per_request):
            raise DataError(
                f"one request may have at most {most} new pictures fetched (found {len(wanted):,}): "
                "send several requests"
            )
        await self._run(self._encoding, self.encoder_of, reader)

        async def fetched(item: str, address: str) -> Picture:
            with _naming(item, bodies):
                return await self._fetched(address, reader)

        tasks = [asyncio.ensure_future(fetched(*item)) for item in wanted.items()]
        try:
            return changes | dict(zip(wanted, await asyncio.gather(*tasks), strict=True))
        finally:
            for task in tasks:
                task.cancel()

    async def sent(self, content: bytes, base: Recommender) -> Picture:
        """An uploaded picture, encoded; `ConflictError` where the model reads no pictures."""
        reader = picture_model(base)
        if reader is None:
            raise ConflictError(BLIND)
        return await self._run(self._encoding, self.encode, content, "", reader)

    async def _fetched(self, address: str, reader: PictureSimilarity) -> Picture:
        from crossaisle.encoders.fetching import fetch

        content = await self._run(self._fetching, lambda: fetch(address, self.hosts, largest=LARGEST))
        return await self._run(self._encoding, self.encode, content, address, reader)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
        """Runs slow work in a pool, outside the event loop and the thread of changes."""
        if not self._room.acquire(blocking=False):
            raise Busy("too many pictures are waiting: try again in a moment")
        future = pool.submit(work, *arguments)
        future.add_done_callback(lambda _: self._room.release())
        try:
            async with asyncio.timeout(self._limits.wait_seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Busy("fetching or encoding pictures takes too long: try again in a moment") from None

    def encoder_of(self, reader: PictureSimilarity) -> ImageEncoder:
        """The encoder that the model was fitted with; raises where it or pillow is not installed."""
        from crossaisle.encoders.images.image_encoder import open_image_encoder
        from crossaisle.encoders.images.read_picture import require_pillow

        require_pillow()
        if reader.sees not in self._encoders:
            encoder = open_image_encoder(reader.encoder, threads=1)
            if encoder.fingerprint != reader.sees:
                raise FetchError(
                    f"the weights of the picture encoder {reader.encoder!r} are not those that the model was "
                    "fitted with: restore those, or fit again"
                )
            self._encoders[reader.sees] = encoder
        return self._encoders[reader.sees]

    def encode(self, content: bytes, address: str, reader: PictureSimilarity) -> Picture:
        """A picture with its vector, the same as when a model is fitted. Slow: not in the event loop."""
        from crossaisle.encoders.base import unit_rows
        from crossaisle.encoders.cache import content_key
        from crossaisle.encoders.images.read_picture import read_picture

        where = "the picture at that address" if address else "the picture"
        if not content:
            raise DataError(f"{where} is empty")
        if len(content) > LARGEST:
            raise DataError(f"{where} is larger than {LARGEST // 1_000_000} MB")
        try:
            image = read_picture(content, pixels=self._limits.pixels)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
        (vector,) = unit_rows(self.encoder_of(reader).frames([image])).astype(np.float16)
        return Picture(content_key(content), address, reader.sees, vector, content)

    def looked_at_by(
        self, base: Recommender, kept: Mapping[str, Picture], content: Callable[[str], bytes | None]
    ) -> dict[str, Picture]:
        """Pictures that another encoder has encoded, encoded again by that of the model. Slow.

        What it cannot encode is left out: such an item is placed by its text.
        """
        reader, encoded = picture_model(base), dict[str, Picture]()
        for item, picture in kept.items() if reader else ():
            if reader is None or picture.fingerprint == reader.sees:
                continue
            try:
                if data := picture.content or content(item):
                    encoded[item] = self.encode(data, picture.address, reader)
            except CrossaisleError as error:
                _LOG.warning("picture of item %s is not encoded: %s", shorten(item), error)
        return encoded

    def close(self) -> None:
        """Drops what has not begun, and waits for nothing."""
        for pool in (self._fetching, self._encoding):
            pool.shutdown(wait=False, cancel_futures=True)
