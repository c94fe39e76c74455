"""CategoryLink: the contract, and counts with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.models.scorers.category_link import CategoryLink
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop


class TestCategoryLink(ScorerContract):
    exact_evidence = False

    def make(self) -> CategoryLink:
        return CategoryLink(shrink=2.0)


def test_scores_are_shrunk_shares_of_the_categorys_users() -> None:
    shop = tiny_shop()
    model = CategoryLink(shrink=2.0).fit(shop)
    milk, bread = shop.item_ids.row("milk0"), shop.item_ids.row("bread0")
    users = shop.matrix().toarray()
    kitchen = users[::2]
    share = (kitchen[:, bread].sum() + 2.0 * users[:, bread].mean()) / (len(kitchen) + 2.0)
    assert model.score_rows(Histories.of([[milk]]))[0, bread] == pytest.approx(share, rel=1e-5)


def test_items_of_the_categories_own_get_only_the_prior() -> None:
    shop = tiny_shop()
    model = CategoryLink(shrink=2.0).fit(shop)
    scores = model.score_rows(Histories.of([[shop.item_ids.row("milk0")]]))[0]
    assert scores[shop.item_ids.row("bread1")] > scores[shop.item_ids.row("milk1")]
    assert scores[shop.item_ids.row("bread1")] > scores[shop.item_ids.row("spade1")]


def test_category_link_names_both_ends_and_the_lift() -> None:
    shop = tiny_shop()
    model = CategoryLink(shrink=2.0).fit(shop)
    row = shop.item_ids.row
    source, target, lift = model.category_link(row("milk0"), row("bread0")) or ("", "", 0.0)
    assert (source, target) == ("Dairy", "Bakery")
    assert lift > 1.5 > 0.8 > (model.category_link(row("milk0"), row("spade0")) or ("", "", 9.0))[2]
    assert model.category_link(row("milk0"), row("milk1")) is None
    assert np.isfinite(model.lifts_).all()


def test_an_event_gives_what_its_category_adds_to_everybodys_chance() -> None:
    shop = tiny_shop()
    model = CategoryLink(shrink=2.0).fit(shop)
    history = Histories.of([shop.item_ids.rows(["milk0", "milk0", "spade1"])])
    item = shop.item_ids.row("bread1")
    events, rest = model.evidence(history, item)
    assert rest == model.prior_[item]
    assert events[0] == events[1] > 0 > events[2]  # whoever shops for spades buys less bread than others
    assert model.rest_reason == "popular"
