"""The index beside a saved model, `MODEL.index`: built once, found whenever the model is loaded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crossaisle.artifact import INDEX, MANIFEST, read_object
from crossaisle.errors import ArtifactError, ConfigError
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.content import EncoderSimilarity
from crossaisle.models.search.in_database import Elsewhere, build_in_database, in_database, open_in_database
from crossaisle.models.search.row_index import RowIndex
from crossaisle.models.search.sharded_search import build_index, open_index

_LOG = logging.getLogger(__name__)


def place_beside(model: str | Path) -> Path:
    """Where the index of a saved model lies."""
    model = Path(model)
    return model.with_name(f"{model.name}{INDEX}")


def build_beside(
    model: str | Path,
    parts: Mapping[str, Scorer],
    categories: npt.NDArray[np.int32],
    *,
    database: str | None = None,
    progress: bool = False,
) -> Path:
    """Indexes the encoder's vectors of a saved model, by categories int32 (n_items,); returns the place.

    `database`: address of a PostgreSQL with pgvector, which then holds them; the place leads to it. Raises
    `ConfigError` for a model without such vectors, and what `build_index` and `build_in_database` raise.
    """
    name, part = _encoder(parts)
    if part is None:
        raise ConfigError(
            f"{model}: reads no texts with an encoder (model.encoder is none): nothing to index"
        )
    place, source = place_beside(model), _source(Path(model), name)
    if database is None:
        build_index(place, part.vectors_, categories, source=source, progress=progress)
    else:
        build_in_database(place, database, part.vectors_, categories, source=source)
    return place


def attach(model: str | Path, parts: Mapping[str, Scorer]) -> None:
    """Lets the encoder part of a loaded model search in the index beside it, where there is one for it.

    One that is damaged is told of and not used: a model needs none.
    """
    place, (name, part) = place_beside(model), _encoder(parts)
    if part is None or not place.is_dir():
        return
    source = _source(Path(model), name)
    try:
        other = read_object(place / "index.json").get("source") != source
        found: RowIndex | None = None
        if not other and in_database(place):
            found = Elsewhere(open_in_database(place), lambda: part.in_memory)
        elif not other:
            found = open_index(place)
    except ArtifactError as error:
        why = str(error).removesuffix("; restore it or fit again")  # the model is well
        _LOG.warning("%s; the index is not used: run crossaisle index %s", why, model)
        return
    if found is None:
        _LOG.warning(
            "%s: was built from other vectors than the model's and is not used: run crossaisle index %s",
            place,
            model,
        )
        return
    part.search_in(found)


def _encoder(parts: Mapping[str, Scorer]) -> tuple[str, EncoderSimilarity | None]:
    return next(((name, p) for name, p in parts.items() if isinstance(p, EncoderSimilarity)), ("", None))


def _source(model: Path, part: str) -> str:
    """What the vectors are: their digest in the model's manifest."""
    return str(read_object(model / MANIFEST)["sha256"][f"parts/{part}/vectors_.npy"])
