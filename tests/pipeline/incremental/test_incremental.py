"""A model updated with new events equals one fitted on all events, except for the differences it reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.errors import ArtifactError, DataError
from crossaisle.models.base import Scorer
from crossaisle.models.blend import Blend
from crossaisle.models.newcomers import Newcomers
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.scorers.spectral import SpectralEASE
from crossaisle.pipeline.incremental.counts import folder_of, load_counts, save_counts
from crossaisle.pipeline.incremental.folder import save_with_counts, update_folder
from crossaisle.pipeline.incremental.merge import between, with_new
from crossaisle.pipeline.incremental.update import count, update
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import FIRST_DAY, mixed_shop, tiny_shop

CUT = (FIRST_DAY + 7) * 86_400


def parts() -> dict[str, Scorer]:
    return {
        "popularity": Popularity(half_life_days=3.0),
        "item_knn": ItemKNN(),
        "ease": SpectralEASE(),
        "tfidf": TfidfSimilarity(),
    }


def model_of(dataset: Dataset) -> Recommender:
    blend = Blend(parts=parts(), weights={"for_you": dict.fromkeys(parts(), 1.0)}).fit(dataset)
    return Recommender(dataset, blend, newcomers=Newcomers.of(blend.parts.values(), dataset))


def test_only_the_events_that_the_model_lacks_are_added() -> None:
    shop = tiny_shop()
    added = with_new(shop.before(CUT), shop)
    assert added.events == 24
    assert added.items == 0
    assert added.same_texts
    assert len(added.change.users) == 24
    for name in ("user", "item", "time", "kind"):
        np.testing.assert_array_equal(getattr(added.change.after.events, name), getattr(shop.events, name))
    assert with_new(shop, shop).events == 0


def test_a_file_of_new_events_alone_adds_the_same() -> None:
    shop = tiny_shop()
    assert shop.events.time is not None
    late = shop.with_events(shop.events.time >= CUT)
    np.testing.assert_array_equal(with_new(shop.before(CUT), late).change.after.events.item, shop.events.item)


def test_what_is_known_of_items_stays_where_the_files_have_none() -> None:
    shop = tiny_shop()
    late = shop.with_events(np.asarray(shop.events.time) >= CUT)
    blank = late.items.with_columns(
        *(pl.lit("").alias(name) for name in ("title", "description", "brand", "attributes")),
        pl.lit(None, pl.Float32).alias("price"),
    )
    bare = replace(late, items=blank, taxonomy=Taxonomy(((),) * late.n_items))
    sold_out = replace(shop, items=shop.items.with_columns(pl.lit(False).alias("in_stock")))
    added = with_new(sold_out.before(CUT), bare)
    assert added.events == 24
    assert added.same_texts
    after = added.change.after
    assert after.items.equals(sold_out.items)
    assert after.taxonomy.paths == shop.taxonomy.paths
    assert added.kept["title"] == added.kept["categories"] == shop.n_items


@pytest.mark.parametrize("of", ["name", "ids", "titles"])
def test_another_shop_is_not_merged(of: str) -> None:
    shop = tiny_shop()
    assert shop.n_items >= 20
    other = shop
    if of == "name":
        other = replace(shop, name="another")
    elif of == "ids":
        other = replace(shop, item_ids=Vocabulary([f"x{n}" for n in range(shop.n_items)], what="item"))
    else:
        titles = pl.Series("title", [f"Thing {n}" for n in range(shop.n_items)])
        other = replace(shop, items=shop.items.with_columns(titles))
    with pytest.raises(DataError, match="hardly the shop that the model was fitted on"):
        with_new(shop.before(CUT), other)


@pytest.mark.parametrize("of", ["ids", "titles", "currency", "baskets"])
def test_another_small_shop_is_not_merged(of: str) -> None:
    """Where there are too few items for shares to tell anything."""
    shop = replace(first_items(tiny_shop(), 5), currency="EUR")
    other = shop
    if of == "ids":
        other = replace(shop, item_ids=Vocabulary([f"x{n}" for n in range(5)], what="item"))
    elif of == "titles":
        other = replace(shop, items=shop.items.with_columns(pl.Series("title", list("abcde"))))
    elif of == "currency":
        other = replace(shop, currency="USD")
    else:
        other = replace(shop, users_are_baskets=True)
    with pytest.raises(DataError, match="hardly the shop that the model was fitted on"):
        with_new(shop, other)


def test_a_small_shop_may_rename_and_launch_items() -> None:
    shop = first_items(tiny_shop(), 5)
    titles = [*shop.items["title"].to_list()[:1], "b", "c", "d", "e"]
    renamed = replace(shop, items=shop.items.with_columns(pl.Series("title", titles)))
    assert with_new(shop, renamed).change.after.items["title"].to_list() == titles
    launched = _renamed(shop, user="u0", to_user="u0", item="milk4", to_item="a new milk")
    assert with_new(shop, launched).items == 1


def test_customers_of_a_large_shop_buy_what_is_launched_in_a_file_of_its_own() -> None:
    shop = tiny_shop()
    launch = first_items(shop, 3)
    launch = replace(launch, item_ids=Vocabulary(["n0", "n1", "n2"], what="item"))
    assert with_new(shop, launch).items == 3
    users = Vocabulary([f"stranger {n}" for n in range(launch.n_users)], what="user")
    with pytest.raises(DataError, match="it knows none of the 3 items"):
        with_new(shop, replace(launch, user_ids=users))


def first_items(shop: Dataset, n: int) -> Dataset:
    """A shop with its first items alone, and what happened with these."""
    few = shop.with_events(shop.events.item < n)
    return replace(
        few,
        items=shop.items.head(n),
        item_ids=Vocabulary(shop.item_ids.all[:n], what="item"),
        taxonomy=Taxonomy(shop.taxonomy.paths[:n], shop.taxonomy.level),
    )


def test_events_of_two_kinds_weigh_what_they_weigh_in_a_fit() -> None:
    shop = mixed_shop(0.3)
    added = with_new(shop.before(CUT), shop)
    assert added.change.adds_up
    np.testing.assert_array_equal(added.change.after.events.weight, shop.events.weight)


def test_new_users_and_items_stand_behind_the_known_ones() -> None:
    shop = tiny_shop()
    imported = _renamed(shop, user="u0", to_user="a newcomer", item="milk0", to_item="a new milk")
    added = with_new(shop, imported)
    after = added.change.after
    assert after.user_ids.all[-1] == "a newcomer"
    assert after.item_ids.all[-1] == "a new milk"
    assert after.items["title"][-1] == "fresh milk number 0"
    assert after.taxonomy.paths[-1] == shop.taxonomy.paths[0]
    assert added.items == 1
    assert not added.same_texts
    found = update(model_of(shop), added)
    fitted = model_of(after)
    np.testing.assert_allclose(
        found.recommender.score_batch(after.histories()), fitted.score_batch(after.histories()), atol=1e-5
    )
    assert found.how["ease"] == "fitted"  # a model that is kept has no row for a new item


def _renamed(shop: Dataset, *, user: str, to_user: str, item: str, to_item: str) -> Dataset:
    def swapped(ids: Vocabulary, old: str, new: str) -> list[str]:
        return [new if name == old else name for name in ids.all]

    users, items = swapped(shop.user_ids, user, to_user), swapped(shop.item_ids, item, to_item)
    return replace(
        shop,
        user_ids=Vocabulary(users, what="user"),
        item_ids=Vocabulary(items, what="item"),
        users=shop.users.with_columns(pl.Series("user_id", users)),
        items=shop.items.with_columns(pl.Series("item_id", items)),
        taxonomy=Taxonomy(shop.taxonomy.paths),
    )


def test_events_without_times_are_refused() -> None:
    with pytest.raises(DataError, match=r"tiny: .*no times.* fit without --incremental"):
        with_new(tiny_shop(), tiny_shop(timed=False))


def test_an_updated_folder_scores_as_a_fit_does_and_says_what_it_left(tmp_path: Path) -> None:
    shop, model = tiny_shop(), tmp_path / "model"
    save_with_counts(model_of(shop.before(CUT)), model)
    outcome = update_folder(model, shop)
    loaded, fitted = Recommender.load(model), model_of(shop)
    histories = shop.histories()
    for name in ("popularity", "item_knn", "tfidf"):
        np.testing.assert_allclose(
            loaded.blend.parts[name].score_rows(histories),
            fitted.blend.parts[name].score_rows(histories),
            rtol=1e-3,  # a saved model has 16 bits
            atol=1e-4,
        )
    assert outcome.events == 24
    assert "24 new events of 24 users" in outcome.lines[0]
    assert "as they were at the last full fit: ease, weights" in outcome.lines[1]
    assert "fit again without --incremental" in outcome.lines[2]  # an eighth of all events
    assert loaded.since_fit is not None
    assert loaded.since_fit._asdict() == {"fitted_on": 168, "events": 24, "updates": 1}
    assert loaded.describe()["since_fit"]["events"] == 24
    before = sorted((file.name, file.stat().st_mtime_ns) for file in model.rglob("*"))
    assert update_folder(model, shop).lines == ["no new events: the model stays as it is"]
    assert before == sorted((file.name, file.stat().st_mtime_ns) for file in model.rglob("*"))


def test_updates_in_turn_are_as_good_as_one(tmp_path: Path) -> None:
    shop, model = tiny_shop(), tmp_path / "model"
    save_with_counts(model_of(shop.before(CUT - 2 * 86_400)), model)
    for end in (CUT - 86_400, CUT, CUT + 86_400):
        found = update_folder(model, shop.before(end))
    assert found.recommender.since_fit is not None
    assert found.recommender.since_fit.updates == 3
    counts = load_counts(model)
    assert counts is not None
    again = count(found.recommender)
    assert counts.keys() == again.keys() == {"popularity", "item_knn"}
    np.testing.assert_allclose(counts["popularity"]["held"], again["popularity"]["held"], rtol=1e-5)
    np.testing.assert_array_equal(
        counts["item_knn"]["together"].toarray(), again["item_knn"]["together"].toarray()
    )


@pytest.mark.parametrize(("much", "written"), [(1e9, False), (0.0, True)])
def test_counts_are_kept_as_they_were_beside_what_updates_add(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, much: float, written: bool
) -> None:
    monkeypatch.setattr("crossaisle.pipeline.incremental.counts.MUCH", much)
    monkeypatch.setattr("crossaisle.sharing.LEAST", 1)  # arrays of a tiny shop are linked, too
    shop, model = tiny_shop(), tmp_path / "model"
    save_with_counts(model_of(shop.before(CUT - 86_400)), model)
    file = folder_of(model) / "item_knn" / "together.data.npy"
    first = file.stat()
    for end in (CUT, CUT + 86_400):
        found = update_folder(model, shop.before(end))
        assert (file.stat().st_mtime_ns != first.st_mtime_ns) == written
        assert (file.parent / "since").is_dir() != written
        counts, again = load_counts(model), count(found.recommender)
        assert counts is not None
        for name in ("together", "held"):
            kept, whole = counts["item_knn"][name], again["item_knn"][name]
            assert abs(kept - whole).max() == 0


def test_counts_of_another_model_or_damaged_ones_are_not_used(tmp_path: Path) -> None:
    shop, model = tiny_shop(), tmp_path / "model"
    save_with_counts(model_of(shop.before(CUT)), model)
    assert load_counts(model) is not None
    model_of(shop.before(CUT - 86_400)).save(model, half=True)
    assert load_counts(model) is None
    outcome = update_folder(model, shop)
    fitted = model_of(shop).blend.parts["item_knn"].score_rows(shop.histories())
    np.testing.assert_array_equal(
        outcome.recommender.blend.parts["item_knn"].score_rows(shop.histories()), fitted
    )
    next(folder_of(model).rglob("*.npy")).write_bytes(b"")
    assert load_counts(model) is None


def test_counts_stay_as_they_were_where_the_model_cannot_be_saved(tmp_path: Path) -> None:
    model = tmp_path / "model"
    save_with_counts(model_of(tiny_shop().before(CUT)), model)

    def full() -> None:
        raise ArtifactError("the disk is full")

    with pytest.raises(ArtifactError, match="the disk is full"):
        save_counts({}, model, full)
    counts = load_counts(model)
    assert counts is not None
    assert counts.keys() == {"popularity", "item_knn"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.counts"]


def _foreign_folder(place: Path) -> None:
    place.mkdir()
    (place / "notes.txt").write_text("mine", encoding="utf-8")


def _foreign_file(place: Path) -> None:
    place.write_text("mine", encoding="utf-8")


def _link_to_itself(place: Path) -> None:
    place.symlink_to(place)


def _link_to_a_foreign_folder(place: Path) -> None:
    _foreign_folder(place.with_name("notes"))
    place.symlink_to(place.with_name("notes"))


FOREIGN = [_foreign_folder, _foreign_file, _link_to_itself, _link_to_a_foreign_folder]


@pytest.mark.parametrize("put", FOREIGN)
def test_what_is_no_counts_is_noticed_before_anything_is_replaced(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    shop, model = tiny_shop(), tmp_path / "model"
    put(folder_of(model))
    refused = r"model\.counts: exists and is not a saved crossaisle folder; .* remove it"
    with pytest.raises(ArtifactError, match=refused):
        save_with_counts(model_of(shop.before(CUT)), model)
    assert not model.exists()
    model_of(shop.before(CUT)).save(model)
    manifest = (model / "manifest.json").read_bytes()
    with pytest.raises(ArtifactError, match=refused):
        update_folder(model, shop)
    assert (model / "manifest.json").read_bytes() == manifest


def test_the_advice_is_json_ready(tmp_path: Path) -> None:
    model = tmp_path / "model"
    save_with_counts(model_of(tiny_shop().before(CUT)), model)
    update_folder(model, tiny_shop())
    assert json.loads((model / "config.json").read_text())["since_fit"]["updates"] == 1


def test_two_states_of_a_shop_differ_by_users_who_came_went_or_did_more() -> None:
    shop = tiny_shop()
    assert shop.events.time is not None
    keep = (shop.events.time < CUT) | (shop.events.user >= 3)
    before = shop.with_events(keep & (shop.events.user != 5))
    gone = np.array([name != "u4" for name in shop.user_ids.all])
    row = (np.cumsum(gone) - 1).astype(np.int32)
    events = shop.events.take(gone[shop.events.user])
    after = replace(
        shop,
        events=replace(events, user=row[events.user]),
        users=shop.users.filter(pl.Series(gone)),
        user_ids=Vocabulary([name for name in shop.user_ids.all if name != "u4"], what="user"),
    )
    found = between(before, after)
    assert found.change.users == {"u0", "u1", "u2", "u4", "u5"}
    assert found.events == 3 + 8
    updated = update(model_of(before), found).recommender.blend.parts["item_knn"]
    np.testing.assert_array_equal(
        updated.score_rows(after.histories()),
        model_of(after).blend.parts["item_knn"].score_rows(after.histories()),
    )
