"""`PictureSimilarity`: products that look alike, also those that nobody has bought yet."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from crossaisle.data.dataset import Dataset
from crossaisle.encoders.projection import Projection
from crossaisle.errors import FetchError
from crossaisle.models.content import VectorModel

_LOG = logging.getLogger(__name__)
LEAST = 0.1
"""Share of the items with a picture at hand from which on a shop's models look at pictures."""


@dataclass(kw_only=True)
class PictureSimilarity(VectorModel):
    """Cosines between pictures of a history's items and of the candidates, as an image encoder sees them.

    Items without a picture, or with a damaged one, score NaN. The mean picture of the shop is taken off
    first: white backgrounds make everything look alike.
    """

    encoder: str = "efficientnet-lite0"
    """A known name, or a folder with a picture encoder."""
    hosts: Sequence[str] = ()
    """Hosts that pictures may be fetched from; none unless named."""
    dimensions: int = 256
    """Components kept of the pictures' vectors."""

    set_aside_: dict[str, str] = field(init=False, repr=False, compare=False)
    """Item id -> why its picture was set aside, of the last fit."""

    kind: ClassVar[str] = "picture"
    reason: ClassVar[str] = "similar picture"

    def __post_init__(self) -> None:
        self.hosts = tuple(self.hosts)  # a list where they come from JSON

    def fit(self, dataset: Dataset, *, progress: bool = False) -> PictureSimilarity:
        from crossaisle.encoders.image import open_image_encoder

        encoder = open_image_encoder(self.encoder, hosts=self.hosts)
        raw = encoder.encode([source or None for source in dataset.items["image"]], progress=progress)
        self.vectors_ = Projection.fit(raw).apply(raw, min(self.dimensions, raw.shape[1]))
        self.item_ids_ = dataset.item_ids
        self.set_aside_ = {dataset.item_ids.id(row): why for row, why in encoder.problems.items()}
        if self.set_aside_:
            first = next(iter(self.set_aside_.items()))
            _LOG.warning("%d pictures set aside, that of %s first: %s", len(self.set_aside_), *first)
        return self


def pictures_at_hand(dataset: Dataset, encoder: str, hosts: Sequence[str] = ()) -> bool:
    """Whether enough items have a picture that can be read here: a file, or an address of an allowed host."""
    sources = [source for source in dataset.items["image"] if source]
    allowed = {host.lower() for host in hosts}
    if encoder == "none" or len(sources) < LEAST * dataset.n_items:
        return False
    there = sum(_is_there(source, allowed) for source in sources)
    if there < LEAST * dataset.n_items:
        return False
    from crossaisle.encoders.weights import image_folder

    try:
        image_folder(encoder)
    except FetchError as error:
        _LOG.warning("items have pictures that are not looked at: %s", error)
        return False
    if find_spec("PIL") is None:
        _LOG.warning("items have pictures that are not looked at: pip install 'crossaisle[image]'")
        return False
    return True


def _is_there(source: str, hosts: set[str]) -> bool:
    try:
        if "://" in source:
            return (urlsplit(source).hostname or "").lower() in hosts
        return Path(source).is_file()
    except (OSError, ValueError):
        return False
