"""Lists for many users at once, as a table: for e-mails, apps and warehouses.

Written part by part, so that an export that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from crossaisle.artifact import MANIFEST
from crossaisle.data.query import Query
from crossaisle.errors import ArtifactError, ConfigError, DataError
from crossaisle.evaluate.files import write_json
from crossaisle.execution.executor import Executor, LocalExecutor
from crossaisle.pipeline.exports.retrieved import recommend_each
from crossaisle.progress import bar
from crossaisle.recommend.recommender import Recommender

FORMATS = (".parquet", ".csv", ".jsonl")
PART = 1000
"""Users of a part."""
BATCH = 128
"""Users that are scored together."""
SCHEMA = {
    "user": pl.String,
    "placement": pl.String,
    "rank": pl.Int32,
    "item": pl.String,
    "title": pl.String,
    "category": pl.String,
    "price": pl.Float32,
    "score": pl.Float32,
    "why": pl.String,
}


@dataclass(frozen=True)
class Export:
    """What was written."""

    path: Path
    lists: int
    rows: int
    without: int
    """Users for whom nothing fits the placement and the controls."""
    unknown: tuple[str, ...]
    """Users that were asked for and that the model does not know; no list was made for them."""
    resumed: int
    """Lists that lay there from a run that was interrupted."""
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self) | {"path": str(self.path), "unknown": list(self.unknown)}


def export_lists(
    model: str | Path,
    out: str | Path,
    query: Query,
    *,
    users: Sequence[str] | None = None,
    restart: bool = False,
    executor: Executor | None = None,
    progress: bool = False,
) -> Export:
    """A list for each of `users` (all by default) into `out`: .parquet, .csv or .jsonl, one row per item.

    `query` holds the placement and the controls; its user is replaced. Columns: user, placement (what was
    served), rank, item, title, category, price, score, why (null unless the query explains). Parts lie in
    `OUT.parts` until the file is complete, which then appears at once. `restart` throws away the parts of a
    run that was interrupted. Lists of large shops are made as `recommend_each` does it. Workers of
    `executor` open the model by its path. Raises `ConfigError` for a placement that is not about a user,
    another format, and parts of another export.
    """
    start = time.perf_counter()
    out = Path(out)
    if out.suffix not in FORMATS:
        raise ConfigError(f"{out}: an export's name must end in {', '.join(FORMATS)}")
    if query.placement in ("goes_with", "similar"):
        raise ConfigError(f"{query.placement} needs an item in view: export for_you, discover, ... instead")
    recommender = Recommender.load(model)
    known = recommender.dataset.user_ids
    asked = list(known.ids(range(len(known))) if users is None else dict.fromkeys(users))
    unknown = tuple(user for user in asked if known.get(user) < 0)
    asked = [user for user in asked if known.get(user) >= 0]
    if not asked:
        raise DataError("no list to export: the model knows none of the users")
    parts = out.with_name(out.name + ".parts")
    _prepare(parts, _fingerprint(Path(model), query, asked), restart=restart)
    files = {
        parts / f"{first:09d}.parquet": asked[first : first + PART] for first in range(0, len(asked), PART)
    }
    missing = {file: some for file, some in files.items() if not _readable(file)}
    resumed = len(asked) - sum(map(len, missing.values()))
    listing = Listing(str(Path(model).resolve()), _manifest(Path(model)), query, recommender)
    batches = (batch for some in missing.values() for batch in _batches(some))
    frames = (executor or LocalExecutor()).map(listing, batches)
    with bar("lists", len(asked), show=progress) as advance:
        advance(resumed)
        for file, some in missing.items():
            made = []
            for batch in _batches(some):
                made.append(next(frames))
                advance(len(batch))
            _replace(file, pl.concat(made).write_parquet)
    whole = pl.scan_parquet(list(files))
    counts = whole.select(pl.len().alias("rows"), pl.col("user").n_unique().alias("lists")).collect()
    rows, lists = counts.row(0)
    _replace(out, lambda file: _write(whole, file, out.suffix))
    shutil.rmtree(parts)
    seconds = time.perf_counter() - start
    return Export(out, lists, rows, len(asked) - lists, unknown, resumed, seconds)


def _readable(part: Path) -> bool:
    """Whether a part is there and whole: one that a crash of the machine has cut off is made again."""
    try:
        pl.scan_parquet(part).select(pl.len()).collect()
    except (FileNotFoundError, pl.exceptions.ComputeError):
        return False
    return True


def _batches(users: Sequence[str]) -> Iterable[Sequence[str]]:
    return (users[at : at + BATCH] for at in range(0, len(users), BATCH))


@dataclass(frozen=True)
class Listing:
    """Opens a model in a worker, and makes lists for some users."""

    model: str
    manifest: str
    """Digest of the model that is to answer."""
    query: Query
    recommender: Recommender | None = None
    """The model where it is open already: in this process only."""

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"recommender": None}

    def __call__(self) -> Callable[[Sequence[str]], pl.DataFrame]:
        if self.recommender is not None:
            return partial(_rows, self.recommender, self.query)
        if not Path(self.model).exists():
            raise ArtifactError(
                f"{self.model}: is missing on a worker's machine: put it where all workers see it "
                "under this path"
            )
        if _manifest(Path(self.model)) != self.manifest:
            raise ArtifactError(f"{self.model}: a worker has a different model under this path")
        return partial(_rows, Recommender.load(self.model), self.query)


def _rows(recommender: Recommender, query: Query, users: Sequence[str]) -> pl.DataFrame:
    answers = recommend_each(recommender, [replace(query, user=user) for user in users])
    rows = [
        (user, answer.served, *r.row) for user, answer in zip(users, answers, strict=True) for r in answer
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _manifest(model: Path) -> str:
    return hashlib.sha256((model / MANIFEST).read_bytes()).hexdigest()


def _fingerprint(model: Path, query: Query, users: Sequence[str]) -> str:
    today = date.today().isoformat()  # rules hold from one day to another
    said = json.dumps([asdict(query), users, today], sort_keys=True, default=str).encode()
    return hashlib.sha256((model / MANIFEST).read_bytes() + said).hexdigest()


def _prepare(parts: Path, fingerprint: str, *, restart: bool) -> None:
    """A folder for the parts of this export; those of an interrupted run of the same one stay."""
    made_for = parts / "export.json"
    if restart and made_for.exists():
        shutil.rmtree(parts)
    if parts.exists():
        found = json.loads(made_for.read_text()) if made_for.exists() else None
        if found != {"fingerprint": fingerprint}:
            raise ConfigError(
                f"{parts}: holds parts of another export (other model, users, controls or day): "
                "--restart discards them"
            )
        return
    parts.mkdir(parents=True)
    write_json(made_for, {"fingerprint": fingerprint})


def _write(rows: pl.LazyFrame, file: Path, suffix: str) -> None:
    if suffix == ".parquet":
        rows.sink_parquet(file)
    elif suffix == ".csv":
        rows.sink_csv(file)
    else:
        rows.sink_ndjson(file)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """A file appears whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    write(beside)
    beside.replace(path)
