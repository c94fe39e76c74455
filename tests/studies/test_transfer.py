"""A shop's first day, and first purchases in another shop, on shops whose right answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from crossaisle.studies.cross_domain import CrossDomain, with_few
from crossaisle.studies.transfer import first_day, measured
from tests.models.shops import CATEGORIES, item_ids, tiny_shop


def test_what_goes_together_elsewhere_is_found_here() -> None:
    """In the other shop whoever buys milk buys bread, and whoever buys spades buys paint."""
    there, here = tiny_shop(seed=3), tiny_shop()
    source = Recommender(there, Blend(parts={"popularity": Popularity()}).fit(there))
    models = first_day(here, source, encoder="none")
    row = here.item_ids.row
    carts = EvalCases(
        Histories.of([[row("milk1")], [row("spade1")]]),
        np.array([0, 1, 2]),
        np.array([row("bread1"), row("paint1")], np.int32),
    )
    scores = models["carried_over"](carts.histories)
    assert scores[0, row("bread0")] > scores[0, row("paint0")]
    assert scores[1, row("paint0")] > scores[1, row("bread0")]
    rows = measured(models, here, carts, 1.0)
    assert {r["model"] for r in rows} == {"text", "carried_over", "popularity"}
    assert {r["slice"] for r in rows} == {"products", "types"}
    found = {(r["model"], r["slice"]): r["value"] for r in rows}
    assert found["carried_over", "types"] == 1.0


def test_a_history_in_one_domain_is_asked_for_the_first_purchases_in_another() -> None:
    """Dairy and bakery are one shop's domains: everybody buys four of the first, then some of the second."""
    shop = tiny_shop(users=60)
    domains = {"milk": "Kitchen", "bread": "Oven", "spade": "Kitchen", "paint": "Oven"}
    paths = tuple(((domains[n[:-1]], *CATEGORIES[n[:-1]]),) for n in item_ids())
    data = replace(shop, taxonomy=Taxonomy(paths))
    row = data.item_ids.row
    item = []
    for user in range(60):
        first, then = ("spade", "paint") if user % 2 else ("milk", "bread")
        item += [row(f"{first}{i}") for i in range(4)] + [
            row(f"{then}{(user // 2 + i) % 5}") for i in range(4)
        ]
    data = replace(data, events=replace(data.events, item=np.array(item, np.int32)))
    study = CrossDomain(data)
    names, domain = data.taxonomy.names(0), data.taxonomy.codes(0)
    cases = study._cases(domain, names.index("Kitchen"), names.index("Oven"))
    assert len(cases) == 60
    assert set(cases.histories.lengths.tolist()) == {4}
    assert (domain[cases.histories.item] == names.index("Kitchen")).all()
    assert (domain[cases.target] == names.index("Oven")).all()
    assert len(study._cases(domain, names.index("Oven"), names.index("Kitchen"))) == 0


def test_few_events_of_a_domain_are_among_more_and_leave_the_other_alone() -> None:
    shop = tiny_shop(users=60)
    inside = np.char.startswith(np.array(shop.item_ids.all), "bread")
    little, more = (with_few(shop, inside, events).events.item for events in (3, 9))
    assert [int(inside[item].sum()) for item in (little, more)] == [3, 9]
    assert (np.bincount(little, minlength=shop.n_items) <= np.bincount(more, minlength=shop.n_items)).all()
    others = np.count_nonzero(~inside[shop.events.item])
    assert [int((~inside[item]).sum()) for item in (little, more)] == [others, others]
