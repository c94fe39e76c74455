"""A catalogue that changes while it is served: prices, stock, new items and what their scores come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import polars as pl
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.taxonomy import SEPARATOR, Paths
from crossaisle.data.vocabulary import Rows
from crossaisle.data.windows import END, START, STOCKED, stocked
from crossaisle.models.newcomers import lent_by
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.rerank.filters import Mask
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.catalogue.new_items import Said, links_of
from crossaisle.serve.live.pictures import picture_model
from crossaisle.serve.store.records import Picture
from crossaisle.serve.store.store import NO_PICTURES

Body = Mapping[str, Any]
_NO_ROWS: Rows = np.empty(0, np.int32)


@dataclass(frozen=True)
class CatalogueOverlay:
    """The model's catalogue with all changes, in rows: the model's rows first, new items after them."""

    dataset: Dataset
    n_old: int
    prices: Floats
    in_stock: Mask
    listed: Mask
    """bool (n_items,): False for items taken out of the shop."""
    links: sparse.csr_matrix
    """csr float32 (n_new, n_old): how much of a neighbour's score a new item gets."""
    texts: dict[Said, sparse.csr_matrix]
    """Text and picture of a new item -> its row of `links`."""

    @property
    def n_new(self) -> int:
        return self.dataset.n_items - self.n_old

    @property
    def new_ids(self) -> tuple[str, ...]:
        """Ids of the new items, in the order of their rows."""
        return tuple(self.dataset.item_ids.ids(np.arange(self.n_old, self.dataset.n_items)))

    def changed_since(self, before: CatalogueOverlay) -> tuple[frozenset[str], Mask] | None:
        """Ids of items that are new or encoded again, and bool (n_items,) rows that get or give their scores.

        Scores of other rows are what they were. None where rows are not the same items any more.
        """
        now, then = self.new_ids, before.new_ids
        if now[: len(then)] != then:
            return None
        rows = np.zeros(self.dataset.n_items, bool)
        other = np.ones(len(now), bool)
        if then:
            moved = abs(self.links[: len(then)] - before.links)
            other[: len(then)] = np.diff(moved.indptr) > 0
            rows[: self.n_old][moved.indices] = True
        rows[: self.n_old][self.links[other].indices] = True
        rows[self.n_old :] = other
        return frozenset(name for name, is_other in zip(now, other, strict=True) if is_other), rows

    def extend(self, scores: Floats, lending: float = 1.0) -> Floats:
        """float32 (n, n_old) -> (n, n_items); NaN for a new item without a neighbour that has a score.

        `lending`: how many times the scores of neighbours count.
        """
        if not self.n_new:
            return scores
        known = ~np.isnan(scores)
        share = known.astype(np.float32) @ self.links.T
        new = np.where(known, scores, 0.0) @ lent_by(self.links, lending).T
        out: Floats = np.where(share > 0, new, np.nan).astype(np.float32)
        return np.concatenate([scores, out], axis=1)

    def resembling(self, rows: Rows) -> Rows:
        """int32, ascending: new items that get something of the scores of some old rows."""
        if not self.n_new:
            return _NO_ROWS
        linked = np.isin(self.links.indices, rows)
        new = np.repeat(np.arange(self.n_new), np.diff(self.links.indptr))[linked]
        return (np.unique(new) + self.n_old).astype(np.int32)

    def with_sources(self, among: Mask | None) -> Mask | None:
        """bool (n_old,): old rows of a mask, and those that give their scores to new rows of it."""
        if among is None:
            return None
        old = among[: self.n_old].copy()
        old[self.links[among[self.n_old :]].indices] = True
        return old

    def sources(self, rows: Rows) -> Rows:
        """int32, ascending: the old rows whose scores make up those of some rows."""
        old, new = rows[rows < self.n_old], rows[rows >= self.n_old] - self.n_old
        if len(new):
            return np.union1d(old, self.links[new].indices).astype(np.int32)
        return old if (old[1:] > old[:-1]).all() else np.unique(old)

    def at(self, rows: Rows, scores: Floats, lending: float = 1.0) -> Floats:
        """float32: the scores of some rows from those of their `sources`; see `extend`."""
        source = self.sources(rows)
        out = np.empty(len(rows), np.float32)
        is_old = rows < self.n_old
        out[is_old] = scores[np.searchsorted(source, rows[is_old])]
        new = lent_by(self.links[rows[~is_old] - self.n_old], lending)
        values = scores[np.searchsorted(source, new.indices)]
        known = ~np.isnan(values)
        owner = np.repeat(np.arange(new.shape[0]), np.diff(new.indptr))
        sums = np.bincount(owner, np.where(known, values * new.data, 0.0), new.shape[0])
        out[~is_old] = np.where(np.bincount(owner, known, new.shape[0]) > 0, sums, np.nan)
        return out

    def stand_in(self, row: int) -> int | None:
        """The row of the model that stands in for a row: itself or the most similar; None without one."""
        if row < self.n_old:
            return row
        link = self.links[row - self.n_old]
        return int(link.indices[link.data.argmax()]) if link.nnz else None

    def stand_ins(self, row: int, lending: float = 1.0) -> list[tuple[int, float]]:
        """The model's rows whose scores make up that of a row, and how much of each; the largest first."""
        if row < self.n_old:
            return [(row, 1.0)]
        link = lent_by(self.links[[row - self.n_old]], lending)
        order = np.argsort(-link.data, kind="stable")
        return list(zip(link.indices[order].tolist(), link.data[order].tolist(), strict=True))

    def in_old_rows(self, histories: Histories) -> Histories:
        """New items replaced by their stand-ins; those without one are left out."""
        if not self.n_new or not len(histories.item) or histories.item.max() < self.n_old:
            return histories
        stands = [self.stand_in(row) for row in histories.item.tolist()]
        item = np.array([-1 if row is None else row for row in stands], np.int32)
        return replace(histories, item=item).keep(item >= 0)


def grow(
    base: Recommender,
    changed: Mapping[str, Body],
    before: CatalogueOverlay | None = None,
    pictures: Mapping[str, Picture] = NO_PICTURES,
    *,
    limits: LiveLimits = LiveLimits(),
) -> CatalogueOverlay:
    """The base's catalogue with items changed, added (`item_id` unknown) and taken out (`deleted`).

    `before`: an earlier state of the same base; what was encoded for it is not encoded again. `pictures`: of
    items; those of another encoder are ignored.
    """
    old = base.dataset
    n = old.n_items
    known = {name: body for name, body in changed.items() if name in old.item_ids}
    new = {
        name: body for name, body in changed.items() if name not in old.item_ids and not body.get("deleted")
    }
    items = _changed_table(old, known, new) if known or new else old.items
    moved = {old.item_ids.row(name): _paths(b) for name, b in known.items() if "categories" in b}
    taxonomy = old.taxonomy
    if moved or new:
        taxonomy = taxonomy.changed(moved, [_paths(body) for body in new.values()])
    ids = old.item_ids.and_more(list(new)) if new else old.item_ids
    dataset = replace(old, items=items, item_ids=ids, taxonomy=taxonomy)
    listed = np.ones(n + len(new), bool)
    for name, body in known.items():
        listed[old.item_ids.row(name)] = not body.get("deleted")
    prices = np.concatenate([base.view.prices, np.full(len(new), np.nan, np.float32)])
    stock = np.concatenate([stocked(old.items), np.ones(len(new), bool)])
    for row, body in [
        *((old.item_ids.row(name), b) for name, b in known.items()),
        *enumerate(new.values(), n),
    ]:
        if "price" in body:
            prices[row] = np.nan if body["price"] is None else body["price"]
        if "in_stock" in body:
            stock[row] = body["in_stock"] in (None, True)
    stock &= listed
    reader = picture_model(base) if pictures else None
    shown = {name: pictures[name] for name in new if name in pictures} if reader else {}
    shown = {
        name: picture for name, picture in shown.items() if reader and picture.fingerprint == reader.sees
    }
    said = [(text_of(body), shown[name].digest if name in shown else b"") for name, body in new.items()]
    read = {} if before is None else before.texts
    fresh = [content for content in dict.fromkeys(said) if content not in read]
    links = links_of(base, fresh, {picture.digest: picture for picture in shown.values()}, limits)
    by_text = read | dict(zip(fresh, links, strict=True))
    by_text = {content: by_text[content] for content in said}
    stacked = sparse.vstack([by_text[content] for content in said], format="csr") if said else links
    return CatalogueOverlay(dataset, n, prices, stock, listed, stacked, by_text)


def text_of(body: Body) -> str:
    """What encoders read of an item, in the order of `Dataset.item_texts`."""
    categories = (SEPARATOR.join(p) for p in _paths(body))
    attributes = " ".join(str(v) for v in (body.get("attributes") or {}).values() if v not in (None, ""))
    words = (body.get("title"), body.get("brand"), *categories, attributes, body.get("description"))
    return ". ".join(word for word in words if word)


def _paths(body: Body) -> Paths:
    return tuple(tuple(path) for path in body.get("categories") or ())


def _columns(body: Body) -> dict[str, Any]:
    """The columns of the item table that a body speaks of."""
    out = {
        name: body[name]
        for name in ("title", "description", "brand", "price", "image", "url", "in_stock")
        if name in body
    }
    out |= {name: None if body[name] is None else int(body[name]) for name in (START, END) if name in body}
    if "in_stock" in body:
        out[STOCKED] = body["in_stock"]
    if "group_id" in body:
        out["group"] = body["group_id"]
    if "attributes" in body:
        # By what answers are written with, so that whatever is kept can be answered.
        out["attributes"] = orjson.dumps(body["attributes"] or {}).decode()
    return {
        name: "" if value is None and name in ("title", "description", "brand") else value
        for name, value in out.items()
    }


def _changed_table(old: Dataset, known: Mapping[str, Body], new: Mapping[str, Body]) -> pl.DataFrame:
    items = old.items
    bodies = (*known.values(), *new.values())
    limits = [name for name in (START, END) if any(body.get(name) is not None for body in bodies)]
    items = items.with_columns(
        pl.lit(None, pl.Int64).alias(name) for name in limits if name not in items.columns
    )
    if limits and STOCKED not in items.columns:
        items = items.with_columns(pl.col("in_stock").alias(STOCKED))
    if "group" not in items.columns and any(body.get("group_id") for body in bodies):
        items = items.with_columns(pl.lit(None, pl.String).alias("group"))
    more = [name for name in (START, END, STOCKED, "group") if name in items.columns]
    if known:
        rows = [old.item_ids.row(name) for name in known]
        columns = [_columns(body) for body in known.values()]
        for name in (
            *("title", "description", "brand", "price", "image", "url", "in_stock", "attributes"),
            *more,
        ):
            changes = [(row, c[name]) for row, c in zip(rows, columns, strict=True) if name in c]
            if changes:
                at, values = zip(*changes, strict=True)
                of_type = pl.Series(name, values, dtype=items.schema[name])
                items = items.with_columns(items[name].clone().scatter(at, of_type))
    if new:
        blank = {
            "title": "",
            "description": "",
            "brand": "",
            "price": None,
            "image": None,
            "url": None,
            "in_stock": True,
            "attributes": "",
            **dict.fromkeys(more),
        }
        table = pl.DataFrame(
            [{"item_id": name, **blank, **_columns(body)} for name, body in new.items()],
            schema={name: items.schema[name] for name in ("item_id", *blank)},
        )
        items = pl.concat([items, table], how="diagonal")
    return items
