"""An explanation adds up to the score, and what it claims is gone when the item is gone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from crossaisle.data.history import Decay, Histories
from crossaisle.data.query import PLACEMENTS, Query
from crossaisle.errors import ConfigError, UnknownIdError
from crossaisle.models.scorers.frequency import PersonalPopularity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.sides import AskedOf
from crossaisle.recommend.explain import TOP, Contribution, check_by_deletion, explain
from crossaisle.recommend.wording.names import item_name
from tests.data.splits.test_carts import with_baskets
from tests.recommend.shop import FITTED, SHOP, recommender


class Words(ItemKNN):
    """Stands in for a model over texts."""

    reason = "shared words"

    def shared_words(self, left: int, right: int) -> list[tuple[str, float]]:
        names = set(SHOP.items["title"][left].split()) & set(SHOP.items["title"][right].split())
        return [(word, 1.0 / len(word)) for word in names]


class Links(ItemKNN):
    """Stands in for a model of categories."""

    reason = "category link"

    def category_link(self, source: int, target: int) -> tuple[str, str, float] | None:
        names = [SHOP.taxonomy.paths[row][0][0] for row in (source, target)]
        return None if names[0] == names[1] else (names[0], names[1], 2.5)


def rows(*names: str) -> Histories:
    return Histories.of([SHOP.item_ids.rows(names)])


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("repeats", [False, True])
def test_contributions_add_up_to_the_score(placement: str, repeats: bool) -> None:
    shop = recommender(repeats=repeats)
    view = ("milk0", "bread2") if placement in ("goes_with", "similar") else ()
    for user in ("u0", "u1", "u5", "stranger"):
        query = Query(placement=placement, user=user, items=view, n=30, explain=True)  # type: ignore[arg-type]
        for shown in shop.recommend(query):
            why = shown.evidence
            assert why is not None
            total = sum(c.amount for c in why.contributions) + why.other
            assert total == pytest.approx(shown.score, rel=1e-4, abs=1e-7)
            assert why.score == pytest.approx(total)
            for c in why.contributions:
                assert sum(c.reasons.values()) == pytest.approx(c.amount)
            own = [c for c in why.contributions if c.item_id]
            assert [c.amount for c in own] == sorted((c.amount for c in own), reverse=True)
            assert len(own) <= TOP
            assert why.text.endswith(".") == bool(why.causes)


def test_repeats_of_an_item_are_merged_and_the_rest_is_told_as_other() -> None:
    history = rows("milk0", "milk0", "milk1", "milk2", "bread1", "bread2")
    why = explain(SHOP, FITTED.parts("for_you"), history, SHOP.item_ids.row("milk3"))
    own = [c for c in why.contributions if c.item_id]
    assert len(own) == TOP
    assert own[0].item_id == "milk0"  # counted twice
    assert why.other > 0
    assert why.contributions[-1].reasons.keys() == {"popular"}


def test_the_sentence_names_items_words_and_the_category_link() -> None:
    parts = [(Words(shrink=1.0).fit(SHOP), 1.0), (Links(shrink=1.0).fit(SHOP), 1.0)]
    why = explain(SHOP, parts, rows("milk0", "milk1"), SHOP.item_ids.row("bread2"))
    assert why.text.startswith("Because you bought fresh milk number")
    assert (
        "; shares the words fresh and number; "
        "people who shop for Dairy also shop for Bakery more than others do." in why.text
    )
    assert why.link is not None
    assert (why.link.source, why.link.target, why.link.lift) == ("Dairy", "Bakery", 2.5)
    assert why.contributions[0].words == ("fresh", "number")
    assert set(why.contributions[0].reasons) == {"shared words", "category link"}


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (
            "Home > Kitchen > Coffee",
            "Home > Kitchen > Cups",
            "people who shop for Coffee also shop for Cups more",
        ),
        (
            "Food > Drinks",
            "Party > Drinks",
            "people who shop for Food > Drinks also shop for Party > Drinks more",
        ),
    ],
)
def test_categories_of_a_link_are_called_by_their_last_name(source: str, target: str, said: str) -> None:
    class Deep(Links):
        def category_link(self, left: int, right: int) -> tuple[str, str, float] | None:
            return (source, target, 2.5)

    parts = [(Words(shrink=1.0).fit(SHOP), 1.0), (Deep(shrink=1.0).fit(SHOP), 1.0)]
    why = explain(SHOP, parts, rows("milk0", "milk1"), SHOP.item_ids.row("bread2"))
    assert said in why.text
    assert why.link is not None
    assert (why.link.source, why.link.target) == (source, target)


def test_the_opening_follows_the_placement() -> None:
    parts, item = FITTED.parts("similar"), SHOP.item_ids.row("milk1")
    assert explain(SHOP, parts, rows("milk0"), item, "similar").text == "Similar to fresh milk number 0."
    goes = explain(SHOP, parts, rows("milk0"), item, "goes_with").text
    assert goes == "Goes with fresh milk number 0."
    both = rows("milk0").with_view(rows("milk2"))  # a known user with a cart
    said = explain(SHOP, parts, both, item, "goes_with").text
    assert said == "Goes with fresh milk number 2; also because you bought fresh milk number 0."
    again = FITTED.recommend(Query(placement="buy_again", user="u0", n=1, explain=True)).items[0].evidence
    assert again is not None
    assert again.text == "You bought it before."
    popular = FITTED.recommend(Query(placement="trending", n=1, explain=True)).items[0].evidence
    assert popular is not None
    assert popular.text == "Popular with other shoppers."
    nothing = explain(SHOP, parts, rows("milk0"), SHOP.item_ids.row("spade5"))
    assert nothing.text == ""
    assert nothing.score == 0.0


def test_deleting_an_item_loses_what_it_was_said_to_give() -> None:
    stored = SHOP.histories()
    parts = [*FITTED.parts("for_you"), *FITTED.parts("buy_again")]
    for user in range(4):
        history = stored.take([user])
        for source in np.unique(history.item).tolist():
            for item in range(SHOP.n_items):
                found = check_by_deletion(parts, history, item, source)
                assert found.exact
                assert found.lost == pytest.approx(found.claimed, rel=1e-4, abs=1e-6)


def test_deletion_is_not_exact_where_older_events_move_up() -> None:
    parts = [(ItemKNN(shrink=1.0, decay=Decay(events=2.0)).fit(SHOP), 1.0)]
    history, item = rows("milk0", "milk1", "bread1"), SHOP.item_ids.row("milk3")
    oldest = check_by_deletion(parts, history, item, SHOP.item_ids.row("milk0"))
    assert oldest.exact
    assert oldest.lost == pytest.approx(oldest.claimed, rel=1e-4)
    newest = check_by_deletion(parts, history, item, SHOP.item_ids.row("bread1"))
    assert not newest.exact
    assert newest.lost < newest.claimed  # milk counts more once the bread is gone


def test_a_false_claim_is_found() -> None:
    class Boastful(ItemKNN):
        def evidence(self, histories: Histories, item: int) -> tuple[np.ndarray, float]:
            events, rest = super().evidence(histories, item)
            return events[::-1].copy(), rest

    parts = [(Boastful(shrink=1.0).fit(SHOP), 1.0)]
    history, item = rows("milk0", "spade1"), SHOP.item_ids.row("milk3")
    found = check_by_deletion(parts, history, item, SHOP.item_ids.row("milk0"))
    assert found.exact
    assert found.lost > 0
    assert found.claimed == 0.0


def test_products_of_one_name_are_named_once() -> None:
    titles = SHOP.items["title"].to_list()
    titles[SHOP.item_ids.row("milk2")] = titles[SHOP.item_ids.row("milk0")]
    twins = replace(SHOP, items=SHOP.items.with_columns(pl.Series("title", titles)))
    parts, item = FITTED.parts("similar"), SHOP.item_ids.row("milk1")
    said = explain(twins, parts, rows("milk0", "milk2", "milk3"), item, "goes_with").text
    assert said.count("fresh milk number 0") == 1
    assert "fresh milk number 3" in said


def test_what_no_event_explains_is_called_what_it_is() -> None:
    """The rest of a user's own shares is everybody's taste; within a sentence nothing is capitalised."""
    shop = with_baskets()
    model = PersonalPopularity(decay=Decay(), shrink=2.0, half_life_days=None).fit(shop)
    own = Histories.of([shop.item_ids.rows(["milk0", "milk1"])])
    own = own.with_view(Histories.of([shop.item_ids.rows(["bread0"])]))
    told = explain(shop, [(AskedOf(model, "history"), 1.0)], own, shop.item_ids.row("milk0"), "goes_with")
    assert {c.name for c in told.contributions if c.item_id is None} == {"popular"}
    assert told.text.startswith("You bought it before")
    assert "; Goes" not in told.text


def test_explain_takes_a_user_or_a_history() -> None:
    shown = FITTED.recommend(Query(user="u0", n=1, explain=True)).items[0]
    assert FITTED.explain("u0", shown.item_id) == shown.evidence
    session = FITTED.explain(["milk0", "nobody sells this"], "milk1")
    assert [c.item_id for c in session.contributions] == ["milk0", None]
    assert isinstance(session.contributions[0], Contribution)
    with pytest.raises(
        ConfigError, match="explained for items in view: give the ids of the items, not a user"
    ):
        FITTED.explain("u0", "milk1", placement="goes_with")
    with pytest.raises(ConfigError, match="for_you is explained for a user or for items, not for both"):
        FITTED.explain(["milk0"], "milk1", user="u0")
    for of, user in (("stranger", None), (["milk0"], "stranger")):
        with pytest.raises(UnknownIdError, match="unknown user 'stranger'"):
            FITTED.explain(of, "milk1", placement="goes_with" if user else "for_you", user=user)
    with pytest.raises(UnknownIdError, match="unknown item 'milc1'"):
        FITTED.explain("u0", "milc1")


def test_items_without_a_title_go_by_brand_and_category() -> None:
    untitled = replace(SHOP, items=SHOP.items.with_columns(pl.lit("").alias("title")))
    assert item_name(untitled, 0) == "brand0 Milk"
    bare = replace(untitled, items=untitled.items.with_columns(pl.lit("").alias("brand")))
    assert item_name(bare, 0) == "Milk"
