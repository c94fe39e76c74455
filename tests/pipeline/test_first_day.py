"""A shop on its first day, with no event, one or one day of them: fitted, saved, and answers that say so."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from crossaisle.config import ModelConfig, SplitConfig, load_config
from crossaisle.data.ingest.importer import from_frames, import_dataset
from crossaisle.data.query import Query
from crossaisle.errors import ConfigError, DataError
from crossaisle.models.untuned import UNTUNED, untuned_weights
from crossaisle.pipeline.fit import fit, split_of
from crossaisle.pipeline.run import run
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import tiny_shop

PLAIN = ModelConfig(encoder="none")
ITEMS = "item_id,title,categories\n" + "".join(
    f"{name}{i},{kind} {name},{aisle}\n"
    for aisle, name in (("Food > Bread", "bread"), ("Food > Cake", "cake"), ("Garden > Tools", "spade"))
    for i, kind in enumerate(("plain", "fine", "lemon", "old"))
)
EVENTS = {
    "nothing": None,
    "header": "",
    "one event": "ann,bread0,2024-05-01 10:00:00\n",
    "one day": "".join(f"u{i % 3},bread{i % 4},2024-05-01 1{i}:00:00\n" for i in range(9)),
}


@pytest.fixture(params=EVENTS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A configuration file whose shop has these events."""
    (tmp_path / "items.csv").write_text(ITEMS)
    text = '[data.items]\npath = "items.csv"\n[model]\nencoder = "none"\n'
    events = EVENTS[request.param]
    if events is not None:
        (tmp_path / "events.csv").write_text("user_id,item_id,time\n" + events)
        text += '[data.events]\npath = "events.csv"\n'
    (tmp_path / "shop.toml").write_text(text)
    return tmp_path / "shop.toml"


def test_a_run_ends_with_a_model_and_says_what_could_not_be_measured(settings: Path, tmp_path: Path) -> None:
    result = run(load_config(settings), tmp_path / "out")
    assert result["headline"] == []
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert figures["rows"] == []
    assert figures["notes"][0].startswith("nothing was held out, so nothing could be measured: ")
    report = (tmp_path / "out" / "report.html").read_text()
    assert "could not be measured" in report
    assert "weights of for you, the defaults: " in report
    assert "words in common 0" in report
    assert ">None<" not in report
    model = Recommender.load(tmp_path / "out" / "model")
    assert not model.tuned
    for query in (
        Query(user="nobody", n=12),
        Query(history=("bread0",), n=3),
        Query(placement="similar", items=("bread0",), n=3),
        Query(placement="discover", history=("bread0",), n=3),
        Query(placement="trending", n=12),
    ):
        answer = model.recommend(query)
        assert len(answer) == query.n, query.placement
        assert "ranked by" in answer.notice
    beside = model.recommend(Query(placement="goes_with", items=("bread0",), n=3))
    # Without an event only what has something in common: both are "plain".
    assert beside.ids == ["spade0"] if not len(model.dataset.events) else len(beside) == 3
    assert set(model.similar_items("bread0", 3).ids) == {"bread1", "bread2", "bread3"}


def test_what_a_list_stands_on_is_said() -> None:
    shop = tiny_shop()
    silent = shop.with_events(np.zeros(len(shop.events), bool))
    nothing = fit(silent, split_config=SplitConfig(), model_config=PLAIN).past
    assert nothing.similar_items("milk0").notices[0] == "no events yet: ranked by texts"
    everybody = nothing.recommend(Query(placement="trending", n=5))
    assert everybody.notices[0] == "no events yet: ranked by the order of the catalogue"
    assert everybody.ids == ["milk0", "spade0", "paint0", "milk1", "bread1"]  # bread0 is out of stock
    assert everybody.items[0].evidence is None
    one = fit(shop.with_events(np.arange(1)), split_config=SplitConfig(), model_config=PLAIN).past
    said = "too few events to tune the weights: ranked by 1 event and texts"
    assert one.similar_items("milk0").notices[0] == said
    first = shop.item_ids.id(int(shop.events.item[0]))
    assert one.recommend(Query(placement="trending", n=3)).ids[0] == first
    enough = fit(shop, split_config=SplitConfig(), model_config=PLAIN).past
    assert enough.tuned
    assert enough.similar_items("milk0", 5).notices == ()


def test_nobody_is_told_that_what_nobody_bought_is_popular() -> None:
    shop = tiny_shop()
    silent = shop.with_events(np.zeros(len(shop.events), bool))
    answer = fit(silent, split_config=SplitConfig(), model_config=PLAIN).past.recommend(
        Query(placement="trending", n=2, explain=True)
    )
    assert all(item.evidence and "popular" not in item.evidence.text for item in answer)


def test_the_flag_is_kept_in_the_folder(tmp_path: Path) -> None:
    shop = tiny_shop()
    few = shop.with_events(np.arange(1))
    fitted = fit(few, split_config=SplitConfig(), model_config=PLAIN)
    fitted.to_serve(few).save(tmp_path / "model")
    assert not Recommender.load(tmp_path / "model").tuned
    assert Recommender.load(tmp_path / "model").with_weights({}).tuned is False


@pytest.mark.parametrize(
    ("events", "config", "why"),
    [
        (0, SplitConfig(), "there are no events yet"),
        (0, SplitConfig(protocol="leave_last_out"), "there are no events yet"),
        (1, SplitConfig(), r"the events \(1, from 2016-07-18 to 2016-07-18\) cannot be cut by days"),
        (2, SplitConfig(protocol="leave_last_out"), r"no user has three events \(the most are 2\)"),
        (16, SplitConfig(protocol="baskets"), "there are only 1 baskets"),
    ],
)
def test_a_shop_that_cannot_be_split_comes_back_whole(events: int, config: SplitConfig, why: str) -> None:
    shop = tiny_shop().with_events(np.arange(events))
    split = split_of(shop, config)
    assert split.train is split.past is shop
    assert len(split.validation) == len(split.test) == 0
    assert re.search(why, split.notes[0])


def test_dates_that_were_set_are_taken_at_their_word() -> None:
    shop = tiny_shop().with_events(np.arange(1))
    with pytest.raises(ConfigError, match="must start inside it"):
        split_of(shop, SplitConfig(test=date(2016, 7, 18), validation=date(2016, 7, 17)))


def test_validation_without_answers_leaves_the_default_weights() -> None:
    """Everybody is new in validation and in test: there are cases, and none that a history could answer."""
    shop = tiny_shop()
    first = shop.user_indptr[:-1]
    once = shop.with_events(first)
    day = np.arange(len(first)) * 86_400
    assert once.events.time is not None
    spread = replace(once, events=replace(once.events, time=once.events.time + day))
    fitted = fit(spread, split_config=SplitConfig(), model_config=PLAIN)
    assert len(fitted.split.test)
    assert not fitted.past.tuned
    assert any(note.startswith("weights are the defaults") for note in fitted.split.notes)
    assert fitted.past.blend.weights["for_you"] == untuned_weights(fitted.past.blend.parts)


def test_default_weights_go_by_name_and_placement() -> None:
    parts = ["tfidf", "transferred_links"]
    assert untuned_weights(parts, "goes_with") == {"tfidf": 1.0, "transferred_links": 1.0}
    assert untuned_weights(["tfidf", "encoder", "something"]) == {"tfidf": 1.0, "encoder": UNTUNED["encoder"]}
    assert untuned_weights(["a", "b"]) == {"a": 1.0, "b": 1.0}


def test_tables_that_are_missing_are_told_from_a_shop_without_events(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text("[data]\nname = 'x'\n")
    with pytest.raises(ConfigError, match=r"give \[data.items\], \[data.events\] or both"):
        load_config(tmp_path / "shop.toml")
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "shop.toml").write_text(
        '[data.items]\npath = "items.csv"\n[data.events.columns]\nuser_id = "u"\n'
    )
    with pytest.raises(ConfigError, match=r"\[data.events\]: give path, url or hub"):
        load_config(tmp_path / "shop.toml")
    with pytest.raises(DataError, match="needs items, events or both"):
        from_frames(None, None)


def test_nothing_is_set_aside_for_having_too_few_users_before_the_first_event(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "shop.toml").write_text('[data]\nmin_users_per_item = 5\n[data.items]\npath = "items.csv"\n')
    imported = import_dataset(load_config(tmp_path / "shop.toml").data)
    assert imported.dataset.n_items == 12
    assert imported.dataset.has_time  # what will happen has times
    assert "there are no events: lists will be based on item data alone" in (imported.report["warnings"])


def test_another_shop_is_carried_over_and_need_not_be_there_to_be_served(
    settings: Path, tmp_path: Path
) -> None:
    fitted = fit(tiny_shop(), split_config=SplitConfig(), model_config=PLAIN)
    fitted.past.save(tmp_path / "other")
    said: list[str] = []
    run(load_config(settings), tmp_path / "out", source=tmp_path / "other", say=said.append)
    shutil.rmtree(tmp_path / "other")
    model = Recommender.load(tmp_path / "out" / "model")
    mapped = json.loads((tmp_path / "out" / "model" / "category-mapping.json").read_text())
    rows = {row["category"]: row for row in mapped}
    assert rows["Food > Bread"]["source"] == "Bakery > Bread"
    assert rows["Food > Bread"]["confidence"] > 0.2
    assert "categories have a counterpart" in "".join(said)
    assert {"transferred_popularity", "transferred_links"} <= model.blend.parts.keys()
    answer = model.recommend(Query(placement="goes_with", items=("spade0",), n=2, explain=True))
    assert len(answer) == 2
    if not len(model.dataset.events):
        assert answer.notices == ("no events yet: ranked by texts and another shop's sales",)
    model.save(tmp_path / "again")
    again = Recommender.load(tmp_path / "again").recommend(
        Query(placement="goes_with", items=("spade0",), n=2)
    )
    assert again.ids == answer.ids


def test_a_source_without_events_is_refused() -> None:
    shop = tiny_shop()
    silent = shop.with_events(np.zeros(len(shop.events), bool))
    empty = fit(silent, split_config=SplitConfig(), model_config=PLAIN).past
    with pytest.raises(DataError, match="has no events, so there is nothing to carry over"):
        fit(shop, split_config=SplitConfig(), model_config=PLAIN, source=empty)


def test_a_source_that_does_not_help_gets_no_weight() -> None:
    """Where there is behaviour, validation decides: there, the kitchen goes with the garden."""
    shop = tiny_shop(users=60)
    crossed = {"milk": "spade", "spade": "milk", "bread": "bread", "paint": "paint"}
    names = shop.item_ids.ids(np.arange(shop.n_items))
    swapped = shop.item_ids.rows([crossed[name[:-1]] + name[-1] for name in names])
    events = replace(shop.events, item=swapped[shop.events.item])
    source = fit(replace(shop, events=events), split_config=SplitConfig(), model_config=PLAIN).past
    fitted = fit(shop, split_config=SplitConfig(), model_config=PLAIN, source=source)
    assert fitted.past.tuned
    assert "transferred_links" not in fitted.past.blend.weights["for_you"]


def test_examples_need_no_categories(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id\n" + "ann,bread\nann,soap\nbob,bread\nbob,milk\n")
    (tmp_path / "shop.toml").write_text(
        '[data.events]\npath = "events.csv"\n[model]\nencoder = "none"\n'
        '[split]\nprotocol = "leave_last_out"\n'
    )
    result = run(load_config(tmp_path / "shop.toml"), tmp_path / "out")
    assert result["users"] == 2
    assert [len(example["items"]) > 0 for example in result["examples"]] == [True, True]
