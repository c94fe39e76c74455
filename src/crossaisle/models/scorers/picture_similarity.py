"""`PictureSimilarity`: products that look alike, also those that nobody has bought yet."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.encoders.projection import Projection
from crossaisle.errors import FetchError
from crossaisle.extras import install_command
from crossaisle.models.base import pack_words, unpack_words
from crossaisle.models.scorers.vectors.vector_model import ReadingModel
from crossaisle.models.space import AnyDecay, Choice, Space

if TYPE_CHECKING:
    from crossaisle.encoders.fetching import Hosts

_LOG = logging.getLogger(__name__)
LEAST = 0.1
"""Share of the items with a picture at hand from which on a shop's models look at pictures."""
BLIND = "none"
"""In place of a fingerprint, of a model that reads no new pictures."""


@dataclass(kw_only=True)
class PictureSimilarity(ReadingModel):
    """Cosines between pictures of a history's items and of the candidates, as an image encoder sees them.

    Items without a picture, or with a damaged one, score NaN. The mean picture of the shop is taken off
    first: white backgrounds make everything look alike.
    """

    encoder: str = "efficientnet-lite0"
    """A known name, or a folder with a picture encoder."""
    hosts: Sequence[str] = ()
    """Hosts that pictures may be fetched from; none unless named."""
    dimensions: int = field(default=256, metadata={"low": 1, "high": 100_000})
    """Components kept of the pictures' vectors."""

    mean_: Floats = field(init=False, repr=False, compare=False)
    """float32 (d,): mean of the encoder's vectors."""
    axes_: Floats = field(init=False, repr=False, compare=False)
    """float32 (d, dimensions): what brings a vector of the encoder among `vectors_`."""
    fingerprint_: np.ndarray = field(init=False, repr=False, compare=False)
    """uint8: the encoder's fingerprint, UTF-8."""
    set_aside_: dict[str, str] = field(init=False, repr=False, compare=False)
    """Item id -> why its picture was set aside, of the last fit."""

    kind: ClassVar[str] = "picture"
    space: ClassVar[Space] = {"decay": AnyDecay(), "average": Choice((False, True))}
    reason: ClassVar[str] = "similar picture"
    learned: ClassVar[tuple[str, ...]] = ("vectors_", "mean_", "axes_", "fingerprint_")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hosts = tuple(self.hosts)  # a list where they come from JSON

    def fit(self, dataset: Dataset, *, progress: bool = False) -> PictureSimilarity:
        from crossaisle.encoders.images.image_encoder import open_image_encoder

        encoder = open_image_encoder(self.encoder, hosts=self.hosts)
        raw = encoder.encode([source or None for source in dataset.items["image"]], progress=progress)
        projection, width = Projection.fit(raw), min(self.dimensions, raw.shape[1])
        self.vectors_ = projection.apply(raw, width)
        self.mean_, self.axes_ = projection.mean_, np.ascontiguousarray(projection.axes_[:, :width])
        self.fingerprint_ = pack_words([encoder.fingerprint])
        self.item_ids_ = dataset.item_ids
        self.set_aside_ = {dataset.item_ids.id(row): why for row, why in encoder.problems.items()}
        if self.set_aside_:
            first = next(iter(self.set_aside_.items()))
            _LOG.warning("%d pictures set aside, that of %s first: %s", len(self.set_aside_), *first)
        return self

    @property
    def sees(self) -> str:
        """Fingerprint of the encoder whose vectors of new pictures it can read; "" where it can read none."""
        found = unpack_words(self.fingerprint_)[0]
        return "" if found == BLIND else found

    def restore(self, arrays: Mapping[str, np.ndarray], item_ids: Vocabulary) -> PictureSimilarity:
        """Models saved before new pictures could be read lack what it takes: they read none."""
        none = np.zeros((1, 1), np.float32)
        blank = {"mean_": none[0], "axes_": none, "fingerprint_": pack_words([BLIND])}
        super().restore(blank | dict(arrays), item_ids)
        return self

    def read(self, what: Floats) -> Floats:
        """float32 (n, dimensions) from vectors of the encoder, float32 (n, d)."""
        return Projection(mean_=self.mean_, axes_=self.axes_).apply(what, self.axes_.shape[1])


def pictures_at_hand(dataset: Dataset, encoder: str, hosts: Sequence[str] = ()) -> bool:
    """Whether enough items have a picture that can be read here: a file, or an address of an allowed host."""
    from crossaisle.encoders.fetching import Hosts

    sources = [source for source in dataset.items["image"] if source]
    allowed = Hosts.of(hosts)
    if encoder == "none" or len(sources) < LEAST * dataset.n_items:
        return False
    there = sum(_is_there(source, allowed) for source in sources)
    if there < LEAST * dataset.n_items:
        return False
    from crossaisle.encoders.weights import image_folder

    try:
        image_folder(encoder)
    except FetchError as error:
        _LOG.warning("items have pictures that are not encoded: %s", error)
        return False
    if find_spec("PIL") is None:
        _LOG.warning("items have pictures that are not encoded: %s", install_command("image"))
        return False
    return True


def _is_there(source: str, hosts: Hosts) -> bool:
    try:
        if "://" in source:
            return hosts.allows(source)
        return Path(source).is_file()
    except (OSError, ValueError):
        return False
