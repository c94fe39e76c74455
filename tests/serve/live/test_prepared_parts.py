"""A service prepares its parts before it answers: its lists are those of the parts as they were fitted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.merchandising.rules import RuleSet
from crossaisle.data.query import Query
from crossaisle.errors import UnknownIdError
from crossaisle.models.blend import Blend
from crossaisle.models.dense.rough import Rough
from crossaisle.models.ranking.pool import Pool
from crossaisle.models.ranking.ranker import LearnedRanker
from crossaisle.models.ranking.tables import ShopTables
from crossaisle.models.ranking.trees import Trees
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.frequency import Frequency
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.scorers.spectral import SpectralEASE
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.rank import rank_query
from crossaisle.recommend.ranker import Best
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.lists.asked import Asked, Scored
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.live.warmup import warm
from crossaisle.serve.store.store import Event
from tests.models.shops import tiny_shop

NEW = {"fresh": {"title": "Organic whole milk", "categories": [["Food", "Dairy"]], "price": 2.0}}
RULES: list[dict[str, Any]] = [
    {"id": "more", "action": "boost", "items": ["Milk"], "weight": 3.0},
    {"id": "less", "action": "bury", "items": ["Bread"], "weight": 3.0},
    {"id": "first", "action": "pin", "items": ["item:spade3"], "position": 2},
]
CONTROLS: list[dict[str, Any]] = [
    {},
    {"placement": "discover"},
    {"exclude_seen": True},
    {"cross_share": 0.5, "quota": 2},
    {"max_price": 3.0},
    {"diversity": 0.3},
]


def ranked(shop: Dataset, blend: Blend) -> LearnedRanker:
    """A ranker of the shop whose trees have seen some answers, and lift what is new to a user."""
    pool = Pool(of_blend=8, of_part=3, of_new=3, retrievers=("popularity", "ease"), unseen=False)
    bare = LearnedRanker(
        placement="for_you", pool=pool, parts=("popularity", "frequency", "ease"), texts=("tfidf",), lift=0.3
    )
    _, found = bare.candidates(blend, ShopTables.of(shop), shop.histories())
    trees = Trees.grow(
        found.features,
        np.random.default_rng(0).random(len(found.blend)) < 1 / (1 + np.exp(-3 * found.features[:, 0])),
        found.sizes,
        bare.features,
        objective="binary",
        directions=bare.directions(blend),
        trees=20,
    )
    return replace(bare, trees=(trees,), scales=(1.0,))


@pytest.fixture(scope="module", params=["the blend", "with a ranker"])
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    shop = tiny_shop(users=60)
    parts = {
        "popularity": Popularity(),
        "frequency": Frequency(),
        "ease": SpectralEASE(ridge=3.0, dimensions=16),
        "tfidf": TfidfSimilarity(),
    }
    weights = {"for_you": {"popularity": 0.1, "frequency": 0.5, "ease": 1.0}, "similar": {"tfidf": 1.0}}
    path = tmp_path_factory.mktemp("prepared") / "model"
    blend = Blend(parts=parts, weights=weights).fit(shop)
    rankers = {"for_you": ranked(shop, blend)} if request.param == "with a ranker" else {}
    Recommender(shop, blend, rankers=rankers).save(path)
    return path


def opened(folder: Path, *, prepared: bool) -> LiveRecommender:
    """A service's recommender of the saved model; its clock stands."""
    histories = LiveHistories()
    limits = LiveLimits(nominated_items=12)
    shop = LiveRecommender(Recommender.load(folder), histories, NEW, limits=limits, clock=lambda: 2e9)
    if prepared:
        warm(shop)
    return shop


def questions(shop: LiveRecommender) -> list[Query]:
    dataset = shop.base.dataset
    users = [dataset.user_ids.id(row) for row in range(4)]
    items = dataset.item_ids.all[:6]
    asked = [Query(user=user, n=6, **controls) for user in users for controls in CONTROLS]
    asked += [Query(history=tuple(items[:size]), n=6) for size in (1, 3)]
    return asked + [Query(items=(item,), placement="similar", n=6) for item in items]


def happen(shop: LiveRecommender) -> None:
    """Clicks of known and unknown users, on known and new items, one of them withdrawn."""
    dataset = shop.base.dataset
    end = float(np.nanmax(dataset.histories().day)) * 86_400
    for at, user in enumerate([*dataset.user_ids.all[:6], "nobody"]):
        names = (dataset.item_ids.id(at), "fresh", dataset.item_ids.id(at + 7))
        shop.live.add([Event(None, user, name, "purchase", end + 60.0 * at) for name in names])
    gone = dataset.item_ids.id(7)
    shop.live.withdraw(dataset.user_ids.id(0), lambda item, day, deed: item == gone)


@pytest.mark.parametrize("together", [1, 8])
def test_lists_are_those_of_parts_that_are_not_prepared(
    folder: Path, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, fast = opened(folder, prepared=False), opened(folder, prepared=True)
    nominated = counting(monkeypatch, fast)
    for shop in (plain, fast):
        happen(shop)
    asked = [*questions(plain), Query(user="nobody", n=6)]
    for start in range(0, len(asked), together):
        for query, answer in zip(
            asked[start : start + together], fast.score_many(asked[start : start + together]), strict=True
        ):
            assert isinstance(answer, RecommendationList)
            expected = plain.recommend(query)
            assert [one.item_id for one in answer.items] == [one.item_id for one in expected.items]
            np.testing.assert_allclose(
                [one.score for one in answer.items], [one.score for one in expected.items], rtol=1e-4
            )
    assert len(nominated) > len(questions(plain)) / 2


def test_what_a_price_band_leaves_is_nominated_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, fast = opened(folder, prepared=False), opened(folder, prepared=True)
    seen = counting(monkeypatch, fast)
    for user in fast.base.dataset.user_ids.all[:4]:
        query = Query(user=user, n=3, max_price=3.0)
        before = len(seen)
        assert fast.recommend(query).ids == plain.recommend(query).ids
        assert len(seen) > before


@pytest.mark.parametrize(
    "more", [*CONTROLS, {"quota": 1}, {"max_price": 20.0, "exclude_seen": True, "diversity": 0.3}]
)
@pytest.mark.parametrize("rules", [[], RULES], ids=["", "under rules"])
def test_pages_share_no_item_though_nominations_miss_some(
    folder: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], rules: list[dict[str, Any]]
) -> None:
    """The first page needs what was nominated, the last one everything that has a score."""
    prepared = opened(folder, prepared=True)
    limits = LiveLimits(nominated_items=12)
    shop = LiveRecommender(prepared.base, LiveHistories(), limits=limits, rules=RuleSet.of(rules, "rules"))
    roughen(monkeypatch, shop)
    for user in shop.base.dataset.user_ids.all[:3]:
        query = Query(user=user, n=4, **more)
        pages = [shop.recommend(replace(query, offset=offset)).ids for offset in range(0, 40, 4)]
        ids = [item for page in pages for item in page]
        assert len(set(ids)) == len(ids)
        assert len(ids) == len(prepared.base.with_rules(shop.rules).recommend(replace(query, n=40)).ids)
        for offset in (36, 0, 12):  # whatever is kept by now
            kept = shop.from_cache(replace(query, offset=offset))
            again = shop.recommend(replace(query, offset=offset)) if isinstance(kept, Asked) else kept
            assert again.ids == pages[offset // 4]


@pytest.mark.parametrize("folder", ["the blend"], indirect=True)  # a ranker orders what was nominated
def test_a_list_of_another_system_is_ranked_by_exact_scores(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks for another page of it, so that what was nominated need not come first."""
    plain, fast = opened(folder, prepared=False), opened(folder, prepared=True)
    roughen(monkeypatch, fast)
    items = fast.base.dataset.item_ids.all
    for user in ("u0", "u1", "u2"):
        query = rank_query(items, user=user)
        assert fast.recommend(query).ids == plain.recommend(query).ids
        page = Query(user=user, n=4)
        pages = [fast.recommend(replace(page, offset=offset)).ids for offset in range(0, 24, 4)]
        fast.recommend(query)
        kept = fast.from_cache(page)
        assert not isinstance(kept, Asked), "ranked from the first nominations"
        assert kept.ids == pages[0]


@pytest.mark.parametrize(
    "bad",
    [
        Query(user="u0", include_categories=("Nowhere",)),
        Query(user="u0", exclude_categories=("Nowhere",), max_price=3.0),
        Query(user="u0", quotas={"Nowhere": 1}),
        Query(placement="similar", items=("unheard-of",)),
    ],
)
def test_a_query_that_fails_fails_alone(folder: Path, bad: Query) -> None:
    shop = opened(folder, prepared=True)
    good = [Query(user="u1", n=3), Query(user="u2", n=3, max_price=3.0), Query(placement="trending", n=3)]
    expected = [shop.recommend(query).ids for query in good]
    *others, failed = shop.score_many([*good, bad])
    assert isinstance(failed, UnknownIdError)
    assert [one.ids for one in others if not isinstance(one, Exception)] == expected


def test_what_nobody_expected_fails_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = opened(folder, prepared=True)
    good = Query(user="u1", n=3)
    expected = shop.recommend(good).ids
    best = shop.scores.best

    def strict(asked: Sequence[Asked]) -> list[Scored | None]:
        if any(one.query.user == "u0" for one in asked):
            raise ValueError("not this one")
        return best(asked)

    monkeypatch.setattr(shop.scores, "best", strict)
    failed, list_of_other = shop.score_many([Query(user="u0"), good])
    assert isinstance(failed, ValueError)
    assert isinstance(list_of_other, RecommendationList)
    assert list_of_other.ids == expected


def test_a_query_is_resolved_again_where_the_shop_has_changed_meanwhile(folder: Path) -> None:
    shop = opened(folder, prepared=True)
    query = Query(user=shop.base.dataset.user_ids.id(0), n=6)
    asked = shop.from_cache(query)
    assert isinstance(asked, Asked)
    other = LiveRecommender(shop.base, shop.live, NEW, limits=shop.limits, clock=lambda: 2e9)
    shop.live.add([Event(None, query.user or "", "fresh", "purchase", 1.9e9)])
    [late], [new] = other.score_many([asked]), other.score_many([query])
    [early] = shop.score_many([asked])
    assert isinstance(late, RecommendationList)
    assert isinstance(new, RecommendationList)
    assert isinstance(early, RecommendationList)
    assert late == new, "by another recommender: with what has happened by now"
    assert early != new, "by the one that was asked: with what had happened when it was asked"


def roughen(monkeypatch: pytest.MonkeyPatch, shop: LiveRecommender) -> None:
    """Nominates by scores that are far from the exact ones."""
    model = shop.ranker._model
    rough, wrong = model.rough, np.random.default_rng(0).normal(size=shop.base.dataset.n_items)

    def rougher(histories: Histories, placement: str) -> Rough | None:
        found = rough(histories, placement)
        assert found is not None
        found.scores += wrong.astype(np.float32)
        return found

    monkeypatch.setattr(model, "rough", rougher)


def counting(monkeypatch: pytest.MonkeyPatch, shop: LiveRecommender) -> list[int]:
    """How many rows were nominated for each list."""
    seen: list[int] = []
    nominated = shop.ranker.nominated

    def counted(*asked: Any) -> list[Best] | None:
        found = nominated(*asked)
        seen.extend(len(rows) for rows, _ in found or [])
        return found

    monkeypatch.setattr(shop.ranker, "nominated", counted)
    return seen


@pytest.mark.parametrize("folder", ["the blend"], indirect=True)  # a ranker deals its scores out anew
def test_explanations_add_up_to_scores_of_prepared_parts(folder: Path) -> None:
    fast = opened(folder, prepared=True)
    happen(fast)
    for user in fast.base.dataset.user_ids.all[:6]:
        for one in fast.recommend(Query(user=user, n=6, explain=True)).items:
            assert one.evidence is not None
            assert one.evidence.score == pytest.approx(one.score, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("action", ["boost", "bury"])
def test_what_rules_move_stands_where_it_stands_among_all_items(folder: Path, action: str) -> None:
    """Items that were not nominated come before those that rules lift less, and before what they bury."""
    rule = {"id": "r", "action": action, "items": ["Dairy"], "weight": 3.0}
    base = Recommender.load(folder).with_rules(RuleSet.of([rule], "rules"))
    shop = LiveRecommender(base, LiveHistories(), limits=LiveLimits(nominated_items=6))
    warm(shop)
    users, items = base.dataset.user_ids.all[:8], base.dataset.item_ids.all
    controls: list[dict[str, Any]] = [
        {},
        {"offset": 5},
        {"exclude_seen": True},
        {"include_items": items[::2]},
    ]
    for user in users:
        for n, control in itertools.product((3, 6, 12), controls):
            query = Query(user=user, n=n, one_per_title=False, in_stock=False, **control)
            assert shop.recommend(query).ids == base.recommend(query).ids, (user, control)
