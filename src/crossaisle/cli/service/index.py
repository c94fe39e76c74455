"""The command `index`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from crossaisle.cli.output import AsJson, show_json
from crossaisle.cli.recommend import Model

Database = Annotated[
    str | None,
    typer.Option(
        "--in",
        help="Keep the vectors in this PostgreSQL database with pgvector instead of in files. The "
        "password is not saved: services read it from PGPASSWORD or ~/.pgpass.",
        metavar="postgresql://...",
    ),
]


def index(model: Model, database: Database = None, as_json: AsJson = False) -> None:
    """Build a search index of a model's text vectors, for shops with a million items or more.

    Everything that loads the model then searches MODEL.index, or the database that it points to, instead of
    memory. An interrupted call resumes where it stopped (in a database it starts over). A model that is
    fitted again needs a new index.

    \b
    crossaisle index models/shop
    crossaisle index models/shop --in postgresql://shop@db.example/vectors
    """
    from crossaisle.models.index_beside import build_beside
    from crossaisle.recommend.recommender import Recommender

    start = time.perf_counter()
    loaded = Recommender.load(model)
    codes = loaded.dataset.taxonomy.codes(-1)
    place = build_beside(model, loaded.blend.parts, codes, database=database, progress=True)
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    seconds = time.perf_counter() - start
    if as_json:
        show_json({"index": place, "items": loaded.dataset.n_items, "bytes": size, "seconds": seconds})
    else:
        print(f"{place}: {loaded.dataset.n_items:,} items, {size / 1e6:,.1f} MB, {seconds:.1f} s")
