"""Which class a saved part belongs to, and how a scorer is made from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from crossaisle.decode import build
from crossaisle.errors import ArtifactError, ConfigError, nearest
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.als import ALS
from crossaisle.models.scorers.basket_lift import BasketLift
from crossaisle.models.scorers.category_link import CategoryLink
from crossaisle.models.scorers.cold_start.behaviour_transfer import BehaviourTransfer
from crossaisle.models.scorers.cold_start.transferred import TransferredLinks, TransferredPopularity
from crossaisle.models.scorers.complement import ComplementSoftmax
from crossaisle.models.scorers.content import EncoderSimilarity, TfidfSimilarity
from crossaisle.models.scorers.frequency import Frequency, PersonalPopularity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.knowledge import Knowledge
from crossaisle.models.scorers.leaf_lift import LeafLift
from crossaisle.models.scorers.linear import EASE, SLIT
from crossaisle.models.scorers.picture_similarity import PictureSimilarity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.scorers.sequence import SequenceTransformer
from crossaisle.models.scorers.spectral import SpectralEASE
from crossaisle.models.scorers.vectors.two_tower import TwoTower

_CLASSES = (
    Popularity,
    Frequency,
    ItemKNN,
    EASE,
    SLIT,
    TfidfSimilarity,
    EncoderSimilarity,
    SpectralEASE,
    CategoryLink,
    ComplementSoftmax,
    BehaviourTransfer,
    PictureSimilarity,
    BasketLift,
    LeafLift,
    PersonalPopularity,
    ALS,
    Knowledge,
    SequenceTransformer,
    TwoTower,
    TransferredPopularity,
    TransferredLinks,
)
SCORERS: dict[str, type[Scorer]] = {cls.kind: cls for cls in _CLASSES}
"""`Scorer.kind` -> class. Modules named in `ELSEWHERE` add theirs when they are loaded."""
ELSEWHERE = {"language_model": "crossaisle.training.decoder.language_scorer"}
"""Kinds whose module needs the training libraries: loaded only when such a model is asked for."""


def make(kind: str, settings: Mapping[str, Any]) -> Scorer:
    """An unfitted scorer from its kind and the settings that `Scorer.settings` gave."""
    if kind in ELSEWHERE and kind not in SCORERS:
        import_module(ELSEWHERE[kind])
    if kind not in SCORERS:
        raise ArtifactError(f"unknown model kind {kind!r}{nearest(kind, SCORERS)}")
    try:
        return build(SCORERS[kind], settings, kind, what="setting")
    except ConfigError as error:
        raise ArtifactError(str(error)) from None
