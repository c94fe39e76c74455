"""A small shop, a recommender of it, and what tests ask about its lists."""

from __future__ import annotations

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.frequency import Frequency
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import tiny_shop

SHOP = tiny_shop()
CATEGORY = {name: path[0][0] for name, path in zip(SHOP.item_ids.all, SHOP.taxonomy.paths, strict=True)}


def recommender(shop: Dataset = SHOP, *, repeats: bool = False, popularity: float = 0.01) -> Recommender:
    parts = {
        "popularity": Popularity(),
        "item_knn": ItemKNN(shrink=1.0, decay=Decay(half_life_days=20.0)),
        "frequency": Frequency(decay=Decay(half_life_days=20.0)),
    }
    weights = {
        "for_you": {"popularity": popularity, "item_knn": 1.0, "frequency": 0.5 if repeats else 0.0},
        "buy_again": {"frequency": 1.0},
        "similar": {"item_knn": 1.0},
    }
    return Recommender(shop, Blend(parts=parts, weights=weights).fit(shop), repeats=repeats)


FITTED = recommender()


def seen(user: str) -> set[str]:
    return set(SHOP.item_ids.ids(FITTED.histories.take([SHOP.user_ids.row(user)]).item))


def categories(answer: RecommendationList) -> list[str]:
    return [r.category.split(" > ")[0] for r in answer]
