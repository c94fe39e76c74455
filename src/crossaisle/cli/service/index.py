"""The command `index`."""

from __future__ import annotations

import time

from crossaisle.cli.output import AsJson, show_json
from crossaisle.cli.recommend import Model


def index(model: Model, as_json: AsJson = False) -> None:
    """Index a model's vectors of texts beside it, for shops of a million items and more.

    Whatever loads the model then searches in MODEL.index instead of memory. A call that was interrupted goes
    on where it stopped; a model that is fitted again needs a new index.

    \b
    crossaisle index models/shop
    """
    from crossaisle.models.index_beside import build_beside
    from crossaisle.recommend.recommender import Recommender

    start = time.perf_counter()
    loaded = Recommender.load(model)
    place = build_beside(model, loaded.blend.parts, loaded.dataset.taxonomy.codes(-1), progress=True)
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    seconds = time.perf_counter() - start
    if as_json:
        show_json({"index": place, "items": loaded.dataset.n_items, "bytes": size, "seconds": seconds})
    else:
        print(f"{place}: {loaded.dataset.n_items:,} items, {size / 1e6:,.1f} MB, {seconds:.1f} s")
