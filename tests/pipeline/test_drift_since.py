"""Later events in files against a saved model."""

from pathlib import Path

import numpy as np
import pytest

from crossaisle.config import DataConfig, ModelConfig, SplitConfig
from crossaisle.decode import build
from crossaisle.drift.compare import FEWEST
from crossaisle.drift.summary import Summary
from crossaisle.errors import ArtifactError, DataError
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.pipeline.analysis.drift import Later, about, drift_since, write_drift
from crossaisle.pipeline.fit import fit
from crossaisle.recommend.hits import hits_of
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import FIRST_DAY, PER_CATEGORY, item_ids, tiny_shop

IDS = item_ids()
BOUGHT = [name for name in IDS if not name.endswith(str(PER_CATEGORY - 1))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tiny_shop(users=80)
    blend = Blend(
        parts={"popularity": Popularity(), "tfidf": TfidfSimilarity()},
        weights={"for_you": {"popularity": 1.0, "tfidf": 0.5}},
    ).fit(data)
    folder = tmp_path_factory.mktemp("models") / "shop"
    reference = Summary.of_model(data, np.array([10, 10, 10, 10, 10, 10, 10, 10, 10, 0, 10]))
    Recommender(data, blend, reference=reference).save(folder)
    return folder


def write(folder: Path, rows: list[tuple[str, str, int]], name: str = "later.csv") -> Path:
    path = folder / name
    lines = [f"{user},{item},{(FIRST_DAY + day) * 86_400}" for user, item, day in rows]
    path.write_text("\n".join(["user_id,item_id,time", *lines]) + "\n")
    return path


def later(
    seed: int, items: list[str] = BOUGHT, users: int = 80, days: int = 10
) -> list[tuple[str, str, int]]:
    rng = np.random.default_rng(seed)
    out = []
    for user in range(users):
        kinds = ("milk", "bread") if user % 2 == 0 else ("spade", "paint")
        own = [name for name in items if name.startswith(kinds)] or items
        out += [(f"u{user}", own[rng.integers(len(own))], 8 + day) for day in range(days)]
    return out


def compared(model: Path, events: Path, items: Path | None = None):
    heard: list[str] = []
    recommender = Recommender.load(model)
    found = drift_since(recommender, Later.read(recommender, events, items, None), say=heard.append)
    return found, {check.name: check for check in found.checks}, heard


def test_unchanged_behaviour_is_stable(model: Path, tmp_path: Path):
    found, checks, heard = compared(model, write(tmp_path, later(1)))
    assert set(checks) == {"categories", "prices", "words", "vectors", "calibration"}
    assert {name for name, check in checks.items() if check.verdict != "stable"} <= {"calibration"}
    assert found.new_items == 0
    assert heard == []
    assert about(found) == "800 events of 80 users, later than the model."


def test_a_rush_on_one_category_is_drift(model: Path, tmp_path: Path):
    only = [name for name in BOUGHT if name.startswith("paint")]
    found, checks, _ = compared(model, write(tmp_path, later(1, only)))
    assert checks["categories"].verdict == checks["words"].verdict == checks["vectors"].verdict == "drift"
    assert checks["categories"].movers[0][0] == "Hardware"
    write_drift(found, tmp_path / "out")
    page = (tmp_path / "out" / "drift.html").read_text()
    assert "Fit again" in page
    assert "Hardware" in page
    assert "categories: what changed most" in (tmp_path / "out" / "drift.md").read_text()


def test_new_items_and_dearer_ones_come_from_their_file(model: Path, tmp_path: Path):
    items = tmp_path / "items.csv"
    lines = [f"{name},fresh thing,Dairy > Milk,{50 * (i + 1)}" for i, name in enumerate([*BOUGHT, "hose"])]
    items.write_text("\n".join(["item_id,title,categories,price", *lines]) + "\n")
    rows = [*later(1), *((f"u{n}", "hose", 19) for n in range(80))]
    found, checks, heard = compared(model, write(tmp_path, rows), items)
    assert found.new_items == pytest.approx(80 / 880)
    assert checks["prices"].verdict == "drift"
    assert checks["categories"].movers[0][2] == 1.0
    assert "Fit again" in found.advice
    assert heard == []
    _, _, heard = compared(model, write(tmp_path, rows))
    assert heard == ["80 of 880 events are about items that neither the model nor --items knows"]


def test_an_old_model_says_so_in_one_line_and_is_compared_by_its_events(model: Path, tmp_path: Path):
    base = Recommender.load(model)
    base.reference = None
    base.save(tmp_path / "old")
    assert not (tmp_path / "old" / "drift").exists()
    found, checks, heard = compared(tmp_path / "old", write(tmp_path, later(1)))
    assert len(heard) == 1
    assert "the model has no drift summary" in heard[0]
    assert "calibration" not in checks
    assert found.skipped["calibration"] == "not measured when the model was fitted"
    assert checks["categories"].verdict == "stable"


def test_events_from_before_the_fit_are_left_out(model: Path, tmp_path: Path):
    rows = [*((f"u{n}", "milk0", 3) for n in range(80)), *later(1)]
    found, _, heard = compared(model, write(tmp_path, rows))
    assert found.events == 800
    assert heard == ["80 events are left out: they are from before the model was fitted"]
    with pytest.raises(DataError, match=r"no event is later than 2016-07-25, the last one"):
        compared(model, write(tmp_path, rows[:80]))


def test_a_handful_of_events_is_no_reason_to_fit_again(model: Path, tmp_path: Path):
    some = [("u0", BOUGHT[0], 9), ("u1", "ghost", 9)]
    found, _, _ = compared(model, write(tmp_path, some))
    assert found.advice == "Nothing could be compared."
    found, _, _ = compared(model, write(tmp_path, some * FEWEST))
    assert found.advice.startswith("Fit again: 50% of the events are about items")


def test_events_without_times_are_told(model: Path, tmp_path: Path):
    path = tmp_path / "timeless.csv"
    path.write_text(f"user_id,item_id\nu0,{BOUGHT[0]}\n")
    _, _, heard = compared(model, path)
    assert heard[0] == "the events have no times: all of them are taken as later than the model's last one"


def test_unknown_items_and_other_kinds_are_refused(model: Path, tmp_path: Path):
    with pytest.raises(DataError, match="are the ids the same"):
        compared(model, write(tmp_path, [(f"u{n}", "ghost", 9) for n in range(40)]))
    path = tmp_path / "views.csv"
    path.write_text(
        "user_id,item_id,time,kind\n" + "\n".join(f"u{n},milk0,1600000000,view" for n in range(40)) + "\n"
    )
    with pytest.raises(DataError, match="no purchase among the events"):
        compared(model, path)


def test_a_damaged_summary_is_refused(model: Path, tmp_path: Path):
    import shutil

    shutil.copytree(model, tmp_path / "copy")
    (tmp_path / "copy" / "drift" / "summary.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"drift/summary.json does not match its checksum"):
        Recommender.load(tmp_path / "copy")


def test_a_fit_measures_its_lists_and_keeps_the_figure(tmp_path: Path):
    data = tiny_shop(users=60)
    config = ModelConfig(encoder="none", ranker=False)
    fitted = fit(data, split_config=SplitConfig(protocol="leave_last_out"), model_config=config)
    served = fitted.to_serve(data)
    assert served.reference is not None
    assert served.reference.hits is not None
    assert served.reference.hits.sum() == len(fitted.split.test)
    assert served.reference.until == data.events.time.max()
    served.save(tmp_path / "model", half=True)
    assert (Recommender.load(tmp_path / "model").reference.hits == served.reference.hits).all()


def test_places_by_hand():
    data = tiny_shop(users=24)
    blend = Blend(parts={"popularity": Popularity()}, weights={"for_you": {"popularity": 1.0}}).fit(data)
    recommender = Recommender(data, blend, repeats=True)
    histories = data.histories([0, 1, 2])
    order = np.argsort(-recommender.score_batch(histories.take([0]))[0], kind="stable")
    scores = recommender.score_batch(histories.take([0]))[0]
    target = order[[0, 12, 0]].astype(np.int32)
    target[2] = -1
    places = [(scores > scores[t]).sum() for t in target[:2]]
    expected = np.bincount([*np.minimum(places, 10), 10], minlength=11)
    assert (hits_of(recommender, histories, target) == expected).all()


def test_files_are_read_as_the_shops_own(model: Path, tmp_path: Path):
    path = tmp_path / "orders.csv"
    lines = [f"{u};{i};{d:02d}/09/2016" for u, i, d in later(2)]
    path.write_text("\n".join(["customer;sku;when", *lines]) + "\n")
    columns = {"user_id": "customer", "item_id": "sku", "time": "when"}
    config = build(
        DataConfig, {"time_unit": "%d/%m/%Y", "events": {"path": "unused.csv", "columns": columns}}, "test"
    )
    recommender = Recommender.load(model)
    found = drift_since(recommender, Later.read(recommender, path, None, config))
    assert found.events == 800
