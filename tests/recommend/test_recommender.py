"""The one pipeline: what each placement may show, what the controls do, and that it survives the disk."""

from __future__ import annotations

import json
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from crossaisle.artifact import MANIFEST, sha256
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.merchandising.rules import RuleSet
from crossaisle.data.query import PLACEMENTS, Query
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ArtifactError, ConfigError, UnknownIdError
from crossaisle.models.blend import Blend
from crossaisle.models.newcomers import Newcomers
from crossaisle.models.ranking.pool import Pool
from crossaisle.models.ranking.ranker import LearnedRanker
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.frequency import Frequency
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.limits import ListLimits
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


def test_what_was_decided_about_a_shop_is_carried_along() -> None:
    """By name of each setting, so that one that is added is not forgotten."""
    parts = {"popularity": Popularity(), "tfidf": TfidfSimilarity(), "item_knn": ItemKNN()}
    decided: dict[str, Any] = {
        "repeats": True,
        "tuned": False,
        "newcomers": Newcomers(
            np.array([0], np.int32), sparse.csr_matrix((1, SHOP.n_items), dtype=np.float32)
        ),
        "lasting": (1,),
        "histories": FITTED.histories,
        "limits": ListLimits(prefix=1),
        "rules": RuleSet.of([{"id": "a", "action": "never", "items": ["Milk"]}], "f"),
        "rankers": {"for_you": LearnedRanker(placement="for_you", pool=Pool(), parts=(), texts=())},
    }
    settings = {name for name in signature(Recommender).parameters if name not in ("dataset", "blend")}
    assert decided.keys() == settings
    shop = Recommender(SHOP, Blend(parts=parts).fit(SHOP), **decided)
    same = shop.replaced(blend=replace(shop.blend, remember=True))
    assert same.blend.remember
    for name, value in decided.items():
        carried = getattr(same, name)
        assert carried is value or carried == value, name
    assert shop.replaced(rankers={}).rankers == {}
    kept = SHOP.events.item != SHOP.item_ids.row("milk1")
    other = shop.replaced(dataset=SHOP.with_events(kept))
    assert (other.repeats, other.tuned, other.limits) == (True, False, shop.limits)
    assert other.rankers == shop.rankers
    assert other.newcomers is not None
    assert SHOP.item_ids.row("milk1") in other.newcomers.rows  # what is read off the data is read again
    assert other.lasting != shop.lasting
    assert len(other.histories.item) == kept.sum()


# Placements


def with_carts(repeats: bool) -> Recommender:
    """`goes_with` of a user with a cart: kNN of the cart, and what the user had before."""
    old = recommender(repeats=repeats)
    weights = {
        **old.blend.weights,
        "goes_with": {"item_knn": 1.0},
        "goes_with_user": {"item_knn": 1.0},
        "goes_with_history": {"frequency": 1.0},
    }
    return Recommender(SHOP, Blend(parts=old.blend.parts, weights=weights), repeats=repeats)


def test_what_goes_with_a_cart_of_a_user_goes_by_both() -> None:
    shop = with_carts(repeats=True)
    alone = shop.recommend(Query(placement="goes_with", items=("milk1",), n=9))
    known = shop.recommend(Query(placement="goes_with", items=("milk1",), user="u0", n=9, explain=True))
    assert all(not item.startswith("milk") for item in known.ids)
    own = [item for item in known.ids if item in seen("u0")]
    assert known.ids[: len(own)] == own  # the habit stands first
    assert known.ids != alone.ids
    why = known.items[0].evidence
    assert why
    assert {"bought before"} <= {reason for c in why.contributions for reason in c.reasons}
    assert why.score == pytest.approx(known.items[0].score, rel=1e-5)
    stranger = shop.recommend(Query(placement="goes_with", items=("milk1",), user="nobody", n=9))
    assert stranger.ids == alone.ids
    session = Query(placement="goes_with", items=("milk1",), history=("bread2", "spade1"), n=2)
    assert set(shop.recommend(session).ids) == {"bread2", "spade1"}


def test_new_products_beside_a_cart_are_those_of_the_cart_alone() -> None:
    shop = with_carts(repeats=True)
    alone = shop.recommend(Query(placement="goes_with", items=("milk1",), n=30))
    new = shop.recommend(Query(placement="goes_with", items=("milk1",), user="u0", exclude_seen=True, n=30))
    assert new.ids == [item for item in alone.ids if item not in seen("u0")]


def test_where_nobody_buys_again_a_cart_is_not_answered_with_what_the_user_had() -> None:
    shop = with_carts(repeats=False)
    query = Query(placement="goes_with", items=("milk1",), user="u0", n=9)
    assert not set(shop.recommend(query).ids) & seen("u0")
    assert set(shop.recommend(replace(query, exclude_seen=False)).ids) & seen("u0")


def test_for_you_shows_unseen_items_of_the_users_group_first() -> None:
    answer = FITTED.recommend(Query(user="u0", n=3))
    assert answer.served == "for_you"
    assert not seen("u0") & set(answer.ids)
    assert set(categories(answer)) <= {"Dairy", "Bakery"}
    assert [r.rank for r in answer] == [1, 2, 3]
    scores = [r.score for r in answer]
    assert scores == sorted(scores, reverse=True)
    assert answer.notices == ()


def test_a_repeat_buying_shop_shows_seen_items() -> None:
    again = recommender(repeats=True)
    assert set(again.recommend(Query(user="u0", n=3)).ids) & seen("u0")
    assert not set(again.recommend(Query(user="u0", n=3, exclude_seen=True)).ids) & seen("u0")


def test_discover_shows_new_categories_only() -> None:
    answer = FITTED.recommend(Query(placement="discover", history=("milk0", "spade1"), n=30))
    assert set(categories(answer)) == {"Bakery", "Hardware"}


def test_goes_with_shows_other_categories_than_those_in_view() -> None:
    answer = FITTED.goes_with(["milk0", "milk1"], n=4)
    assert "Dairy" not in categories(answer)
    assert set(categories(answer)) == {"Bakery"}
    assert answer.served == "goes_with"


def test_similar_leaves_out_the_item_in_view() -> None:
    answer = FITTED.similar_items("milk0", n=40)
    assert "milk0" not in answer.ids
    assert set(categories(answer)[:8]) == {"Dairy", "Bakery"}


def test_buy_again_shows_the_history_only() -> None:
    answer = FITTED.recommend(Query(placement="buy_again", user="u2", n=3, in_stock=False))
    assert set(answer.ids) <= seen("u2")
    twice = SHOP.item_ids.id(int(SHOP.events.item[2 * 8]))
    assert answer.ids[0] == twice


def test_trending_is_popularity_and_the_same_for_everybody() -> None:
    trending = FITTED.recommend(Query(placement="trending", n=5))
    assert trending.ids == FITTED.recommend(Query(placement="trending", user="u3", n=5)).ids
    # bread0 may be popular, but it is not in stock.
    users = np.asarray(SHOP.matrix().sum(axis=0)).ravel() * SHOP.items["in_stock"].to_numpy()
    assert trending.ids[0] == SHOP.item_ids.id(int(users.argmax()))
    assert trending.notices == ()


@pytest.mark.parametrize("placement", ["for_you", "discover", "buy_again"])
@pytest.mark.parametrize(
    ("who", "said"),
    [
        ({"user": "stranger"}, "unknown user 'stranger': trending items instead"),
        ({}, "neither a user nor a history given: trending items instead"),
        ({"history": ("what",)}, "no known item in the history: trending items instead"),
    ],
)
def test_without_a_history_trending_is_served_and_said(
    placement: str, who: dict[str, object], said: str
) -> None:
    answer = FITTED.recommend(Query(placement=placement, n=4, **who))  # type: ignore[arg-type]
    assert answer.ids == FITTED.recommend(Query(placement="trending", n=4)).ids
    assert (answer.placement, answer.served) == (placement, "trending")
    assert said in answer.notice


def test_a_known_user_without_events() -> None:
    silent = SHOP.with_events(SHOP.events.user != 3)
    answer = recommender(silent).recommend(Query(user="u3", n=2))
    assert answer.notice == "user 'u3' has no events yet: trending items instead"


def test_unknown_items_of_a_session_are_passed_over_and_named() -> None:
    known = FITTED.recommend(Query(history=("milk0", "milk1"), n=5))
    mixed = FITTED.recommend(Query(history=("x", "milk0", "y", "milk1"), n=5))
    assert mixed.ids == known.ids
    assert mixed.notice == "2 unknown item(s) of the history ignored: 'x', 'y'"


def test_unknown_items_in_view_and_unknown_categories_know_the_nearest() -> None:
    with pytest.raises(UnknownIdError, match="unknown item 'milc0'") as found:
        FITTED.similar_items("milc0")
    assert found.value.hint == " (did you mean 'milk0'?)"
    with pytest.raises(UnknownIdError, match="unknown category 'Diary'") as found:
        FITTED.recommend(Query(user="u0", exclude_categories=("Diary",)))
    assert found.value.hint == " (did you mean 'Dairy'?)"
    with pytest.raises(UnknownIdError, match="unknown category 'Diary'"):
        FITTED.recommend(Query(user="u0", quotas={"Diary": 1}))


# What is measured is what is served


@pytest.mark.parametrize("placement", ["for_you", "trending", "buy_again"])
def test_score_batch_is_what_recommend_ranks_by(placement: str) -> None:
    scores = FITTED.score_batch(SHOP.histories(), placement)  # type: ignore[arg-type]
    assert scores.dtype == np.float32
    for user in range(SHOP.n_users):
        answer = FITTED.recommend(Query(placement=placement, user=f"u{user}", n=40, in_stock=False))  # type: ignore[arg-type]
        rows = SHOP.item_ids.rows(answer.ids)
        np.testing.assert_array_equal(scores[user, rows], np.array([r.score for r in answer], np.float32))


def test_a_batch_with_an_empty_history_gets_popularity_there() -> None:
    scores = FITTED.score_batch(Histories.of([[0], []]))
    popularity = FITTED.score_batch(Histories.of([[]]), "trending")[0]
    np.testing.assert_array_equal(scores[1], popularity)
    assert not np.array_equal(scores[0], popularity, equal_nan=True)


def test_items_that_no_model_can_score_are_never_shown() -> None:
    for placement in PLACEMENTS:
        view = ("milk0",) if placement in ("goes_with", "similar") else ()
        answer = FITTED.recommend(Query(placement=placement, user="u0", items=view, n=50))
        assert not {"milk5", "bread5", "spade5", "paint5"} & set(answer.ids)
        assert all(np.isfinite(r.score) for r in answer)


def test_popularity_steps_in_when_nothing_else_can_score_the_candidates() -> None:
    """Frequency scores the history only; with that left out nothing remains."""
    alone = Recommender(
        SHOP,
        Blend(
            parts={"popularity": Popularity(), "frequency": Frequency()},
            weights={"for_you": {"frequency": 1.0}},
        ).fit(SHOP),
    )
    answer = alone.recommend(Query(user="u0", n=3))
    assert len(answer) == 3
    assert answer.served == "trending"
    assert "no model can score these candidates: ranked by popularity" in answer.notice


def test_equal_scores_go_by_popularity_then_by_catalogue() -> None:
    class Flat(Popularity):
        def score_rows(self, histories: Histories) -> Floats:
            return np.ones((len(histories), len(self.popularity_)), np.float32)

    flat = Recommender(
        SHOP,
        Blend(parts={"popularity": Popularity(), "flat": Flat()}, weights={"for_you": {"flat": 1.0}}).fit(
            SHOP
        ),
    )
    answer = flat.recommend(Query(user="u0", n=40, exclude_seen=False, in_stock=False))
    popularity = np.nan_to_num(flat.view.popularity[SHOP.item_ids.rows(answer.ids)], nan=-1.0)
    expected = sorted(range(SHOP.n_items), key=lambda row: (-flat.view.popularity[row], row))
    assert answer.ids == SHOP.item_ids.ids(expected)
    assert (np.diff(popularity) <= 0).all()


# Controls

names = st.sampled_from(["Dairy", "Bakery > Bread", "garden", "Paint"])


@given(
    st.sampled_from(PLACEMENTS),
    st.sampled_from(["u0", "u1", "u7", "stranger"]),
    st.integers(1, 30),
    st.none() | st.floats(0, 1) | st.just("auto"),
    st.lists(names, max_size=2),
    st.none() | st.integers(1, 3),
    st.none() | st.floats(0, 12),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.none() | st.booleans(),
)
def test_every_control_holds_in_every_list(
    placement: str,
    user: str,
    k: int,
    share: float | str | None,
    excluded: list[str],
    quota: int | None,
    low: float | None,
    diversity: float,
    exclude_seen: bool | None,
) -> None:
    view = ("bread1",) if placement in ("goes_with", "similar") else ()
    query = Query(
        placement=placement,  # type: ignore[arg-type]
        user=user,
        items=view,
        n=k,
        cross_share=None if placement == "discover" else share,  # type: ignore[arg-type]
        exclude_categories=tuple(excluded),
        quota=quota,
        quotas={"Milk": 2},
        min_price=low,
        max_price=None if low is None else low + 8,
        diversity=diversity,
        exclude_seen=exclude_seen,
    )
    answer = FITTED.recommend(query)
    assert answer == FITTED.recommend(query)
    assert len(set(answer.ids)) == len(answer) <= k
    assert "bread0" not in answer.ids
    assert not set(view) & set(answer.ids)
    for name in excluded:
        rows = set(SHOP.taxonomy.find(name).tolist())
        assert not rows & set(SHOP.item_ids.rows(answer.ids).tolist())
    counts = {c: categories(answer).count(c) for c in set(categories(answer))}
    assert counts.pop("Dairy", 0) <= 2
    assert quota is None or max(counts.values(), default=0) <= quota
    if low is not None:
        assert all(r.price is not None and low - 1e-4 <= r.price <= low + 8 + 1e-4 for r in answer)
    if exclude_seen and user != "stranger":
        assert not seen(user) & set(answer.ids)
    assert len(answer) == k or "no more items fit" in answer.notice
    if answer.relevance_kept is not None and min(r.score for r in answer) >= 0:
        assert answer.relevance_kept <= 1 + 1e-6


@pytest.mark.parametrize(("share", "outside"), [(0.0, 0), (0.4, 2), (1.0, 5)])
def test_the_cross_category_share_is_kept_and_its_cost_is_told(share: float, outside: int) -> None:
    answer = FITTED.recommend(
        Query(history=("milk0", "milk1", "milk2"), n=5, cross_share=share, exclude_seen=False)
    )
    assert sum(c != "Dairy" for c in categories(answer)) == outside
    assert answer.cross_share == pytest.approx(outside / 5)
    free = FITTED.recommend(Query(history=("milk0", "milk1", "milk2"), n=5, exclude_seen=False))
    kept = sum(r.score for r in answer) / sum(r.score for r in free)
    assert answer.relevance_kept == pytest.approx(kept, rel=1e-5)
    assert free.relevance_kept == 1.0


def test_a_share_without_a_history_is_said_to_be_ignored() -> None:
    answer = FITTED.recommend(Query(placement="trending", user="nobody", cross_share=0.5, n=3))
    assert answer.notice == "cross_share needs a history with known categories: the scores decide"
    assert answer.cross_share is None


def test_stock_and_included_categories() -> None:
    bread = Query(placement="trending", include_categories=("Bread",), n=10)
    assert "bread0" not in FITTED.recommend(bread).ids
    everything = FITTED.recommend(replace(bread, in_stock=False))
    assert set(everything.ids) == {f"bread{i}" for i in range(5)}


@given(
    st.sampled_from(PLACEMENTS),
    st.sets(st.sampled_from([*SHOP.item_ids.all, "nothing"]), max_size=8),
    st.sets(st.sampled_from([*SHOP.item_ids.all, "nothing"]), max_size=8),
)
def test_only_these_items_and_never_those(placement: str, only: set[str], never: set[str]) -> None:
    view = ("bread1",) if placement in ("goes_with", "similar") else ()
    query = Query(placement=placement, user="u0", items=view, n=30)  # type: ignore[arg-type]
    answer = FITTED.recommend(replace(query, include_items=tuple(only), exclude_items=tuple(never)))
    every = FITTED.recommend(query).ids
    assert answer.ids == [item for item in every if (not only or item in only) and item not in never]
    told = "1 unknown item(s) of include_items cannot be shown: 'nothing'"
    assert (told in answer.notices) == ("nothing" in only)


def test_a_price_is_told_as_the_shop_wrote_it() -> None:
    items = pl.DataFrame({"item_id": ["a", "b"], "price": [4.89, 1e-3]})
    events = pl.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"]})
    shop = import_frames(items, events).dataset
    answer = Recommender(shop, Blend(parts={"popularity": Popularity()}).fit(shop)).recommend(Query(n=2))
    assert {r.item_id: r.price for r in answer} == {"a": 4.89, "b": 1e-3}


def test_missing_prices_and_stock() -> None:
    items = SHOP.items.with_columns(
        pl.lit(None, pl.Float32).alias("price"), pl.lit(None, pl.Boolean).alias("in_stock")
    )
    bare = recommender(replace(SHOP, items=items))
    answer = bare.recommend(Query(placement="trending", n=30))
    assert len(answer) == 20
    assert answer.items[0].price is None
    assert len(bare.recommend(Query(placement="trending", min_price=0.0))) == 0


def test_k_larger_than_the_catalogue_returns_every_candidate() -> None:
    answer = FITTED.recommend(Query(placement="trending", n=10_000, in_stock=False))
    assert len(answer) == 20
    assert answer.notice == "20 of 10000: no more items fit the placement and its filters"


def test_no_candidate_left_is_an_empty_list() -> None:
    answer = FITTED.recommend(Query(placement="discover", history=("milk0", "bread0", "spade0", "paint0")))
    assert answer.ids == []
    assert answer.relevance_kept is None
    assert answer.notice == "0 of 10: no more items fit the placement and its filters"


def test_diversity_uses_a_part_that_knows_similarity() -> None:
    class Alike(Popularity):
        def item_similarity(self, left: Rows, right: Rows) -> Floats:
            return np.ones((len(left), len(right)), np.float32)

    shop = Recommender(SHOP, Blend(parts={"popularity": Alike()}).fit(SHOP))
    plain = shop.recommend(Query(placement="trending", n=5))
    assert shop.recommend(Query(placement="trending", n=5, diversity=0.5)).ids == plain.ids
    spread = FITTED.recommend(Query(placement="trending", n=4, diversity=0.9))
    assert len(set(categories(spread))) == 4


# Construction


def test_popularity_is_required() -> None:
    with pytest.raises(ConfigError, match="needs a Popularity part"):
        Recommender(SHOP, Blend(parts={"item_knn": ItemKNN()}).fit(SHOP))


def test_parts_must_belong_to_the_shop() -> None:
    renamed = replace(SHOP, item_ids=type(SHOP.item_ids)(f"other{i}" for i in range(SHOP.n_items)))
    with pytest.raises(ConfigError, match="part 'popularity' was fitted on other items than data set 'tiny'"):
        Recommender(SHOP, Blend(parts={"popularity": Popularity()}).fit(renamed))


# Answers


def test_answers_as_dict_and_table() -> None:
    answer = FITTED.recommend(Query(user="u0", n=3, explain=True))
    told = json.loads(json.dumps(answer.to_dict()))
    assert told["items"][0]["item_id"] == answer.ids[0]
    assert told["items"][0]["evidence"]["contributions"]
    table = answer.to_polars()
    assert table.columns == ["rank", "item_id", "title", "category", "price", "score", "why"]
    assert table["item_id"].to_list() == answer.ids
    assert table["why"].null_count() == 0
    assert FITTED.recommend(Query(placement="trending", n=2)).to_polars()["why"].null_count() == 2


# On disk


def test_saved_and_loaded_answers_are_equal(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shop = recommender(repeats=True)
    shop.save(folder)
    again = Recommender.load(folder)
    for placement in PLACEMENTS:
        view = ("milk0",) if placement in ("goes_with", "similar") else ()
        share = None if placement == "discover" else "auto"
        query = Query(placement=placement, user="u4", items=view, n=20, cross_share=share, explain=True)
        assert again.recommend(query) == shop.recommend(query)
    assert again.blend.parts["item_knn"] == shop.blend.parts["item_knn"]
    assert again.describe() == shop.describe()
    for path in folder.rglob("*.json"):
        assert str(tmp_path) not in path.read_text()


def test_half_precision_changes_scores_by_a_thousandth_at_most(tmp_path: Path) -> None:
    FITTED.save(tmp_path / "full")
    FITTED.save(tmp_path / "half", half=True)
    weights = "parts/item_knn/weights_.data.npy"
    assert (tmp_path / "half" / weights).stat().st_size < (tmp_path / "full" / weights).stat().st_size
    again = Recommender.load(tmp_path / "half")
    histories = SHOP.histories()
    np.testing.assert_allclose(again.score_batch(histories), FITTED.score_batch(histories), rtol=1e-3)


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    FITTED.save(folder)
    weights = folder / "parts/item_knn/weights_.data.npy"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(bytes(raw))
    with pytest.raises(ArtifactError, match=r"damaged: parts/item_knn/weights_.data.npy does not match"):
        Recommender.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("blend"), "config.json: damaged: lacks 'blend'; restore it or fit again"),
        (lambda c: c["blend"].pop("parts"), "parts: damaged: lacks 'parts'; restore it or fit again"),
        (lambda c: c["blend"]["parts"]["item_knn"].update(kind="oracle"), "unknown model kind 'oracle'"),
        (lambda c: c["blend"]["parts"]["item_knn"]["settings"].update(depth=3), "unknown setting 'depth'"),
        (
            lambda c: c["blend"]["parts"].update(other=c["blend"]["parts"]["item_knn"]),
            "saved 'item_knn' model lacks weights_, known_",
        ),
    ],
)
def test_a_config_of_another_making_is_refused(tmp_path: Path, change: object, message: str) -> None:
    folder = tmp_path / "model"
    FITTED.save(folder)
    config = json.loads((folder / "config.json").read_text())
    change(config)  # type: ignore[operator]
    (folder / "config.json").write_text(json.dumps(config))
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"]["config.json"] = sha256(folder / "config.json")
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=message):
        Recommender.load(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", b"{", r"config\.json: damaged: cannot be read \(JSONDecodeError"),
        ("config.json", b"[]", r"config\.json: damaged: is no JSON object"),
        ("config.json", b"[" * 100_000, r"config\.json: damaged: cannot be read \(RecursionError"),
        ("config.json", b'{"repeats": 1, "blend": []}', r"damaged: cannot be read \(TypeError"),
        ("catalogue/dataset.json", b"[]", r"dataset\.json: damaged: is no JSON object"),
        ("catalogue/dataset.json", b"{}", r"catalogue: damaged: lacks 'kinds'"),
        ("catalogue/items.parquet", b"PAR1" * 9, r"items\.parquet: damaged: cannot be read"),
        ("catalogue/item_path.npy", np.full(24, 10**6), r"item_path\.npy: damaged: must be from 0 to"),
        ("catalogue/item_path.npy", np.full(24, -1), r"item_path\.npy: damaged: must be from 0 to"),
        ("catalogue/events/item.npy", np.full(3, 1), r"\w+\.npy: damaged: must hold \d+ values"),
        ("parts/popularity/popularity_.npy", b"", r"popularity_\.npy: damaged: cannot be read \(EOFError"),
    ],
)
def test_a_sealed_folder_that_nothing_can_be_made_of_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | np.ndarray, message: str
) -> None:
    folder = tmp_path / "model"
    FITTED.save(folder)
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        np.save(folder / name, content)
    seal(folder)
    with pytest.raises(ArtifactError, match=message) as refused:
        Recommender.load(folder)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -1e308, 10**400, "1", None])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, weight: object) -> None:
    folder = tmp_path / "model"
    FITTED.save(folder)
    config = json.loads((folder / "config.json").read_text())
    config["blend"]["weights"] = {"for_you": {"popularity": weight}}
    (folder / "config.json").write_text(json.dumps(config))
    seal(folder)
    with pytest.raises(ArtifactError, match="weights of 'for_you' must be numbers"):
        Recommender.load(folder)


def test_a_part_cannot_lie_outside_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    FITTED.save(folder)
    config = json.loads((folder / "config.json").read_text())
    parts = config["blend"]["parts"]
    parts["../../elsewhere"] = parts.pop("popularity")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "parts/popularity").rename(tmp_path / "elsewhere")
    seal(folder)
    with pytest.raises(ArtifactError, match=r"'../../elsewhere' is no name of a part"):
        Recommender.load(folder)


def seal(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST]
    manifest["sha256"] = {p.relative_to(folder).as_posix(): sha256(p) for p in files}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_part_names_must_be_folder_names(tmp_path: Path) -> None:
    shop = Recommender(SHOP, Blend(parts={"../popularity": Popularity()}).fit(SHOP))
    with pytest.raises(ConfigError, match=r"part name '\.\./popularity' must be lower-case letters"):
        shop.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_lists_from_the_best_candidates_are_the_lists_from_all() -> None:
    controls: list[dict[str, object]] = [
        {},
        {"cross_share": 0.5},
        {"cross_share": 1.0},
        {"quota": 1},
        {"quotas": {SHOP.taxonomy.names()[0]: 1}},
        {"quota": 1, "cross_share": 0.3},
    ]
    queries = [
        Query(user=user, n=k, exclude_seen=False, **more)
        for user in SHOP.user_ids.all
        for k in (1, 2, 5)
        for more in controls
    ]
    whole = FITTED.recommend_many(queries)
    short = Recommender(SHOP, FITTED.blend, limits=ListLimits(prefix=1))
    assert short.recommend_many(queries) == whole
