"""Items that come and go by the clock, while a model is served."""

from __future__ import annotations

from typing import Any

import polars as pl

from crossaisle.data.ingest.importer import from_frames
from crossaisle.data.query import Query
from crossaisle.data.windows import STOCKED, Windows
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.api.responses import of_item
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.refit import merge
from crossaisle.serve.store.deleted_users import Forgotten
from crossaisle.serve.store.store import Event

DAY = 86_400
LAST = 1_704_067_200
"""The last event: 2024-01-01."""


class Served:
    """A shop of five mugs on a clock that can be turned."""

    def __init__(self, changed: dict[str, Any] | None = None) -> None:
        items = pl.DataFrame(
            {
                "item_id": ["old", "soon", "going", "out", "always"],
                "title": ["red mug", "blue mug", "green mug", "white mug", "black mug"],
                "in_stock": [True, True, True, False, True],
                "available_from": [None, "2024-01-03", None, "2024-01-03", None],
                "expires": ["2023-12-01", None, "2024-01-02T12:00:00Z", None, None],
            }
        )
        users = [f"u{n}" for n in range(5)]
        events = pl.DataFrame({"user_id": users, "item_id": items["item_id"], "time": [LAST] * 5})
        self.shop = from_frames(items, events)
        blend = Blend(parts={"popularity": Popularity(), "tfidf": TfidfSimilarity(average=True)})
        self.model = Recommender(self.shop, blend.fit(self.shop))
        self.now = float(LAST)
        self.live = LiveRecommender(self.model, LiveHistories(), changed or {}, clock=lambda: self.now)

    def shown(self, days: float, **controls: Any) -> set[str]:
        self.now = LAST + days * DAY
        query = Query(placement="trending", n=10, **controls)
        answer = self.live.from_cache(query)
        answer = answer if hasattr(answer, "items") else self.live.recommend(query)
        return {one.item_id for one in answer}


def test_what_comes_tomorrow_is_in_tomorrows_lists_and_what_expires_is_not() -> None:
    served = Served()
    assert served.shown(0) == {"going", "always"}
    assert served.shown(1.4) == {"going", "always"}
    assert served.shown(1.6) == {"always"}
    assert served.shown(2) == {"soon", "always"}
    assert served.shown(-60) == {"old", "going", "always"}
    assert served.shown(0, in_stock=False) == {"old", "soon", "going", "out", "always"}
    row = served.shop.item_ids.row("soon")
    served.now = LAST + 3.0 * DAY
    assert of_item(served.live, row)["in_stock"] is True
    assert of_item(served.live, row)["available_from"] == LAST + 2 * DAY
    served.now = float(LAST)
    assert of_item(served.live, row)["in_stock"] is False


def test_a_model_alone_stands_at_its_last_event() -> None:
    served = Served()
    assert served.shop.items["in_stock"].to_list() == [False, False, True, False, True]
    assert served.shop.items[STOCKED].to_list() == [True, True, True, False, True]
    answer = served.model.recommend(Query(placement="trending", n=10))
    assert {one.item_id for one in answer} == {"going", "always"}


def test_limits_that_are_put_in_while_serving() -> None:
    changed = {
        "always": {"expires": float(LAST + DAY)},
        "soon": {"available_from": None},
        "old": {"in_stock": False, "expires": None},
        "new": {"title": "red mug", "available_from": float(LAST + 5 * DAY), "in_stock": True},
    }
    served = Served(changed)
    assert served.shown(0) == {"soon", "going", "always"}
    assert served.shown(1.2) == {"soon", "going"}
    row = served.live.dataset.item_ids.row("new")
    assert not served.live.view.on_sale()[row]
    served.now = LAST + 6.0 * DAY
    assert served.live.view.on_sale()[row]


def test_a_shop_without_limits_gets_them_with_an_item() -> None:
    items = pl.DataFrame({"item_id": ["a", "b"], "title": ["red mug", "blue mug"], "in_stock": [True, False]})
    shop = from_frames(
        items, pl.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "b"], "time": [LAST, LAST]})
    )
    model = Recommender(shop, Blend(parts={"popularity": Popularity(), "tfidf": TfidfSimilarity()}).fit(shop))
    assert LiveRecommender(model, LiveHistories()).view.windows is None
    live = LiveRecommender(
        model,
        LiveHistories(),
        {"a": {"expires": float(LAST)}, "c": {"title": "mug"}},
        clock=lambda: LAST + 1.0,
    )
    assert live.view.on_sale().tolist() == [False, False, True]


def test_a_refit_stands_at_the_last_event_of_both() -> None:
    served = Served()
    later = Event(None, "u9", "always", "purchase", float(LAST + 3 * DAY), None, None)
    merged, _, _ = merge(served.shop, served.live.dataset, iter([later]), Forgotten())
    assert merged.items["in_stock"].to_list() == [False, True, False, False, True]
    windows = Windows.of(merged.items)
    assert windows is not None
    assert windows.end[served.shop.item_ids.row("going")] == LAST + 1.5 * DAY
