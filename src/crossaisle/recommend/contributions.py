"""`contributions_of`: how lists get the reasons of their items from a saved model."""

from __future__ import annotations

from collections.abc import Callable

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.recommend.explain import Explanation
from crossaisle.recommend.lists.list_builder import Contributions, Served
from crossaisle.recommend.ranker import ModelRanker
from crossaisle.recommend.rerank.filters import Mask


def contributions_of(
    dataset: Dataset, ranker: ModelRanker, untold: Callable[[], Mask | None]
) -> Contributions:
    """Explanations by the parts of a ranker. `untold`: items that none of them names now."""

    def contributions(context: Histories, served: Served, row: int) -> Explanation:
        return ranker.explain(dataset, context, row, served.weights, served.placement, untold=untold())

    return contributions
