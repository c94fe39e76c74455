"""`label_pairs`: items that users chose and, sampled by a given scheme, items that they did not.

| scheme | a negative of user u for the chosen item i is |
|---|---|
| `uniform` | any item |
| `popularity` | any item, in proportion to its events to the power of `POWER` (Mikolov et al., NIPS 2013) |
| `category` | an item of i's deepest category, or shop-level category if alone there: a hard negative |
| `seen` | an item that u viewed, liked or put in the cart, but did not choose |

No negative is an item that its user chose at any time or, except for `seen`, had any event with. Labels for a
time window exclude only what was chosen in it, see `chosen`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.membership import distinct, is_in
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ConfigError, DataError, nearest

Scheme = Literal["uniform", "popularity", "category", "seen"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
POWER = 0.75
ROUNDS = 20
"""Number of redraws for negatives that the user already has; those still missing after that are counted."""

Keys = npt.NDArray[np.int64]
Chosen = tuple[Rows, Rows]
"""Users and items, int32 (m,) each."""
Draw = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class PairLabels:
    """`n` pairs of a user and an item, sorted by user and item."""

    user: Rows
    """int32 (n,): user rows."""
    item: Rows
    """int32 (n,): item rows."""
    label: npt.NDArray[np.int8]
    """int8 (n,): 1 chosen, 0 not."""
    scheme: Scheme
    missing: int
    """Number of requested negatives not found, because the user has, or was already given, all there are."""

    def __len__(self) -> int:
        return len(self.label)


def label_pairs(
    dataset: Dataset,
    *,
    scheme: Scheme = "popularity",
    per_positive: int = 4,
    seed: int = 0,
    chosen: Chosen | None = None,
    taken: Chosen | None = None,
) -> PairLabels:
    """Labels of user-item pairs. Positives are the distinct pairs in events of the strongest kind.

    `per_positive`: negatives drawn per positive. `chosen`: users and items to use as positives instead, such
    as a sample from the window after `dataset`. Then only these and `taken` are excluded as negatives: if
    users' earlier items were excluded as well, merely having had an item would reveal its label. `DataError`
    if there are no positives, or if the data does not allow the scheme.
    """
    if scheme not in SCHEMES:
        raise ConfigError(f"unknown scheme of negatives {scheme!r}{nearest(scheme, SCHEMES)}")
    if per_positive < 1:
        raise ConfigError(f"per_positive must be 1 or more (found {per_positive})")
    events, n = dataset.events, dataset.n_items
    every = _keys(events.user, events.item, n)
    wanted = distinct(every[dataset.wanted])
    positive = wanted if chosen is None else distinct(_keys(*chosen, n))
    window = positive if taken is None else np.concatenate([positive, _keys(*taken, n)])
    if not len(positive):
        raise DataError(f"{dataset.name}: no event to take as a positive")
    rng = np.random.default_rng(seed)
    if scheme == "seen":
        taboo = wanted if chosen is None else distinct(window)
        negative, missing = _seen(every, taboo, positive, per_positive, n, rng)
    else:
        taboo = distinct(every if chosen is None else window)
        negative, missing = _drawn(_draw(dataset, scheme, rng), positive, taboo, per_positive, n)
    keys = np.concatenate([positive, negative])
    label = np.concatenate([np.ones(len(positive), np.int8), np.zeros(len(negative), np.int8)])
    order = np.argsort(keys)
    keys = keys[order]
    return PairLabels(
        (keys // n).astype(np.int32), (keys % n).astype(np.int32), label[order], scheme, missing
    )


def _keys(user: Rows, item: Rows, n_items: int) -> Keys:
    return user.astype(np.int64) * n_items + item


def _draw(dataset: Dataset, scheme: Scheme, rng: np.random.Generator) -> Draw:
    """Item rows int64 (m,) -> one candidate for each; -1 if there is none."""
    n = dataset.n_items
    if scheme == "uniform":
        return lambda item: rng.integers(0, n, len(item))
    if scheme == "popularity":
        mass = np.cumsum(dataset.item_counts.astype(np.float64) ** POWER)
        return lambda item: np.searchsorted(mass, rng.random(len(item)) * mass[-1], side="right")
    leaf, code = dataset.taxonomy.codes(-1), dataset.taxonomy.codes()
    if not (code >= 0).any():
        raise DataError(
            f"{dataset.name}: no item has a category, so the scheme 'category' has nothing to draw from"
        )
    # An item alone in its deepest category draws from the shop's category level.
    alone = (leaf >= 0) & (np.bincount(leaf[leaf >= 0], minlength=leaf.max() + 1)[leaf] < 2)
    group = np.where(alone | (leaf < 0), np.where(code >= 0, code + leaf.max() + 1, -1), leaf)
    return _within(leaf, code, group, rng)


def _within(leaf: Rows, code: Rows, group: npt.NDArray[np.integer], rng: np.random.Generator) -> Draw:
    """Draws from the members of an item's group.

    Codes of groups: first the leaf categories, then the categories at the shop's level.
    """
    both = np.concatenate([leaf, np.where(code >= 0, code + leaf.max() + 1, -1)]).astype(np.int64)
    order = np.argsort(both, kind="stable")
    member = order % len(leaf)
    starts = np.searchsorted(both[order], np.arange(both.max() + 2))

    def draw(item: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        of = group[item].astype(np.int64)
        low, high = starts[np.maximum(of, 0)], starts[np.maximum(of, 0) + 1]
        at = low + (rng.random(len(item)) * (high - low)).astype(np.int64)
        return np.where(of < 0, -1, member[at])

    return draw


def _drawn(draw: Draw, positive: Keys, taboo: Keys, each: int, n: int) -> tuple[Keys, int]:
    """Distinct negatives, none of them in `taboo`, and the number missing."""
    asked = np.repeat(positive, each)
    found = [np.empty(0, np.int64)]
    for _ in range(ROUNDS):
        if not len(asked):
            break
        item = draw(asked % n)
        key = (asked // n) * n + item
        good = (item >= 0) & ~is_in(key, taboo)
        first = np.zeros(len(key), bool)
        first[np.unique(key, return_index=True)[1]] = True
        good &= first
        found.append(key[good])
        taboo = distinct(np.concatenate([taboo, key[good]]))
        asked = asked[~good]
    return np.concatenate(found), len(asked)


def _seen(
    every: Keys, chosen: Keys, positive: Keys, each: int, n: int, rng: np.random.Generator
) -> tuple[Keys, int]:
    """Samples up to `each` negatives per positive from the items a user interacted with but did not
    choose."""
    seen = distinct(every)
    seen = seen[~is_in(seen, chosen)]
    if not len(seen):
        raise DataError(
            "the scheme 'seen' needs items that users saw but did not choose, such as views, "
            "from users who chose something; there are none"
        )
    seen = seen[rng.permutation(len(seen))]
    seen = seen[np.argsort(seen // n, kind="stable")]
    owner = seen // n
    place = np.arange(len(seen)) - np.searchsorted(owner, owner)
    users, counts = np.unique(positive // n, return_counts=True)
    quota = np.zeros(int(max(users.max(), owner.max())) + 1, np.int64)
    quota[users] = counts * each
    kept = seen[place < quota[owner]]
    return kept, int(len(positive) * each - len(kept))
