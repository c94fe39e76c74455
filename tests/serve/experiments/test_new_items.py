"""Items with few events get places in exploring arms, with the probabilities that are logged."""

from __future__ import annotations

import random
from collections import Counter

import httpx
import numpy as np
import pytest

from crossaisle.errors import ConfigError
from crossaisle.recommend.answer import Recommendation
from crossaisle.serve.experiments.design import Arm, Experiment
from crossaisle.serve.experiments.mixing import explore
from crossaisle.serve.experiments.new_items import PRIOR, joined, order_probabilities, thompson
from crossaisle.serve.service import ShopService
from tests.serve.conftest import talk


def items(*names: str) -> list[Recommendation]:
    return [Recommendation(at, name, name, "", None, 0.0) for at, name in enumerate(names, 1)]


SHAPES = ((2.0, 8.0), (1.0, 9.0), (30.0, 270.0), (1.0, 60.0))


def test_orders_have_the_probabilities_of_the_draws() -> None:
    rng = random.Random(0)
    counts = np.zeros((4, 2))
    for _ in range(20_000):
        for place, at in enumerate(thompson(SHAPES, 2, rng)):
            counts[at, place] += 1
    assert order_probabilities(SHAPES, 2) == pytest.approx(counts / 20_000, abs=0.012)
    even = order_probabilities((PRIOR,) * 5, 3)
    assert even == pytest.approx(np.full((5, 3), 0.2), abs=1e-6)


def test_places_have_the_probabilities_of_the_lists() -> None:
    """The whole draw, many times: which item joins, then which place it gets."""
    rng = random.Random(1)
    ranked, new = items(*"abcdefgh"), items("n1", "n2", "n3")
    seen = [Counter[str]() for _ in range(4)]
    said: dict[tuple[str, int], float] = {}
    runs = 12_000
    for _ in range(runs):
        draw = joined(ranked, new, SHAPES[:3], 2, 4, rng)
        assert [item.item_id for item in draw.items if item.item_id in "abcdefgh"] == list("abcdefgh")
        table = draw.probabilities(4, 0.5)
        for place, at in enumerate(explore(len(draw.items), 4, 0.5, rng)):
            name = draw.items[at].item_id
            seen[place][name] += 1
            said[name, place] = float(table[at, place])
    assert {name for name, _ in said} == {*"abcdefgh", "n1", "n2", "n3"}
    for (name, place), probability in said.items():
        assert seen[place][name] / runs == pytest.approx(probability, abs=0.015), (name, place)
    for place in range(4):
        assert sum(said[name, place] for name, at in said if at == place) == pytest.approx(1.0, abs=0.01)


def test_what_earns_joins_more_often() -> None:
    rng = random.Random(2)
    first = Counter(thompson(((40.0, 60.0), *[PRIOR] * 9), 1, rng)[0] for _ in range(300))
    assert first[0] > 250


def test_few_candidates_and_none() -> None:
    rng = random.Random(3)
    assert [i.item_id for i in joined(items("a", "b"), items("n"), (PRIOR,), 3, 2, rng).items] == [
        "a",
        "n",
        "b",
    ]
    assert joined(items("a", "b"), [], (), 2, 2, rng).items == tuple(items("a", "b"))


def test_new_items_need_an_arm_that_explores() -> None:
    arms = (Arm(name="a"), Arm(name="b", new_items=1))
    with pytest.raises(ConfigError, match="arm 'b': new_items needs explore"):
        Experiment(name="x", arms=arms, started=0.0)


def test_a_new_item_is_shown_logged_and_learnt_from(service: ShopService) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        title = (await client.get("/api/items/bread")).json()
        body = {"title": "Fresh wholemeal bread", "categories": title["categories"], "price": 1.0}
        assert (await client.put("/api/items/loaf", json=body)).status_code in (200, 201, 204)
        arms = [
            {"name": "plain", "weight": 1e-6},
            {"name": "open", "weight": 1e6, "explore": 0.0, "new_items": 1},
        ]
        made = await client.post("/api/experiments", json={"name": "new", "arms": arms})
        assert made.status_code == 201, made.text
        shown = None
        for number in range(40):
            user = ("ann", "bob", "cid", "dee", "eve")[number % 5]
            answer = (await client.get(f"/api/recommend/{user}?n=3&exclude_seen=false")).json()
            if "loaf" in [item["item_id"] for item in answer["items"]]:
                shown = user
                break
            event = {"user": user, "item": "milk", "kind": "view"}
            await client.post("/api/events", json=event)
        assert shown is not None
        log = (await client.get("/api/experiments/new/exposures")).json()
        line = next(line for line in log if line["user"] == shown and "loaf" in line["items"])
        assert all(0 < p < 1 for p in line["propensities"])
        assert "loaf" not in line["ranked"]
        await client.post("/api/events", json={"user": shown, "item": "loaf", "kind": "purchase"})
        experiment = service.experiments.get("new")
        arm = next(arm for arm in experiment.arms if arm.name == "open")
        await service.experiments.written()
        await service.experiments.new_items.learn(experiment, arm)
        [shape] = service.experiments.new_items.shapes(experiment, arm, ["loaf"])
        assert shape[0] == PRIOR[0] + 1
        [other] = service.experiments.new_items.shapes(experiment, arm, ["never shown"])
        assert other == PRIOR

    talk(service, conversation)
