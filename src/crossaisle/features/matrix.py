"""`feature_matrices`: labelled user-item pairs with all features, computed from what was known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.labels.negatives import Scheme, label_pairs
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import DataError
from crossaisle.features.encoding import target_encoded
from crossaisle.features.interests import interest_points
from crossaisle.features.items import category_names, item_table, price_position
from crossaisle.features.keywords import Keywords, keyword_columns
from crossaisle.features.pairs import pair_table
from crossaisle.features.space import ItemSpace
from crossaisle.features.table import Table
from crossaisle.features.users import user_table
from crossaisle.models.ranking.tables import ShopTables

FOLDS = 5
USERS = 1000
"""Number of cases sampled per side."""
TARGETS = 10
"""Maximum number of positives sampled per case."""


@dataclass(frozen=True, eq=False)
class Side:
    """The data known before a time window, and the choices made within it."""

    known: Dataset
    cases: EvalCases


@dataclass(frozen=True, eq=False)
class FeatureMatrix:
    """`m` labelled pairs with their features."""

    table: Table
    user: Rows
    """int32 (m,): user rows, -1 for a cart."""
    item: Rows
    """int32 (m,)"""
    label: npt.NDArray[np.int8]
    """int8 (m,): 1 if chosen in the window, else 0."""
    fold: npt.NDArray[np.int8]
    """int8 (m,): 0 to `FOLDS` - 1; all rows of one case are in the same fold."""

    def __len__(self) -> int:
        return len(self.label)

    def frame(self, dataset: Dataset) -> pl.DataFrame:
        """`user_id` (null for a cart), `item_id`, `label`, `fold`, then one Float32 column per feature."""
        users = np.array([*dataset.user_ids.all, None], dtype=object)
        items = np.array(dataset.item_ids.all, dtype=object)
        ends = {"user_id": users[self.user].tolist(), "item_id": items[self.item].tolist()}
        types = {"user_id": pl.String, "item_id": pl.String}
        frame = pl.DataFrame({**ends, "label": self.label, "fold": self.fold}, schema_overrides=types)
        features = pl.DataFrame(self.table.values, schema=list(self.table.names))
        return pl.concat([frame, features], how="horizontal")


def feature_matrices(
    train: Side,
    validation: Side,
    space: ItemSpace,
    keywords: Mapping[str, Keywords],
    *,
    scheme: Scheme = "popularity",
    per_positive: int = 4,
    seed: int = 0,
    users: int = USERS,
) -> tuple[FeatureMatrix, FeatureMatrix]:
    """The feature matrices of both sides, with the same columns.

    Columns are chosen by the events known to the training side, and target encodings use its labels only:
    nothing from the validation window enters a feature. Columns without any known value in training, such as
    prices in a shop without any, are left out.
    """
    mass = train.known.item_counts
    sides = [_rows(side, scheme, per_positive, seed, users) for side in (train, validation)]
    tables = [
        _table(side.known, rows, space, keywords, mass)
        for side, rows in zip((train, validation), sides, strict=True)
    ]
    texts = [_texts(side.known, rows.item) for side, rows in zip((train, validation), sides, strict=True)]
    encoded = target_encoded(texts[0], sides[0].label, sides[0].fold, texts[1])
    known = np.flatnonzero(np.isfinite(tables[0].values).any(axis=0))
    names = [tables[0].names[column] for column in known.tolist()]
    tables = [table.only(names) for table in tables]
    first, second = (
        FeatureMatrix(Table.joined([table, more]), rows.user, rows.item, rows.label, rows.fold)
        for table, more, rows in zip(tables, encoded, sides, strict=True)
    )
    return first, second


@dataclass(frozen=True, eq=False)
class _Rows:
    histories: Histories
    owner: npt.NDArray[np.int64]
    user: Rows
    item: Rows
    label: npt.NDArray[np.int8]
    fold: npt.NDArray[np.int8]


def _rows(side: Side, scheme: Scheme, each: int, seed: int, users: int) -> _Rows:
    """A sample of the cases with some of their positives, and sampled negatives."""
    rng = np.random.default_rng(seed)
    some = np.flatnonzero(np.diff(side.cases.target_indptr) > 0)
    if not len(some):
        raise DataError(f"{side.known.name}: no case to make features for")
    cases = side.cases.take(np.sort(rng.permutation(some)[:users]))
    n = np.arange(len(cases), dtype=np.int32)
    everything = np.repeat(n, np.diff(cases.target_indptr)), cases.target
    drawn = [np.sort(rng.permutation(cases.targets_of(row))[:TARGETS]) for row in n.tolist()]
    chosen = np.repeat(n, [len(of) for of in drawn]), np.concatenate(drawn).astype(np.int32)
    # Cases act as users here, so that carts without a user can be labelled as well.
    shop = side.known if scheme != "seen" else _of_cases(side.known, cases)
    labels = label_pairs(shop, scheme=scheme, per_positive=each, seed=seed, chosen=chosen, taken=everything)
    fold = (rng.permutation(len(cases)) % FOLDS).astype(np.int8)
    owner = labels.user.astype(np.int64)
    user = cases.histories.user[owner]
    return _Rows(cases.histories, owner, user, labels.item, labels.label, fold[owner])


def _of_cases(known: Dataset, cases: EvalCases) -> Dataset:
    """The shop with the cases' histories as its events, and the cases as its users."""
    events, histories = known.events, cases.histories
    place = np.full(known.n_users + 1, -1, np.int64)
    place[histories.user] = np.arange(len(cases))
    mine = place[events.user]
    kept = np.flatnonzero(mine >= 0)
    some = replace(events.take(kept), user=mine[kept].astype(np.int32))
    return replace(known, events=some, log=None)


def _table(
    known: Dataset,
    rows: _Rows,
    space: ItemSpace,
    keywords: Mapping[str, Keywords],
    mass: npt.NDArray[np.int64],
) -> Table:
    position = price_position(known)
    points = interest_points(rows.histories, space, known, named=False)
    items = Table.joined(
        [
            item_table(known, _now(known, rows.histories), mass),
            *(keyword_columns(method, words, mass) for method, words in keywords.items()),
        ]
    )
    return Table.joined(
        [
            items.take(rows.item),
            user_table(rows.histories, known, position, points, mass).take(rows.owner),
            pair_table(rows.histories, rows.owner, rows.item, space, ShopTables.of(known), position, points),
        ]
    )


def _now(known: Dataset, histories: Histories) -> float:
    """The common time of the queries if they share one, else that of the last known event."""
    now = np.unique(histories.now)
    if len(now) == 1 and not np.isnan(now[0]):
        return float(now[0])
    time = known.events.time
    return float("nan") if time is None or not len(time) else float(time.max() / SECONDS_PER_DAY)


def _texts(known: Dataset, item: Rows) -> dict[str, npt.NDArray[np.object_]]:
    texts = {
        "category": category_names(known),
        "leaf": category_names(known, -1),
        "brand": known.items["brand"].to_list(),
    }
    return {name: np.array(of, dtype=object)[item] for name, of in texts.items()}
