"""Which items of the model a new item resembles, by its text and its picture, and how much."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from scipy import sparse

from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.encoders.base import unit_rows
from crossaisle.models.newcomers import LEAST, NEAREST, links_to
from crossaisle.models.scorers.vectors.vector_model import ReadingModel, TextModel
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.pictures import picture_model
from crossaisle.serve.store.records import Picture

AT_ONCE = 256
"""New items whose similarities to all others are in memory at once."""
Said = tuple[str, bytes]
"""What places a new item: its text, and the digest of its picture (b"" without one that can be read)."""
Side = tuple[Rows, Callable[[Rows], Floats]]
"""int32 rows among which the most alike are, and how alike any rows are."""
_NO_ROWS: Rows = np.empty(0, np.int32)


def links_of(
    base: Recommender, said: list[Said], pictures: Mapping[bytes, Picture], limits: LiveLimits
) -> sparse.csr_matrix:
    """csr float32 (len(said), n_items): what a new item gets of the scores of items like it."""
    alike = _alike(base, said, pictures, limits)
    if base.newcomers is not None:  # what is lent is not lent on
        borrowing = np.zeros(base.dataset.n_items, bool)
        borrowing[base.newcomers.rows] = True
        alike = ((rows, np.where(borrowing[rows], np.float32(0.0), likeness)) for rows, likeness in alike)
    return links_to(alike, base.dataset.n_items)


def _alike(
    base: Recommender, said: list[Said], pictures: Mapping[bytes, Picture], limits: LiveLimits
) -> Iterator[tuple[Rows, Floats]]:
    """For each new item int32 rows and their similarity to it: by text, by picture, or on average."""
    parts = [part for part in base.blend.parts.values() if isinstance(part, TextModel)]
    for start in range(0, len(said), AT_ONCE):
        some = said[start : start + AT_ONCE]
        texts = _sides(parts, [text for text, _ in some], len(some), base.dataset.n_items, limits)
        with_picture = [at for at, (_, digest) in enumerate(some) if digest]
        reader = picture_model(base) if with_picture else None
        if reader is None:
            yield from ((rows, likeness(rows)) for rows, likeness in texts)
            continue
        seen = np.stack([pictures[some[at][1]].vector for at in with_picture])
        looks = dict(
            zip(
                with_picture,
                _sides([reader], unit_rows(seen), len(with_picture), base.dataset.n_items, limits),
                strict=True,
            )
        )
        for at, text in enumerate(texts):
            yield _together(text, looks.get(at), reader.known)


def _together(text: Side, look: Side | None, has_picture: np.ndarray) -> tuple[Rows, Floats]:
    """The mean of text and picture, where both have similar items.

    A side without any is left out: a picture without a title, a title without known words. Items without a
    picture are compared by text alone.
    """
    said = text[1](text[0])
    if look is None:
        return text[0], said
    shown = look[1](look[0])
    if said.max(initial=0.0) < LEAST:
        return look[0], shown
    if shown.max(initial=0.0) < LEAST:
        return text[0], said
    rows = np.union1d(text[0], look[0]).astype(np.int32)
    said, shown = text[1](rows), look[1](rows)
    return rows, np.where(has_picture[rows], (said + shown) / 2, said).astype(np.float32)


def _sides(parts: list[Any], what: Any, count: int, n: int, limits: LiveLimits) -> list[Side]:
    """For each of `count` things read now, the mean of all parts."""
    kinds: list[ReadingModel] = parts
    if n <= limits.large_items or not kinds:
        likeness = np.zeros((count, n), np.float32)
        for part in kinds:
            likeness += part.likeness(what) / len(kinds)
        every = np.arange(n, dtype=np.int32)
        return [(every, row.__getitem__) for row in likeness]
    sides: list[Side] = []
    for of_parts in zip(*(part.near(what, NEAREST) for part in kinds), strict=True):
        rows = np.unique(np.concatenate([_NO_ROWS, *(rows for rows, _ in of_parts)]))
        sides.append((rows, _mean([cosines for _, cosines in of_parts])))
    return sides


def _mean(of: list[Callable[[Rows], Floats]]) -> Callable[[Rows], Floats]:
    return lambda rows: np.mean([cosines(rows) for cosines in of], axis=0)
