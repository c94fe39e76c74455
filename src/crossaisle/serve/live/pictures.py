"""`Pictures`: pictures of items that were put in, fetched or sent, looked at once, and kept.

Nothing here is loaded or started before the first picture comes: no pillow, no session, no thread.
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
from crossaisle.serve.live.limits import PictureLimits
from crossaisle.serve.store.store import Busy, Picture

if TYPE_CHECKING:
    from crossaisle.encoders.fetching import Hosts
    from crossaisle.encoders.images.image_encoder import ImageEncoder

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
LARGEST = 8_000_000
"""Bytes of a picture."""
TYPES = ("image/jpeg", "image/png", "image/webp")
BLIND = "the served model looks at no pictures: fit one whose items have pictures (docs/images.md)"
Body = Mapping[str, Any]


def eyes(base: Recommender) -> PictureSimilarity | None:
    """The part of a model that can read new pictures, if it has one."""
    parts = base.blend.parts.values()
    return next((part for part in parts if isinstance(part, PictureSimilarity) and part.sees), None)


@contextmanager
def _naming(item: str, bodies: Mapping[str, Body]) -> Iterator[None]:
    """Errors say which item they are about, where there are several."""
    try:
        yield
    except DataError as error:
        if len(bodies) == 1:
            raise
        raise DataError(f"item {shorten(item)}: {error}") from None


class Pictures:
    """How one shop comes by pictures and what they show."""

    def __init__(self, hosts: Sequence[str] = (), limits: PictureLimits = PictureLimits()) -> None:
        """`hosts`: where pictures may be fetched from; `ConfigError` for what is no host."""
        self._named, self._limits = tuple(hosts), limits
        if hosts:
            _ = self.hosts
        self._fetching = ThreadPoolExecutor(limits.fetched_at_once, "fetching")
        self._looking = ThreadPoolExecutor(1, "looking")
        self._room = threading.BoundedSemaphore(limits.waiting)
        self._encoders: dict[str, ImageEncoder] = {}

    @cached_property
    def hosts(self) -> Hosts:
        """Where pictures may be fetched from."""
        from crossaisle.encoders.fetching import Hosts

        return Hosts.of(self._named)

    async def of(
        self, bodies: Mapping[str, Body], kept: Mapping[str, Picture], base: Recommender
    ) -> dict[str, Picture | None]:
        """What becomes of the pictures of some items: a picture, None where it goes, nothing where it stays.

        An address that was looked at is not fetched again. Raises `DataError` for an address that may not or
        cannot be fetched and for what is no picture there; then nothing should be changed.
        """
        eye, found, wanted = eyes(base), dict[str, Picture | None](), dict[str, str]()
        for item, body in bodies.items():
            before, address = kept.get(item), body.get("image") or ""
            if address:
                with _naming(item, bodies):
                    self.hosts.target(address)
            if before is not None and before.address != address and (address or before.address):
                found[item] = None
            seen = before is not None and before.address == address and eye and before.fingerprint == eye.sees
            if address and not seen:
                wanted[item] = address
        if eye is None or not wanted:
            return found
        if len(wanted) > (most := self._limits.per_request):
            raise DataError(
                f"one request may have at most {most} new pictures fetched (found {len(wanted):,}): "
                "send several requests"
            )
        await self._run(self._looking, self.ready, eye)

        async def fetched(item: str, address: str) -> Picture:
            with _naming(item, bodies):
                return await self._fetched(address, eye)

        tasks = [asyncio.ensure_future(fetched(*one)) for one in wanted.items()]
        try:
            return found | dict(zip(wanted, await asyncio.gather(*tasks), strict=True))
        finally:
            for task in tasks:
                task.cancel()

    async def sent(self, content: bytes, base: Recommender) -> Picture:
        """A picture that came with the request; `ConflictError` where the model looks at none."""
        eye = eyes(base)
        if eye is None:
            raise ConflictError(BLIND)
        return await self._run(self._looking, self.look, content, "", eye)

    async def _fetched(self, address: str, eye: PictureSimilarity) -> Picture:
        from crossaisle.encoders.fetching import fetch

        content = await self._run(self._fetching, lambda: fetch(address, self.hosts, largest=LARGEST))
        return await self._run(self._looking, self.look, content, address, eye)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
        """Beside the event loop and the thread of changes."""
        if not self._room.acquire(blocking=False):
            raise Busy("too many pictures are waiting: try again in a moment")
        future = pool.submit(work, *arguments)
        future.add_done_callback(lambda _: self._room.release())
        try:
            async with asyncio.timeout(self._limits.wait_seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Busy("pictures take too long to be fetched: try again in a moment") from None

    def ready(self, eye: PictureSimilarity) -> ImageEncoder:
        """The encoder that the model was fitted with; raises where it or pillow is not installed."""
        from crossaisle.encoders.images.image_encoder import open_image_encoder
        from crossaisle.encoders.images.read_picture import require_pillow

        require_pillow()
        if eye.sees not in self._encoders:
            encoder = open_image_encoder(eye.encoder, threads=1)
            if encoder.fingerprint != eye.sees:
                raise FetchError(
                    f"the weights of the picture encoder {eye.encoder!r} are not those that the model was "
                    "fitted with: put these back, or fit again"
                )
            self._encoders[eye.sees] = encoder
        return self._encoders[eye.sees]

    def look(self, content: bytes, address: str, eye: PictureSimilarity) -> Picture:
        """What an encoder sees, the same as when a model is fitted. Slow: not in the event loop."""
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
        (vector,) = unit_rows(self.ready(eye).frames([image])).astype(np.float16)
        return Picture(content_key(content), address, eye.sees, vector, content)

    def looked_at_by(
        self, base: Recommender, kept: Mapping[str, Picture], content: Callable[[str], bytes | None]
    ) -> dict[str, Picture]:
        """Kept pictures that another encoder has looked at, looked at by that of the model. Slow.

        What it cannot look at is left out: such an item is placed by its text.
        """
        eye, found = eyes(base), dict[str, Picture]()
        for item, picture in kept.items() if eye else ():
            if eye is None or picture.fingerprint == eye.sees:
                continue
            try:
                if data := picture.content or content(item):
                    found[item] = self.look(data, picture.address, eye)
            except CrossaisleError as error:
                _LOG.warning("picture of item %s is not looked at: %s", shorten(item), error)
        return found

    def close(self) -> None:
        """Waits for nothing that has not begun."""
        for pool in (self._fetching, self._looking):
            pool.shutdown(wait=False, cancel_futures=True)
