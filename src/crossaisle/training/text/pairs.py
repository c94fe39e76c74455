"""`Examples`: the training examples of a language model, made from a shop's events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import DataError
from crossaisle.train_config import TrainConfig

_HISTORY_DECAY = 2.0
_WINDOW = 3  # maximum distance of the two items of a directed pair, as in SLIT


@dataclass(frozen=True)
class Examples:
    """`n` examples: a weighted bag of source items, one target item, its value, and its owner.

    `source` csr float32 (n, n_items), rows summing to 1; `target` int32 (n,); `value` float32 (n,), 1 if
    events have none; `owner` int32 (n,): user or basket rows; `window` int64 (n,): the window of a history
    that an example comes from, if there are windows.
    """

    source: sparse.csr_matrix
    target: Rows
    value: Floats
    owner: Rows
    window: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.target)

    def take(self, rows: npt.NDArray[np.integer]) -> Examples:
        """Some examples, in the given order."""
        window = None if self.window is None else self.window[rows]
        return Examples(self.source[rows], self.target[rows], self.value[rows], self.owner[rows], window)

    def order(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """A random order that keeps the examples of a window together."""
        if self.window is None:
            return rng.permutation(len(self))
        window = np.unique(self.window, return_inverse=True)[1]
        return np.argsort(rng.permutation(int(window.max(initial=-1)) + 1)[window], kind="stable")


def examples(dataset: Dataset, config: TrainConfig) -> Examples:
    """The examples requested by `config`: a seeded sample of at most `max_pairs`, in random order.

    Raises `DataError` if there are fewer than one batch, or if all targets are the same item.
    """
    rng = np.random.default_rng([config.seed, 1])
    made = (
        _pairs(dataset, rng)
        if config.form == "item_item"
        else next_items(dataset, config.history, config.window)
    )
    if config.other_category:
        made = made.take(np.flatnonzero(_crossing(made, dataset.taxonomy.codes())))
    made = made.take(made.order(rng)[: config.max_pairs])
    if len(made) < config.batch:
        raise DataError(
            f"{len(made)} training examples are fewer than one batch of {config.batch}: "
            "lower train.batch or bring more events"
        )
    if len(np.unique(made.target)) < 2:
        raise DataError("every training example has the same target item: there is nothing to tell apart")
    return made


def next_items(dataset: Dataset, length: int, window: int = 0) -> Examples:
    """One example per event with a predecessor: the decayed `length` items before it -> its item.

    With `window`, histories are cut into windows that overlap in one event, and events before an example's
    window are ignored.
    """
    histories = dataset.histories()
    n = len(histories.item)
    behind = np.arange(n) - np.repeat(histories.indptr[:-1], histories.lengths)
    places = np.flatnonzero(behind > 0)
    start, reach = None, np.full(n, length)
    if window:
        inside = (behind - 1) % (window - 1) + 1
        start, reach = (np.arange(n) - inside)[places], np.minimum(inside, length)
    row, column, weight = [], [], []
    for age in range(length):
        fits = np.flatnonzero((behind[places] > age) & (reach[places] > age))
        row.append(fits)
        column.append(histories.item[places[fits] - 1 - age])
        weight.append(np.full(len(fits), np.exp(-age / _HISTORY_DECAY), np.float32))
    triple = (np.concatenate(weight), (np.concatenate(row), np.concatenate(column)))
    source = sparse.csr_matrix(triple, shape=(len(places), dataset.n_items), dtype=np.float32)
    source.sum_duplicates()
    total = np.asarray(source.sum(axis=1)).ravel()
    source.data /= np.repeat(total, np.diff(source.indptr))
    owner = histories.owner.astype(np.int32)
    return Examples(source, histories.item[places], _values(dataset)[places], owner[places], start)


def _pairs(dataset: Dataset, rng: np.random.Generator) -> Examples:
    """Directed pairs: earlier -> later within three positions; both directions for baskets, which have no
    order."""
    histories = dataset.histories()
    owner = histories.owner
    item, left, right = histories.item, [], []
    for step in range(1, _WINDOW + 1):
        same = np.flatnonzero(owner[:-step] == owner[step:])
        left.append(same)
        right.append(same + step)
    first, second = np.concatenate(left), np.concatenate(right)
    if dataset.users_are_baskets:
        swap = rng.random(len(first)) < 0.5
        first, second = np.where(swap, second, first), np.where(swap, first, second)
    different = item[first] != item[second]
    first, second = first[different], second[different]
    ones = np.ones(len(first), np.float32)
    shape = (len(first), dataset.n_items)
    source = sparse.csr_matrix((ones, item[first], np.arange(len(first) + 1)), shape=shape)
    return Examples(source, item[second], ones, owner[first].astype(np.int32))


def _crossing(made: Examples, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """bool (n,): the heaviest (newest) source item is in another known category than the target."""
    heaviest = np.asarray(made.source.argmax(axis=1)).ravel()
    here, there = codes[heaviest], codes[made.target]
    crossing: npt.NDArray[np.bool_] = (here != there) & (here >= 0) & (there >= 0)
    return crossing


def _values(dataset: Dataset) -> Floats:
    values: Floats = np.nan_to_num(dataset.events.value, nan=1.0).astype(np.float32)
    return values
