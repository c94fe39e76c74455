"""`drift_since`: what moved since a model was fitted, from events that came later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.config import DataConfig, ItemsConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import import_dataset
from crossaisle.data.kinds import ROLES
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.drift.compare import FEWEST, Drift, compare
from crossaisle.drift.summary import OTHER_WORDS, UNKNOWN, Observed, Summary
from crossaisle.errors import DataError, FetchError
from crossaisle.models.scorers.content import EncoderSimilarity, TfidfSimilarity
from crossaisle.pipeline.improving.tables import Table, write_tables
from crossaisle.recommend.hits import MOST, first_of, hits_of
from crossaisle.recommend.recommender import Recommender

Say = Callable[[str], None]
TITLE = "What has changed since the model was fitted"


@dataclass(frozen=True, eq=False)
class Later:
    """What came after a model: its events, and new or changed items."""

    events: Dataset
    items: Dataset | None = None

    @classmethod
    def read(
        cls, recommender: Recommender, events: Path, items: Path | None, config: DataConfig | None
    ) -> Later:
        """Reads files as `config` reads a shop's; by default columns have their own names."""
        config = DataConfig() if config is None else config
        plain = replace(
            config, users=None, min_users_per_item=0, category_level=recommender.dataset.taxonomy.level
        )
        alone = replace(plain, items=None, events=replace(config.events, path=events, url=None, hub=None))
        later = import_dataset(replace(alone, require_category=False, exclude_categories=())).dataset
        if items is None:
            return cls(later)
        of_items = replace(config.items or ItemsConfig(), path=items, url=None, hub=None)
        return cls(
            later, import_dataset(replace(plain, items=of_items, events=type(config.events)())).dataset
        )


def drift_since(recommender: Recommender, later: Later, *, seed: int = 0, say: Say = lambda _: None) -> Drift:
    """Compares later events with the summary that was saved with the model.

    A model without one is compared by its own events, and `say` hears so. `DataError` where no event is left
    that the model has not seen.
    """
    before = recommender.reference
    if before is None:
        before = Summary.of_model(recommender.dataset)
        if before is None:
            raise DataError(
                "the model was fitted without events: there is nothing to compare with; fit again"
            )
        say(
            "the model has no drift summary (an older version saved it), so it is compared with "
            "its own events, without calibration; fit again to get one"
        )
    shop = later.events.meaning(recommender.dataset.meanings)
    kept = _wanted(shop, before, say)
    known = _Catalogue.of(recommender.dataset, later.items, shop)
    usable = known.found[shop.events.item[kept]]
    if lost := int((~usable).sum()):
        say(f"{lost:,} of {len(kept):,} events are about items that neither the model nor --items knows")
    strange = float((known.row[shop.events.item[kept]] < 0).mean())
    new = strange if len(kept) >= FEWEST else 0.0
    rows = kept[usable]
    if not len(rows):
        raise DataError("no event is about an item that the model or --items knows: are the ids the same?")
    observed = Observed(
        shop.events.user[rows], shop.events.item[rows], known.categories, known.prices, known.titles
    )
    words = [word for word in before.words.counts if word != OTHER_WORDS]
    now = Summary.of(observed, words=words, seed=seed, hits=_hits(recommender, shop, known, kept, seed))
    return compare(before, now, vectors=_vectors(recommender, before, now, known, say), new_items=new)


def _wanted(shop: Dataset, before: Summary, say: Say) -> npt.NDArray[np.int64]:
    """Rows of the events of the kind that the summary is of, after its last."""
    role = np.array([ROLES.index(shop.meanings.meaning(name).role) for name in shop.kinds], np.int8)
    asked = role[shop.events.kind] == ROLES.index(before.role)
    if not asked.any():
        raise DataError(f"there is no {before.role} among the events, which the model was fitted to predict")
    if before.until is not None and shop.events.time is None:
        say("the events have no times: all are assumed to be later than the model's last one")
    if before.until is not None and shop.events.time is not None:
        old = asked & (shop.events.time <= before.until)
        if old.any():
            say(f"{int(old.sum()):,} events are left out: they are from before the model was fitted")
        asked &= ~old
        if not asked.any():
            day = np.datetime64(int(before.until), "s").astype("datetime64[D]")
            raise DataError(f"no event is later than {day}, the last day that the model was fitted on")
    return np.flatnonzero(asked)


@dataclass(frozen=True, eq=False)
class _Catalogue:
    """The items that later events name, as new items say, or else the model."""

    row: npt.NDArray[np.int32]
    """int32 (n,): row in the model, -1 for a new item."""
    found: npt.NDArray[np.bool_]
    categories: list[str]
    prices: npt.NDArray[np.float64]
    titles: list[str]
    texts: list[str]

    @classmethod
    def of(cls, model: Dataset, items: Dataset | None, shop: Dataset) -> _Catalogue:
        names = shop.item_ids.all
        row = model.item_ids.rows(names)
        at = np.full(len(names), -1, np.int32) if items is None else items.item_ids.rows(names)
        sources = [(model, row)] if items is None else [(items, at), (model, np.where(at < 0, row, -1))]
        categories, titles, texts = ([""] * len(names) for _ in range(3))
        prices = np.full(len(names), np.nan)
        for source, rows in sources:
            codes, called = source.taxonomy.codes(), source.taxonomy.names()
            price = source.items["price"].cast(float).fill_null(np.nan).to_numpy()
            title = source.items["title"].to_list()
            for place in np.flatnonzero(rows >= 0).tolist():
                of = rows[place]
                categories[place] = called[codes[of]] if codes[of] >= 0 else UNKNOWN
                titles[place], texts[place], prices[place] = title[of], source.item_texts[of], price[of]
        return cls(row, (row >= 0) | (at >= 0), categories, prices, titles, texts)


def _hits(
    recommender: Recommender, shop: Dataset, known: _Catalogue, kept: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.int64] | None:
    """Of users that the model knows: is the first product after the fit in the list that it gives?"""
    events = shop.events
    rows = recommender.dataset.user_ids.rows(shop.user_ids.all)
    users = np.unique(events.user[kept])
    rng = np.random.default_rng(seed)
    users = np.sort(rng.permutation(users[rows[users] >= 0])[:MOST])
    if not len(users):
        return None
    asked = np.zeros(len(events), bool)
    asked[kept] = True
    target = np.empty(len(users), np.int32)
    for place, user in enumerate(users.tolist()):
        own = slice(shop.user_indptr[user], shop.user_indptr[user + 1])
        time = np.arange(own.stop - own.start) if events.time is None else events.time[own]
        target[place] = known.row[first_of(time, events.item[own], asked[own], rng)]
    histories = recommender.histories.take(rows[users])
    if events.time is not None:
        moment = float(events.time[kept].min()) / SECONDS_PER_DAY
        histories = replace(histories, now=np.full(len(histories), moment))
    return hits_of(recommender, histories, target)


def _vectors(
    recommender: Recommender, before: Summary, now: Summary, known: _Catalogue, say: Say
) -> tuple[Any, Any] | None:
    """Of the items drawn before and now, by the model's encoder, or else its words."""
    parts = list(recommender.blend.parts.values())
    readers = [p for kind in (EncoderSimilarity, TfidfSimilarity) for p in parts if isinstance(p, kind)]
    row = known.row[now.drawn]
    texts = [known.texts[item] for item in now.drawn[row < 0].tolist()]
    for part in readers:
        old = part.vectors_[row[row >= 0]]
        try:
            new = part.read(texts) if texts else old[:0]
        except FetchError as error:
            say(f"vectors of {part.kind} are left out: {error}")
            continue
        stacked = sparse.vstack([old, new]).tocsr() if sparse.issparse(old) else np.vstack([old, new])
        return part.vectors_[before.drawn], stacked
    return None


def write_drift(drift: Drift, out: Path) -> None:
    """`drift.md` and `drift.html`: the advice, every check, and what changed most."""
    rows = [
        [
            check.name,
            check.verdict,
            check.effect,
            check.q,
            "; ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in check.measures.items()),
        ]
        for check in drift.checks
    ]
    tables = [Table("What was compared", ["what", "verdict", "effect", "p, adjusted", "measured"], rows)]
    if drift.skipped:
        skipped = [[name, why] for name, why in drift.skipped.items()]
        tables.append(Table("What was not", ["what", "why"], skipped))
    for check in drift.checks:
        moved = [[name, f"{was:.1%}", f"{now:.1%}"] for name, was, now in check.movers]
        if moved:
            tables.append(Table(f"{check.name}: what changed most", ["", "before", "now"], moved))
    write_tables(out / "drift", TITLE, [drift.advice, about(drift)], tables)


def about(drift: Drift) -> str:
    """What was compared, in a sentence."""
    new = (
        f"; {drift.new_items:.1%} of them are about items that are new to the model"
        if drift.new_items
        else ""
    )
    return f"{drift.events:,} events of {drift.users:,} users, later than the model{new}."
