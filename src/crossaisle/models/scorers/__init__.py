"""One file per scorer: a class that is fitted on a data set and gives every item a score for a history.

The scorers can be imported from here; each module is loaded when its scorer is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossaisle.models.scorers.als import ALS as ALS
    from crossaisle.models.scorers.basket_lift import BasketLift as BasketLift
    from crossaisle.models.scorers.category_link import CategoryLink as CategoryLink
    from crossaisle.models.scorers.cold_start.behaviour_transfer import BehaviourTransfer as BehaviourTransfer
    from crossaisle.models.scorers.cold_start.transferred import TransferredLinks as TransferredLinks
    from crossaisle.models.scorers.cold_start.transferred import (
        TransferredPopularity as TransferredPopularity,
    )
    from crossaisle.models.scorers.complement import ComplementSoftmax as ComplementSoftmax
    from crossaisle.models.scorers.content import EncoderSimilarity as EncoderSimilarity
    from crossaisle.models.scorers.content import TfidfSimilarity as TfidfSimilarity
    from crossaisle.models.scorers.frequency import Frequency as Frequency
    from crossaisle.models.scorers.frequency import PersonalPopularity as PersonalPopularity
    from crossaisle.models.scorers.item_knn import ItemKNN as ItemKNN
    from crossaisle.models.scorers.knowledge import Knowledge as Knowledge
    from crossaisle.models.scorers.leaf_lift import LeafLift as LeafLift
    from crossaisle.models.scorers.linear import EASE as EASE
    from crossaisle.models.scorers.linear import SLIT as SLIT
    from crossaisle.models.scorers.picture_similarity import PictureSimilarity as PictureSimilarity
    from crossaisle.models.scorers.popularity import Popularity as Popularity
    from crossaisle.models.scorers.sequence import SequenceTransformer as SequenceTransformer
    from crossaisle.models.scorers.spectral import SpectralEASE as SpectralEASE
    from crossaisle.models.scorers.vectors.two_tower import TwoTower as TwoTower

_HOME = {
    "ALS": "als",
    "BasketLift": "basket_lift",
    "BehaviourTransfer": "cold_start.behaviour_transfer",
    "CategoryLink": "category_link",
    "ComplementSoftmax": "complement",
    "EASE": "linear",
    "EncoderSimilarity": "content",
    "Frequency": "frequency",
    "ItemKNN": "item_knn",
    "Knowledge": "knowledge",
    "LeafLift": "leaf_lift",
    "PersonalPopularity": "frequency",
    "PictureSimilarity": "picture_similarity",
    "Popularity": "popularity",
    "SLIT": "linear",
    "SequenceTransformer": "sequence",
    "SpectralEASE": "spectral",
    "TfidfSimilarity": "content",
    "TransferredLinks": "cold_start.transferred",
    "TransferredPopularity": "cold_start.transferred",
    "TwoTower": "vectors.two_tower",
}
"""Scorer -> the module it lives in."""

__all__ = [
    "ALS",
    "EASE",
    "SLIT",
    "BasketLift",
    "BehaviourTransfer",
    "CategoryLink",
    "ComplementSoftmax",
    "EncoderSimilarity",
    "Frequency",
    "ItemKNN",
    "Knowledge",
    "LeafLift",
    "PersonalPopularity",
    "PictureSimilarity",
    "Popularity",
    "SequenceTransformer",
    "SpectralEASE",
    "TfidfSimilarity",
    "TransferredLinks",
    "TransferredPopularity",
    "TwoTower",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
