"""Words that titles share; words of categories are a shelf."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from crossaisle.data.clean.texts.words import WordForms
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.recommend.explain import explain
from tests.recommend.shop import SHOP


def titled(titles: dict[str, str], forms: WordForms | None = None) -> Dataset:
    """The shop with other titles of some items."""
    every = [titles.get(i, t) for i, t in zip(SHOP.item_ids.all, SHOP.items["title"].to_list(), strict=True)]
    items = SHOP.items.with_columns(title=pl.Series(every))
    return replace(SHOP, items=items, words=forms or SHOP.words)


def similar(shop: Dataset, item: str, beside: str) -> str:
    history = Histories.of([shop.item_ids.rows([beside])])
    return explain(
        shop, [(TfidfSimilarity().fit(shop), 1.0)], history, shop.item_ids.row(item), "similar"
    ).text


def test_words_of_a_category_are_a_shelf() -> None:
    shop = titled({"milk0": "Oat drink", "milk1": "Whole gallon"})
    assert similar(shop, "milk1", "milk0") == "Similar to Oat drink; same shelf: Milk."
    # Not where the shelf is called as the item is.
    shop = titled({"milk0": "Oat drink", "milk1": "Milk, 1 gal"})
    assert similar(shop, "milk1", "milk0") == "Similar to Oat drink."


def test_words_of_titles_stand_in_the_order_of_the_title() -> None:
    shop = titled({"milk0": "Drink of oat", "milk1": "Oat drink"})
    assert similar(shop, "milk1", "milk0") == "Similar to Drink of oat; shares the words oat and drink."
    assert similar(shop, "milk0", "milk1") == "Similar to Oat drink; shares the words drink and oat."


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [("Red berries", "Berries, dried", "berries"), ("Cherries", "Cherry pie", "cherries")],
)
def test_stems_are_said_as_the_title_has_them(one: str, other: str, word: str) -> None:
    shop = titled({"milk0": other, "milk1": one}, WordForms(stem="en"))
    assert similar(shop, "milk1", "milk0").endswith(f"; shares the word {word}.")


def test_chinese_titles_share_words() -> None:
    shop = titled({"milk0": "全脂牛奶", "milk1": "鲜牛奶"})
    assert similar(shop, "milk1", "milk0") == "Similar to 全脂牛奶; shares the word 牛奶."
