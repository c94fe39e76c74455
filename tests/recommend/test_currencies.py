"""A catalogue in several currencies: said at the import, and price bands hold for one of them."""

from __future__ import annotations

from pathlib import Path

from crossaisle.data.query import Query
from crossaisle.data.storage import load_dataset, save_dataset
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from tests.data.ingest.shops import import_texts, warned

ITEMS = "item_id,title,price\na,Mug,10 EUR\nb,Pan,12 €\nc,Pot,11 USD\nd,Jug,900 JPY\ne,Lid,13\nf,Cup,\n"
EVENTS = "user_id,item_id\n" + "".join(f"u{n},{item}\n" for n, item in enumerate("abcdef"))


def shown(model: Recommender | LiveRecommender, **controls: float) -> set[str]:
    return {one.item_id for one in model.recommend(Query(placement="trending", n=9, **controls))}


def test_price_bands_hold_for_the_usual_currency(tmp_path: Path) -> None:
    done = import_texts(tmp_path, ITEMS, EVENTS)
    assert done.dataset.items["currency"].to_list() == ["EUR", "EUR", "USD", "JPY", "EUR", "EUR"]
    assert warned(done, "several currencies (EUR, JPY, USD), compared without conversion")
    assert warned(done, "min_price and max_price apply to EUR: 2 items priced in other currencies")
    save_dataset(done.dataset, tmp_path / "kept")
    shop = load_dataset(tmp_path / "kept")
    model = Recommender(shop, Blend(parts={"popularity": Popularity()}).fit(shop))
    for one in (model, LiveRecommender(model, LiveHistories(), {"a": {"price": 10.5}})):
        assert shown(one) == set("abcdef")
        assert shown(one, min_price=5, max_price=1000) == set("abe")


def test_one_currency_needs_no_column(tmp_path: Path) -> None:
    done = import_texts(tmp_path, "item_id,price\na,10 EUR\nb,12 €\nc,7\n", "user_id,item_id\nu,a\n")
    assert "currency" not in done.dataset.items.columns
    assert not warned(done, "several currencies")
