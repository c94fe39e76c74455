"""`ShardedRows`: `NearestRows` over files, for more rows than fit in memory as float32.

A shard holds some hundred thousand rows twice: as int8 codes, which a search reads from end to end, and as
half-precision vectors, of which it reads those that it has nominated. Within a shard the rows of a category
lie together, so that a filter by category reads a part of it only. Files are mapped: how much of them
stays in memory is the system's choice.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from crossaisle.artifact import MANIFEST, check, may_replace, read_object, reading, write_json, writing
from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ArtifactError, ConfigError, DataError
from crossaisle.models.search.int8_search import BLOCK, LEAST, Codes, code_products, coded_queries
from crossaisle.models.topk import Mask, top_k
from crossaisle.progress import bar

KIND, SHARD_KIND = "index", "index-shard"
SHARD = 262_144
"""Rows of a shard: 100 MB of codes at 384 dimensions, and 700 MB of memory to write."""
OVERSAMPLE = 4
"""Times as many rows as are wanted are nominated by codes and compared by vectors."""
RUN = 512
"""Rows of a piece of a shard, which is read if a filter leaves any row of it."""
ARRAYS = ("codes", "vectors", "rows", "categories", "starts", "known", "step")
"""Of a shard, each a file."""
_OURS = re.compile(
    rf"index\.json|(shard-\d{{10}}/)?({'|'.join(ARRAYS)})\.npy|shard-\d{{10}}|{re.escape(MANIFEST)}"
)
"""What an index consists of."""
Pieces = list[slice]


class Matrix(Protocol):
    """float32 or float16 (n, d), read a slice at a time: an array, a mapped one, or anything that acts so."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, part: slice, /) -> Any: ...


@dataclass(frozen=True)
class Shard:
    """Rows `rows.min()` to `rows.max()` of the matrix, ordered by category."""

    codes: Codes
    """int8 (m, d): multiples of `step`."""
    vectors: npt.NDArray[np.float16]
    """float16 (m, d)"""
    rows: Rows
    """int32 (m,): the row of the matrix at each place."""
    categories: Rows
    """int32 (c,), ascending: the categories of these rows,"""
    starts: npt.NDArray[np.int64]
    """int64 (c + 1,): and where each begins."""
    known: npt.NDArray[np.bool_]
    """bool (m,): rows that are not all zeros."""
    step: np.float32
    """What 1 stands for in the codes."""

    def pieces(self, categories: npt.NDArray[np.int32]) -> Pieces:
        """Where the rows of some categories lie."""
        here = np.flatnonzero(np.isin(self.categories, categories)).tolist()
        return [slice(int(self.starts[at]), int(self.starts[at + 1])) for at in here]

    def filled(self, allowed: Mask) -> Pieces:
        """Runs of `RUN` rows in which bool (m,) leaves any."""
        edges = np.arange(0, len(allowed), RUN)
        some = np.concatenate([[False], np.logical_or.reduceat(allowed, edges), [False]])
        first, last = np.flatnonzero(~some[:-1] & some[1:]), np.flatnonzero(some[:-1] & ~some[1:])
        return [slice(a * RUN, b * RUN) for a, b in zip(first.tolist(), last.tolist(), strict=True)]

    def best(self, queries: Codes, k: int, pieces: Pieces, allowed: Mask | None) -> tuple[Rows, Floats]:
        """Places int32 (b, at most k) of the best rows by codes int8 (b, d), -1 for none; their products."""
        places = np.concatenate([np.arange(*p.indices(len(self.rows)), dtype=np.int32) for p in pieces])
        products: list[npt.NDArray[Any]] = [code_products(self.codes[p], queries) for p in pieces]
        sums = products[0] if len(products) == 1 else np.concatenate(products, axis=1)
        if allowed is not None:
            sums[:, ~allowed[places]] = LEAST
        found = top_k(sums, min(k, len(places)))
        value = np.take_along_axis(sums, found, axis=1)
        taken = value > LEAST
        return np.where(taken, places[found], -1), np.where(taken, value * self.step, -np.inf)


@dataclass(frozen=True)
class ShardedRows:
    """Rows of a saved index, opened by `open_index`."""

    shards: tuple[Shard, ...]
    oversample: int = OVERSAMPLE

    @cached_property
    def n(self) -> int:
        """Rows of the matrix."""
        return sum(len(shard.rows) for shard in self.shards)

    def search(self, queries: Floats, k: int, among: Mask | None = None) -> Rows:
        """int32 (len(queries), k): rows by their products with float32 (b, d) queries, best first.

        Nominated by codes, compared by half-precision vectors. `among` bool (n,): rows that come before all
        others, which follow by number.
        """
        k = min(k, self.n)
        if not k or not len(queries):
            return np.empty((len(queries), k), np.int32)
        parts: list[tuple[Shard, Pieces, Mask | None]] = []
        for shard in self.shards:
            allowed = None if among is None else among[shard.rows]
            parts.append((shard, [slice(None)] if allowed is None else shard.filled(allowed), allowed))
        found = self._found(queries, k, parts)
        return np.stack([_filled_up(rows, k) for rows in found])

    def within(self, queries: Floats, k: int, categories: Sequence[int]) -> list[list[int]]:
        """The same, of some categories only: at most `k` rows for each query."""
        wanted = np.asarray(categories, np.int32)
        parts = [(shard, shard.pieces(wanted), None) for shard in self.shards]
        return [rows.tolist() for rows in self._found(queries, min(k, self.n), parts)]

    def _found(
        self, queries: Floats, k: int, parts: Sequence[tuple[Shard, Pieces, Mask | None]]
    ) -> list[Rows]:
        """For each query int32 (at most k,): its rows, best first."""
        codes, more = coded_queries(queries), k * self.oversample
        read = [(shard, *shard.best(codes, more, pieces, mask)) for shard, pieces, mask in parts if pieces]
        out = []
        for at, query in enumerate(queries):
            about = np.concatenate([np.empty(0, np.float32), *(value[at] for _, _, value in read)])
            floor = np.partition(about, -more)[-more] if len(about) > more else np.float32(-np.inf)
            rows, exact = [np.empty(0, np.int32)], [np.empty(0, np.float32)]
            for shard, place, value in read:
                chosen = np.sort(place[at][(value[at] >= floor) & (place[at] >= 0)])
                rows.append(shard.rows[chosen])
                exact.append(shard.vectors[chosen].astype(np.float32) @ query)
            row, score = np.concatenate(rows), np.concatenate(exact)
            out.append(row[np.lexsort((row, -score))[:k]])
        return out

    @cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """bool (n,): rows that are not all zeros."""
        out = np.zeros(self.n, bool)
        for shard in self.shards:
            out[shard.rows] = shard.known
        return out


def build_index(
    folder: str | Path,
    vectors: Matrix,
    categories: npt.NDArray[np.int32],
    *,
    source: str = "",
    shard: int = SHARD,
    progress: bool = False,
) -> None:
    """Writes an index of a matrix (n, d) and categories int32 (n,) into a folder, a shard at a time.

    Shards that are done lie in `FOLDER.parts`: the same call goes on after an interruption. `source` says
    what the vectors are (a fingerprint), so that parts of others are not taken for theirs. Raises
    `ConfigError` for parts of another index, `DataError` for numbers that are not finite, `ArtifactError`
    where something else is there. A damaged index is replaced.
    """
    folder = Path(folder)
    n, d = vectors.shape
    if len(categories) != n:
        raise ConfigError(f"an index needs a category for each row: {len(categories):,} for {n:,} rows")
    digest = sha256(np.asarray(categories, np.int32).tobytes()).hexdigest()
    made_of = {"rows": n, "dimensions": d, "shard": shard, "categories": digest, "source": source}
    make_room(folder)
    parts = folder.with_name(folder.name + ".parts")
    _prepare(parts, made_of)
    starts = range(0, n, shard)
    with bar("shards", len(starts), show=progress) as advance:
        for start in starts:
            part = slice(start, min(start + shard, n))
            if not _done(parts / _name(start)):
                with writing(parts / _name(start), SHARD_KIND) as place:
                    _write_shard(place, vectors[part], np.asarray(categories[part], np.int32), start)
            advance(1)
    with writing(folder, KIND) as place:
        write_json(place / "index.json", made_of)
        for start in starts:
            (place / _name(start)).mkdir()
            for file in (parts / _name(start)).glob("*.npy"):
                file.rename(place / _name(start) / file.name)
            shutil.rmtree(parts / _name(start))
    shutil.rmtree(parts)


def make_room(folder: Path) -> None:
    """Removes a damaged index; `ArtifactError` where something else is there."""
    if _remains(folder):
        shutil.rmtree(folder)
    may_replace(folder)


def _remains(folder: Path) -> bool:
    """Whether a folder holds an index and nothing else, its manifest lost or unreadable."""
    try:
        may_replace(folder)
    except ArtifactError:
        if folder.is_symlink() or not folder.is_dir():
            return False
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
        seen = [name for name in names if not name.rpartition("/")[2].startswith(".")]
        arrays = any(name.endswith(".npy") for name in seen)
        return arrays and all(map(_OURS.fullmatch, seen))
    return False


def _prepare(parts: Path, made_of: dict[str, Any]) -> None:
    """A folder for the shards of this index; those of an interrupted call of the same one stay."""
    said = parts / "index.json"
    if parts.exists():
        found = json.loads(said.read_text()) if said.is_file() else None
        if found != made_of:
            raise ConfigError(f"{parts}: holds parts of another index: remove it, or choose another folder")
        return
    parts.mkdir(parents=True)
    write_json(said, made_of)


def _done(place: Path) -> bool:
    """Whether a shard is there, whole; what a crash of the machine has cut off goes."""
    if not place.is_dir():
        return False
    try:
        check(place, SHARD_KIND)
    except ArtifactError:
        shutil.rmtree(place)
        return False
    return True


def _name(start: int) -> str:
    return f"shard-{start:010d}"


def _write_shard(place: Path, vectors: Any, categories: npt.NDArray[np.int32], first: int) -> None:
    order = np.argsort(categories, kind="stable")
    rows = np.asarray(vectors, np.float32)[order]
    codes, half = np.empty(rows.shape, np.int8), np.empty(rows.shape, np.float16)
    with np.errstate(over="ignore"):  # told below
        half[:] = rows
    if not np.isfinite(half).all():
        bad = int(order[~np.isfinite(half).all(axis=1)].min()) + first
        raise DataError(f"vector {bad:,} holds NaN, or a number too large for half precision")
    step = np.float32((max(float(rows.max(initial=0.0)), -float(rows.min(initial=0.0))) or 1.0) / 127.0)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        codes[part] = np.rint(rows[part] / step)
    distinct, starts = np.unique(categories[order], return_index=True)
    arrays: dict[str, np.ndarray] = {
        "codes": codes,
        "vectors": half,
        "rows": (order + first).astype(np.int32),
        "categories": distinct.astype(np.int32),
        "starts": np.append(starts, len(rows)).astype(np.int64),
        "known": np.asarray(half.any(axis=1)),
        "step": np.array([step]),
    }
    for name, values in arrays.items():
        np.save(place / f"{name}.npy", values, allow_pickle=False)


def open_index(folder: str | Path, *, oversample: int = OVERSAMPLE) -> ShardedRows:
    """Opens an index, its checksums compared; `ArtifactError` says what is wrong with it."""
    folder = check(folder, KIND)
    said = read_object(folder / "index.json")
    with reading(folder):
        shards = tuple(_read_shard(folder / _name(at), int(said["dimensions"]), at) for at in _starts(said))
    return ShardedRows(shards, oversample)


def _starts(said: dict[str, Any]) -> Iterator[int]:
    return iter(range(0, int(said["rows"]), int(said["shard"])))


def _read_shard(place: Path, d: int, first: int) -> Shard:
    codes, vectors, rows, categories, starts, known, step = (
        np.asarray(np.load(place / f"{name}.npy", mmap_mode="r", allow_pickle=False)) for name in ARRAYS
    )
    m = len(rows)
    fits = (
        codes.dtype == np.int8
        and vectors.dtype == np.float16
        and rows.dtype == categories.dtype == np.int32
        and codes.shape == vectors.shape == (m, d)
        and (np.sort(rows) == np.arange(first, first + m)).all()
        and known.dtype == bool
        and known.shape == (m,)
        and len(starts) == len(categories) + 1
        and starts[0] == 0
        and starts[-1] == m
        and (np.diff(starts) > 0).all()
        and step.shape == (1,)
        and step[0] > 0
        and np.isfinite(step[0])
    )
    if not fits:
        raise ArtifactError(f"{place}: damaged: its arrays do not fit together; build the index again")
    if not _finite(vectors):
        raise ArtifactError(f"{place}/vectors.npy: damaged: holds NaN or infinity; build the index again")
    return Shard(codes, vectors, rows, categories, starts, known, np.float32(step[0]))


def _finite(half: npt.NDArray[np.float16]) -> bool:
    """Whether all numbers are; by their bits, a tenth of the time that `isfinite` takes for half precision.

    The checksum has read the file a moment ago: this adds an eighth to what opening takes.
    """
    exponent = np.uint16(0x7C00)  # all of its bits are set in NaN and infinity only
    blocks = (half[start : start + BLOCK].view(np.uint16) for start in range(0, len(half), BLOCK))
    return all((block & exponent).max(initial=0) < exponent for block in blocks)


def _filled_up(rows: Rows, k: int) -> Rows:
    """With others behind them, by number, up to `k`."""
    if len(rows) == k:
        return rows
    others = np.setdiff1d(np.arange(k + len(rows), dtype=np.int32), rows)
    return np.concatenate([rows, others[: k - len(rows)]])
