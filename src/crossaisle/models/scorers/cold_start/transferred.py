"""`TransferredPopularity`, `TransferredLinks`: what another shop's customers do, for a shop without any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.errors import ConfigError
from crossaisle.models.base import Arrays, Scorer
from crossaisle.models.scorers.cold_start.source_shop import SourceShop
from crossaisle.models.scorers.item_item import keep_strongest

KEEP = 200
"""Links kept per category."""


@dataclass(kw_only=True)
class Transferred(Scorer):
    """A scorer that reads another shop instead of this one's events.

    Products of two shops are not the same, their types are: everything is carried over by leaf category,
    whose names are compared with the texts of the other shop's products. The other shop's counts are kept
    with the model, so that it can be fitted again without that shop.
    """

    source: SourceShop | None = field(default=None, repr=False, compare=False)
    """The other shop."""

    leaf_: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)
    """int32 (n_items,): leaf category, -1 unknown."""
    reads_events: ClassVar[bool] = False

    def settings(self) -> dict[str, Any]:
        """Without the source, which is kept as arrays."""
        return {name: value for name, value in super().settings().items() if name != "source"}

    def state(self) -> tuple[dict[str, Any], Arrays]:
        settings, arrays = super().state()
        return settings, arrays | self._source.arrays()

    def restore(self, arrays: Mapping[str, np.ndarray], item_ids: Vocabulary) -> Self:
        super().restore(arrays, item_ids)
        self.source = SourceShop.from_arrays(arrays)
        return self

    @property
    def _source(self) -> SourceShop:
        if self.source is None:
            raise ConfigError(f"{type(self).__name__} needs the shop that it carries over: give source")
        return self.source

    def _categories(self, dataset: Dataset) -> tuple[str, ...]:
        self.item_ids_, self.leaf_ = dataset.item_ids, dataset.taxonomy.codes(-1)
        return dataset.taxonomy.names(-1)


@dataclass(kw_only=True)
class TransferredPopularity(Transferred):
    """ln(1 + b sqrt(n) / k): b of a thousand buyers of the other shop fall on an item's category, which has
    n items, of which this is the k-th in the order of the catalogue.

    Whoever keeps a shop keeps more products of what sells: their number says as much as the other shop does.
    Which of them sells nobody can know yet, so that lists have one of each type in turn.
    """

    popularity_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_items,): NaN for items without a category that anything falls on."""
    kind: ClassVar[str] = "transferred_popularity"
    reason: ClassVar[str] = "popular in another shop"
    learned: ClassVar[tuple[str, ...]] = ("popularity_", "leaf_")
    gaps: ClassVar[tuple[str, ...]] = ("popularity_",)

    def fit(self, dataset: Dataset) -> TransferredPopularity:
        source, names = self._source, self._categories(dataset)
        shares, _ = source.shares_of(names)
        mass = np.append(shares @ (source.share * np.float32(1000.0)), 0.0)
        size = np.append(np.bincount(self.leaf_[self.leaf_ >= 0], minlength=len(names)), 1)
        each = np.where(mass > 0, mass * np.sqrt(size), np.nan)[self.leaf_]
        self.popularity_ = np.log1p(each / (1 + turns(self.leaf_))).astype(np.float32)
        return self

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items), all rows equal; NaN for items of which the other shop says nothing."""
        self.check_fitted()
        return np.tile(self.popularity_, (len(histories), 1))

    def category_mapping(self, dataset: Dataset) -> list[dict[str, Any]]:
        """What each leaf category is in the other shop, JSON-ready: `category`, `source`, `confidence`.

        `source` is its category of which most buyers fall on it, `confidence` (0 to 1) how near their names
        are; both are None and 0 where nothing does.
        """
        source, names = self._source, dataset.taxonomy.names(-1)
        shares, sure = source.shares_of(names)
        theirs = np.array(source.category)
        out = []
        for code, name in enumerate(names):
            row = shares[code]
            weight = row.data * source.share[row.indices]
            found, confidence = None, 0.0
            if weight.sum() > 0:
                kinds, index = np.unique(theirs[row.indices], return_inverse=True)
                found = str(kinds[np.bincount(index, weight).argmax()])
                confidence = float((weight * sure[row.indices]).sum() / weight.sum())
            out.append({"category": name, "source": found or None, "confidence": round(confidence, 3)})
        return out


@dataclass(kw_only=True)
class TransferredLinks(Transferred):
    """Which types of products went together in the other shop: mean log-lift from the history's categories.

    With R (categories, products of the other shop) the rows of what falls on each category, adding up to
    at most 1, and L the other shop's lifts, links are R L R', the largest kept.
    """

    decay: Decay = field(default_factory=Decay)
    """How much older events of the history count."""

    links_: sparse.csr_matrix = field(init=False, repr=False, compare=False)
    """csr float32 (n_categories, n_categories): from a category of the history to a candidate's."""
    kind: ClassVar[str] = "transferred_links"
    reason: ClassVar[str] = "goes together in another shop"
    learned: ClassVar[tuple[str, ...]] = ("links_", "leaf_")

    def fit(self, dataset: Dataset) -> TransferredLinks:
        source, names = self._source, self._categories(dataset)
        shares, sure = source.shares_of(names)
        bought = shares @ sparse.diags_array(source.share)
        total = np.asarray(bought.sum(axis=1)).ravel()
        # A category is as certain as what falls on it.
        certain = np.asarray((bought @ sparse.diags_array(sure)).sum(axis=1)).ravel() / np.maximum(
            total, 1e-12
        )
        rows = sparse.diags_array(certain / np.maximum(total, 1e-12)) @ bought
        links = sparse.csr_matrix(rows @ source.lifts @ rows.T, dtype=np.float32)
        links.setdiag(0.0)
        self.links_ = keep_strongest(links, KEEP)
        self.links_.sort_indices()
        return self

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN where neither the history's categories nor the candidate's are linked."""
        self.check_fitted()
        by_category = self._query(histories) @ self.links_
        heard = np.append(np.diff(self.links_.tocsc().indptr) > 0, False)[self.leaf_]
        padded = np.concatenate([by_category.toarray(), np.zeros((len(histories), 1), np.float32)], axis=1)
        scores: Floats = padded[:, self.leaf_].astype(np.float32)
        scores[:, ~heard] = np.nan
        scores[np.diff(by_category.indptr) == 0] = np.nan
        return scores

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: each event gives its share of the history times the link of its category."""
        self.check_fitted()
        source, target = self.leaf_[histories.item], int(self.leaf_[item])
        weights = self.decay.weights(histories, average=True)
        if target < 0:
            return np.zeros(len(weights), np.float32), 0.0
        column = np.append(self.links_[:, [target]].toarray().ravel(), np.float32(0.0))
        return (weights * column[source]).astype(np.float32), 0.0

    def _query(self, histories: Histories) -> sparse.csr_matrix:
        """csr float32 (n, n_categories): the share of each category in each history."""
        weights = self.decay.weights(histories, average=True)
        code = self.leaf_[histories.item]
        known = code >= 0
        shape = (len(histories), self.links_.shape[0])
        return sparse.csr_matrix((weights[known], (histories.owner[known], code[known])), shape=shape)


def turns(codes: Rows) -> npt.NDArray[np.int64]:
    """int64 (n_items,): which one of its category an item is, from 0, in the order of the catalogue."""
    n = len(codes)
    grouped = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[grouped], prepend=-2))
    turn = np.empty(n, np.int64)
    turn[grouped] = np.arange(n) - np.repeat(starts, np.diff(starts, append=n))
    return turn
