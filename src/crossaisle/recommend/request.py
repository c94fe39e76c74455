"""`ResolvedQuery`: a query in rows, with the history that the models see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.kinds import PURCHASE
from crossaisle.data.query import Placement, Query
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.errors import shorten
from crossaisle.models.blend import CART_OF_USER

NO_ROWS: Rows = np.empty(0, np.int32)
HABITS = 3
"""Purchases from which on a cart is asked with its person. Of fewer, the cart alone finds as much of what
else goes into it, and follows the cart (completejourney, 390 carts of validation, R@10: the cart alone .061;
with the newest 1, 2, 3, 5 and 10 items of the household .059, .064, .073, .085 and .101). Somebody who has
only looked at the product in view would be shown what everybody buys."""
NOT_SHOWN = "of include_items cannot be shown"
"""What the notice of an unknown item says that only was to be shown."""
NAMED = 3
"""Unknown ids that a notice names."""


@dataclass(frozen=True, kw_only=True)
class ResolvedQuery:
    """A query in rows."""

    placement: Placement
    """The placement that is served: `trending` where the requested one has no history to go by."""
    weights: str
    """Which weights of the blend apply: the placement, or `unseen`."""
    context: Histories
    """What the models score from: one history, or the items in view."""
    told: Histories
    """The same in the words of reasons: what a session did with its items is not known."""
    history: Rows
    """int32: the user's own items, oldest first."""
    bought: Rows
    """int32: those of them that were bought, for `buy_again`."""
    view: Rows
    """int32: the items in view."""
    exclude_seen: bool
    """Whether items of the history are left out."""
    include: Rows | None
    """int32: the only items that may be shown; None: all."""
    exclude: Rows
    """int32: items that are never shown."""
    notices: tuple[str, ...]


def is_narrow(query: Query) -> bool:
    """Whether the filters of a query may leave little of the shop.

    A learned ranker has to know then what may be shown: it would choose its candidates elsewhere.
    """
    named = query.include_categories or query.exclude_categories or query.include_items
    return bool(named) or query.min_price is not None or query.max_price is not None


@dataclass(frozen=True)
class CrossShare:
    """What the cross-category share of a list is measured against."""

    home: Rows
    """int32: the user's home categories."""
    share: float | None
    """0 to 1; None: the scores decide."""
    spread: npt.NDArray[np.float64] | None = None
    """float64 (n_categories,): the share of each category in the history, where the list is calibrated."""


def resolve(
    query: Query,
    dataset: Dataset,
    history_of: Callable[[str], Histories],
    *,
    repeats: bool,
    asks_users: bool = False,
    stands_on: Callable[[Placement, str], str] = lambda placement, weights: "",
) -> ResolvedQuery:
    """Ids to rows; `UnknownIdError` for an item in view that the shop does not have.

    `history_of`: from a user id to a batch of one history, empty for an unknown user. `repeats`: whether
    people buy the same items again here. `asks_users`: whether `goes_with` has weights for users with carts.
    `stands_on`: from the placement and its weights to a notice, "" for none.
    """
    view = np.array([dataset.item_ids.row(item) for item in query.items], np.int32)
    notices: list[str] = []
    if query.history is not None:
        own, notices = _session(query.history, dataset.item_ids)
    else:
        own = Histories.of([NO_ROWS]) if query.user is None else history_of(query.user)
    bought = _bought(own, dataset)
    disliked = NO_ROWS if own.disliked is None or placement_is_open(query) else own.disliked.item
    unwanted = _excluded(query, dataset, notices)
    placement, context = query.placement, own
    if placement == "buy_again":
        context = own if bought.all() else own.keep(bought)
    if query.items and placement not in ("goes_with", "similar"):
        notices.append("items in view are ignored; only goes_with and similar use them")
    if placement in ("goes_with", "similar"):
        context = Histories.of([view])
    elif placement != "trending" and not len(context.item):
        why = f"{_named(query)} has bought nothing yet" if len(own.item) else _why_empty(query, own, dataset)
        notices.append(f"{why}: showing trending items instead")
        placement = "trending"
    exclude_seen = query.exclude_seen
    if exclude_seen is None:
        exclude_seen = placement in ("for_you", "goes_with") and not repeats
    only_new = repeats and exclude_seen
    weights: str = "unseen" if placement == "for_you" and only_new else placement
    # Weights that were chosen for habits say little of what is new to the user: the cart says more.
    asks_users &= query.habits and not only_new
    if placement == "goes_with" and asks_users and has_habits(own, dataset)[0]:
        context, weights = own.with_view(context), CART_OF_USER
    if said := stands_on(placement, weights):
        notices.append(said)
    return ResolvedQuery(
        placement=placement,
        weights=weights,
        context=context,
        told=context if query.history is None else of_unknown_deeds(context),
        history=own.item,
        bought=own.item[bought],
        view=view,
        exclude_seen=exclude_seen,
        include=_included(query, dataset, notices),
        exclude=np.union1d(unwanted, disliked).astype(np.int32) if len(disliked) else unwanted,
        notices=tuple(notices),
    )


def _included(query: Query, dataset: Dataset, notices: list[str]) -> Rows | None:
    """The rows of `include_items`, None without any; a notice names those that are unknown."""
    if not query.include_items:
        return None
    rows, unknown = _rows(query.include_items, dataset.item_ids)
    if unknown:
        notices.append(f"{len(unknown)} unknown item(s) {NOT_SHOWN}: {_some(unknown)}")
    return rows


def _excluded(query: Query, dataset: Dataset, notices: list[str]) -> Rows:
    """The rows of `exclude_items`; a notice names those that are unknown."""
    if not query.exclude_items:
        return NO_ROWS
    rows, unknown = _rows(query.exclude_items, dataset.item_ids)
    if unknown:
        notices.append(f"{len(unknown)} unknown item(s) of exclude_items ignored: {_some(unknown)}")
    return rows


def placement_is_open(query: Query) -> bool:
    """Whether a placement is about items or everybody, so that what a user dislikes stays in it."""
    return query.placement in ("similar", "trending")


def of_unknown_deeds(histories: Histories) -> Histories:
    """The same histories, of which nobody knows whether the items were bought or looked at."""
    return replace(histories, role=np.full(len(histories.item), -1, np.int8))


def _bought(own: Histories, dataset: Dataset) -> npt.NDArray[np.bool_]:
    """bool (nnz,): what was bought; of a session in a shop that knows nothing else, all of it."""
    if own.role is not None:
        some: npt.NDArray[np.bool_] = own.role == PURCHASE
        return some
    every = dataset.role == PURCHASE or (dataset.role == -1 and own.user[0] < 0)
    return np.full(len(own.item), every)


def has_habits(own: Histories, dataset: Dataset) -> npt.NDArray[np.bool_]:
    """bool (n,): which histories have `HABITS` purchases, or events where a shop knows no purchases."""
    if own.role is not None and dataset.role in (PURCHASE, -1):
        own = own.keep(own.role == PURCHASE)
    enough: npt.NDArray[np.bool_] = own.lengths >= HABITS
    return enough


def _named(query: Query) -> str:
    return "the history" if query.user is None or query.history is not None else f"user {shorten(query.user)}"


def _session(history: tuple[str, ...], item_ids: Vocabulary) -> tuple[Histories, list[str]]:
    """Item ids that stand for a history, as a batch of one; and a notice of unknown ones."""
    rows, unknown = _rows(history, item_ids)
    notices = [f"{len(unknown)} unknown item(s) of the history ignored: {_some(unknown)}"] if unknown else []
    return Histories.of([rows]), notices


def _rows(ids: tuple[str, ...], item_ids: Vocabulary) -> tuple[Rows, list[str]]:
    """int32 rows of the known ids, and the unknown ids; both in order."""
    rows = item_ids.rows(ids)
    return rows[rows >= 0], [name for name, row in zip(ids, rows, strict=True) if row < 0]


def _some(names: list[str]) -> str:
    return ", ".join(map(shorten, names[:NAMED])) + (", …" if len(names) > NAMED else "")


def _why_empty(query: Query, own: Histories, dataset: Dataset) -> str:
    if query.history is not None:
        return "no known item in the history"
    if query.user is None:
        return "neither a user nor a history given"
    name = shorten(query.user)
    if own.disliked is not None:
        return f"user {name} has only disliked or returned items so far"
    known = query.user in dataset.user_ids
    return f"user {name} has no events yet" if known else f"unknown user {name}"
