"""What carries over from one shop to another that shares no user and no item with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.errors import ConfigError
from crossaisle.models import registry
from crossaisle.models.scorers.cold_start.source_shop import SourceShop
from crossaisle.models.scorers.cold_start.transferred import TransferredLinks, TransferredPopularity
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop

SOURCE = SourceShop.of(tiny_shop(seed=3), encoder=None)


def without_events() -> Dataset:
    """Another shop that calls things nearly the same, and in which nothing has happened."""
    shop = tiny_shop()
    paths = tuple(((*path[0][:-1], f"{path[0][-1]} range"),) for path in shop.taxonomy.paths)
    named = replace(shop, taxonomy=Taxonomy(paths), name="new")
    return named.with_events(np.zeros(len(shop.events), bool))


class TestPopularity(ScorerContract):
    personal = False
    scores_cold = True
    weighs_fit = weighs_query = False

    def make(self) -> TransferredPopularity:
        return TransferredPopularity(source=SOURCE)


class TestLinks(ScorerContract):
    scores_cold = True
    weighs_fit = False

    def make(self) -> TransferredLinks:
        return TransferredLinks(source=SOURCE)

    def test_the_group_that_buys_together_comes_first(self, fitted: TransferredLinks) -> None:  # type: ignore[override]
        """Between categories: that is all that carries over."""
        scores = np.nan_to_num(fitted.score([["milk3", "milk1"]], ["bread3", "spade3", "paint3"])[0])
        assert scores[0] > scores[1:].max()


def test_types_are_mapped_and_what_goes_together_there_goes_together_here() -> None:
    shop = without_events()
    links = TransferredLinks(source=SOURCE).fit(shop)
    scores = np.nan_to_num(links.score([["spade0"]], ["paint1", "milk1", "bread1"])[0])
    assert scores[0] > 0.05
    assert scores[0] > scores[1:].max()


def test_a_type_that_nobody_buys_there_is_less_popular_here() -> None:
    source = tiny_shop()
    kept = np.array([name[:-1] != "spade" for name in source.item_ids.ids(source.events.item)])
    model = TransferredPopularity(source=SourceShop.of(source.with_events(kept), encoder=None))
    scores = np.nan_to_num(model.fit(without_events()).score([[]], ["milk0", "spade0"])[0])
    assert scores[0] > scores[1]


def test_the_mapping_names_categories_and_says_how_sure_it_is() -> None:
    shop = without_events()
    strange = replace(shop, taxonomy=Taxonomy((*shop.taxonomy.paths[:-1], (("Xylophone",),))))
    found = {
        row["category"]: row
        for row in TransferredPopularity(source=SOURCE).fit(strange).category_mapping(strange)
    }
    assert found["Dairy > Milk range"]["source"] == "Dairy > Milk"
    assert 0.0 < found["Dairy > Milk range"]["confidence"] <= 1.0
    assert found["Xylophone"] == {"category": "Xylophone", "source": None, "confidence": 0.0}


def test_a_fit_without_a_source_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match="needs the shop that it carries over"):
        TransferredLinks().fit(tiny_shop())


def test_it_is_fitted_again_from_what_was_saved_with_it() -> None:
    """On other items of the same shop, when the other shop is long gone."""
    shop = without_events()
    fitted = TransferredLinks(source=SOURCE).fit(shop)
    settings, arrays = fitted.state()
    assert "source" not in settings
    loaded = registry.make("transferred_links", settings).restore(arrays, shop.item_ids)
    again = replace(loaded).fit(shop)  # type: ignore[type-var]
    np.testing.assert_allclose(again.score([["milk0"]]), fitted.score([["milk0"]]), rtol=1e-6)


def test_nothing_of_people_or_item_ids_travels() -> None:
    arrays = SOURCE.arrays()
    text = b"".join(value.tobytes() for value in arrays.values() if value.dtype == np.uint8)
    assert b"milk0" not in text
    assert b"u1" not in text
