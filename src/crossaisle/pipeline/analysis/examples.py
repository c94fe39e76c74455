"""Lists of a few customers, for the report and for the terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.query import Placement, Query
from crossaisle.evaluate.results import Evaluation
from crossaisle.pipeline.analysis.portrait import interests_of
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.wording.names import category_name, item_name

EXAMPLES = 3
LINES = 5


def _placement(recommender: Recommender) -> Placement:
    dataset = recommender.dataset
    if dataset.users_are_baskets:
        return "goes_with"
    return "discover" if len(dataset.taxonomy.names()) > 1 else "for_you"


def examples_of(recommender: Recommender, evaluation: Evaluation | None) -> list[dict[str, Any]]:
    """Some test users with a history of medium length, and what they would be shown.

    Without any, somebody who bought one item, of each of the largest categories.
    """
    dataset = recommender.dataset
    if evaluation is None:
        histories = Histories.of([[row] for row in typical(dataset)])
    else:
        histories = evaluation.cases.histories
    lengths = histories.lengths
    # Somebody without a history would be shown what everybody is, three times.
    known = np.flatnonzero(lengths) if lengths.any() else np.arange(len(lengths))
    order = known[np.argsort(np.abs(lengths[known] - np.median(lengths[known])), kind="stable")]
    who = "number" if evaluation is None else "basket"
    out = []
    chosen = order[:EXAMPLES]
    interests = interests_of(recommender, histories.take(chosen))
    for place, case in enumerate(chosen.tolist()):
        rows = histories.items_of(case)
        ids = tuple(dataset.item_ids.ids(rows))
        placement = _placement(recommender)
        view = ids[-3:] if placement == "goes_with" else ()
        user = int(histories.user[case])
        # Of a known user it is known what was done with the items, and so what the reasons may say.
        whose: dict[str, Any] = {"history": ids} if user < 0 else {"user": dataset.user_ids.id(user)}
        asked = Query(placement=placement, items=view, n=LINES, explain=True, **whose)
        found = recommender.recommend(asked)
        if not found.items:  # somebody who shops in all categories
            found = recommender.recommend(replace(asked, placement="for_you", items=()))
        out.append(
            {
                "user": dataset.user_ids.id(user) if user >= 0 else f"{who} {case + 1}",
                "interests": [{"label": one.label, "share": one.share} for one in interests[place]],
                "placement": found.served,
                "history": [
                    {"title": item_name(dataset, int(r)), "category": category_name(dataset, int(r))}
                    for r in dict.fromkeys(rows[::-1].tolist())
                ],
                "items": [
                    {
                        "title": item.title or item.item_id,
                        "category": item.category,
                        "score": item.score,
                        "reasons": [item.evidence.text] if item.evidence and item.evidence.text else [],
                    }
                    for item in found.items
                ],
            }
        )
    return out


def typical(dataset: Dataset) -> list[int]:
    """The first item of each of the largest categories, or of the catalogue."""
    codes = dataset.taxonomy.codes()
    largest = np.argsort(-np.bincount(codes[codes >= 0]), kind="stable")[:EXAMPLES]
    found = [int(np.argmax(codes == code)) for code in largest.tolist()]
    return found or list(range(min(EXAMPLES, dataset.n_items)))


def suggestions_of(recommender: Recommender) -> list[dict[str, Any]]:
    """A few users and what they could want from categories they do not shop in, for the terminal."""
    dataset = recommender.dataset
    if dataset.users_are_baskets or not dataset.n_users:
        return []
    counts = np.diff(dataset.user_indptr)
    order = np.argsort(np.abs(counts - np.median(counts)), kind="stable")[:3]
    out = []
    for user in dataset.user_ids.ids(order):
        placement = _placement(recommender)
        found = recommender.recommend(Query(placement=placement, user=user, n=3, explain=True))
        items = [
            {
                "title": i.title or i.item_id,
                "category": i.category,
                "why": i.evidence.text if i.evidence else "",
            }
            for i in found.items
        ]
        if items:
            out.append({"user": user, "items": items})
    return out
