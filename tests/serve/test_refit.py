"""Refits: what the store taught is in the new model, a worse one is refused, nothing counts twice."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from crossaisle.cli import run
from crossaisle.data.history import Histories
from crossaisle.data.query import Query
from crossaisle.data.splits.cases import EvalCases
from crossaisle.errors import ConflictError, DataError
from crossaisle.evaluate.acceptance import Verdict
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve import refit as work
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.store import Event, Store
from tests.serve.conftest import running, talk

START = 1_710_000_000.0


def habits(n: int = 150) -> list[Event]:
    """People who take soap and, some days later, honey: the model of the tiny shop knows nothing of it."""
    rng = random.Random(0)
    first = [Event(f"a{i}", f"p{i}", "soap", "cart", START + i * 60.0) for i in range(n)]
    first += [
        Event(f"b{i}", f"p{i}", rng.choice(["milk", "cake"]), "view", START + i * 60.0) for i in range(n)
    ]
    later = [Event(f"c{i}", f"p{i}", "honey", "cart", START + 1e6 + i * 60.0, 2.0, 1.0) for i in range(n)]
    return first + later


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "s.sqlite")
    opened.add(habits()).result()
    yield opened
    opened.close()


def test_a_better_model_is_saved_with_a_report(model: Path, store: Store, tmp_path: Path) -> None:
    store.put_items({"rye": {"title": "Rye loaf", "categories": [["Bakery", "Bread"]]}}).result()
    store.forget("ann").result()
    found = work.refit(model, store, tmp_path / "models", holdout=0.25, name="next")
    assert found.accepted
    assert found.verdict.low > 0
    assert found.verdict.n > 100
    assert found.events == 450
    assert found.folder is not None
    new = Recommender.load(found.folder)
    assert new.recommend(Query(history=("soap",))).ids[0] == "honey"
    assert "rye" in new.dataset.item_ids
    assert "p7" in new.dataset.user_ids
    assert "ann" not in new.dataset.user_ids
    assert len(new.dataset.events) == len(Recommender.load(model).dataset.events) + 450 - 7
    assert set(new.dataset.kinds) >= {"cart", "view"}
    assert Recommender.load(model).newcomers is None
    assert new.newcomers is not None  # nothing was new to the old model, the rye loaf is to this one
    assert new.dataset.item_ids.row("rye") in new.newcomers.rows
    report = json.loads(found.report.read_text())
    assert report["accepted"]
    assert report["comparison"]["n"] == found.verdict.n
    assert report["comparison"]["better"] is True
    assert report["users_left_out"] == 1
    assert new.since_fit is None
    with pytest.raises(DataError, match="nothing to refit"):
        work.refit(found.folder, store, tmp_path / "models")


@pytest.mark.parametrize("forgotten", [False, True])
def test_new_events_are_added_only_unless_somebody_must_be_forgotten(
    model: Path, store: Store, tmp_path: Path, forgotten: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if forgotten:
        store.forget("ann").result()
    command = ["refit", str(model), "--store", str(store.path), "--models", str(tmp_path / "models")]
    assert run([*command, "--holdout", "0.25", "--incremental", "--json"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report["incremental"] != forgotten
    assert all(f"{line}\n" in said.err for line in report["lines"])
    if forgotten:
        assert report["lines"] == [
            "fitted from scratch: users of a were deleted (1), and what it keeps learned from them"
        ]
    else:
        assert report["lines"][0].startswith("450 new events of 150 users; ")
        assert "unchanged since the last full fit: " in report["lines"][1]
    new = Recommender.load(tmp_path / "models" / report["folder"])
    assert (new.since_fit is None) == forgotten
    assert ("ann" in new.dataset.user_ids) != forgotten
    assert new.recommend(Query(history=("soap",))).ids[0] == "honey"


def test_who_is_deleted_while_a_model_is_fitted_is_not_in_it(
    model: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[int] = []
    fit, save = work.fitted_on, Recommender.save

    def slow(base: Recommender, dataset: Any, **more: Any) -> Recommender:
        fitted.append(dataset.n_users)
        if len(fitted) == 2:  # the first one is compared only
            store.forget("p7").result()
        return fit(base, dataset, **more)

    def slower(self: Recommender, folder: Path) -> None:
        save(self, folder)
        if len(fitted) == 3:
            store.forget("bob").result()

    monkeypatch.setattr(work, "fitted_on", slow)
    monkeypatch.setattr(Recommender, "save", slower)
    found = work.refit(model, store, tmp_path / "models", holdout=0.25, name="next")
    assert len(fitted) == 4
    assert found.folder is not None
    people = Recommender.load(found.folder).dataset.user_ids
    assert "p8" in people
    assert not {"p7", "bob"} & set(people.all)
    assert json.loads(found.report.read_text())["users_left_out"] == 1


def test_a_model_that_always_holds_somebody_deleted_is_not_saved(
    model: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, n = Recommender.save, iter(range(99))

    def slow(self: Recommender, folder: Path) -> None:
        save(self, folder)
        store.forget(f"p{next(n)}").result()

    monkeypatch.setattr(Recommender, "save", slow)
    with pytest.raises(ConflictError, match="users were deleted while next was fitted, 3 times in a row"):
        work.refit(model, store, tmp_path / "models", holdout=0.25, name="next")
    assert not (tmp_path / "models" / "next").exists()


def test_a_worse_model_is_refused(
    model: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def worse_first(score: Any, cases: EvalCases, listed: Any) -> Any:
        calls.append(len(cases))
        old = np.random.default_rng(0).random(len(cases)).astype(np.float32)
        return old * 0.8 if len(calls) == 1 else old

    monkeypatch.setattr(work, "ndcg", worse_first)
    found = work.refit(model, store, tmp_path / "models", holdout=0.25, name="next")
    assert not found.accepted
    assert "worse than a" in found.reason
    assert not (tmp_path / "models" / "next").exists()
    assert not json.loads(found.report.read_text())["accepted"]
    calls.clear()
    command = ["refit", str(model), "--store", str(store.path), "--models", str(tmp_path / "models")]
    assert run([*command, "--holdout", "0.25"]) == 3, "for whoever runs it at night"


@pytest.mark.parametrize("more", [[], ["--incremental"]])
def test_a_mistyped_store_is_not_made(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    missing = tmp_path / "nope.sqlite"
    assert run(["refit", str(model), "--store", str(missing), *more]) == 2, "as keys do"
    assert "nope.sqlite: no such store" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_few_cases_prove_nothing_and_no_difference_is_no_harm() -> None:
    verdict = Verdict("new", "old", False, 0.1, 0.1, 0.0, -0.1, 0.1, 0.9, work.FEWEST - 1)
    assert not work.decide(verdict)[0]
    assert work.decide(replace(verdict, n=work.FEWEST))[0]
    assert not work.decide(replace(verdict, n=500, difference=-0.2, low=-0.3, high=-0.1))[0]


def test_a_report_does_not_contradict_itself(tmp_path: Path) -> None:
    verdict = Verdict("new", "old", False, 0.1, 0.1, 0.0, -0.1, 0.1, 0.9, work.FEWEST)
    accepted, reason = work.decide(verdict)
    told = work.Refit("new", accepted, reason, verdict, tmp_path / "new", tmp_path, 1, 0).to_dict()
    assert told["accepted"] is True
    assert "accepted" not in told["comparison"]
    assert told["comparison"]["better"] is False
    assert told["comparison"]["statement"] == reason
    assert told["comparison"]["serves"] is None


def test_events_of_the_store_count_once_in_the_new_model(model: Path, store: Store, tmp_path: Path) -> None:
    found = work.refit(model, store, tmp_path / "models", holdout=0.25, name="next")
    assert found.folder is not None
    path = store.path
    store.close()
    service = ShopService.open(found.folder, path)

    async def conversation(client: httpx.AsyncClient) -> None:
        assert len(service.shop.history_of("p3").item) == 3
        await client.post("/api/events", json={"user": "p3", "item": "bread"})
        assert len(service.shop.history_of("p3").item) == 4
        await client.delete("/api/users/p3")
        assert len(service.shop.history_of("p3").item) == 0

    talk(service, conversation)
    service.close()


def test_ndcg_is_what_it_should_be() -> None:
    histories = Histories.of([np.array([0], np.int32), np.array([1], np.int32), np.array([2], np.int32)])
    cases = EvalCases(histories, np.array([0, 1, 2, 2]), np.array([2, 1], np.int32), mask_seen=True)

    def score(asked: Histories) -> Any:
        return np.tile(np.array([[9.0, 5.0, 4.0, np.nan]], np.float32), (len(asked), 1))

    found = work.ndcg(score, cases, np.ones(4, bool))
    assert found[:2] == pytest.approx([1 / np.log2(3), 0.0])  # behind item 1; its own item is not asked for
    assert np.isnan(found[2])
    assert work.ndcg(score, cases, np.array([True, False, True, True]))[0] == pytest.approx(1.0)


def test_again_and_again_from_the_one_accepted_last(tmp_path: Path) -> None:
    slept: list[float] = []
    asked: list[Path] = []

    def once(base: Path) -> work.Refit:
        asked.append(base)
        if len(asked) == 2:
            raise DataError("nothing to refit")
        verdict = Verdict("n", "o", True, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 50)
        folder = tmp_path / f"m{len(asked)}" if len(asked) != 3 else None
        return work.Refit("n", folder is not None, "", verdict, folder, tmp_path, 1, 0)

    rounds = work.periodically(60.0, once, tmp_path / "m0", sleep=slept.append)
    for _ in range(4):
        next(rounds)
    assert [path.name for path in asked] == ["m0", "m1", "m1", "m1"]
    assert slept == [60.0] * 4
    assert work.seconds_of("24h") == 86400.0
    for text in ("24", "h", "-1h", "0s", "1w"):
        with pytest.raises(DataError, match="such as 24h"):
            work.seconds_of(text)


def test_the_command_has_a_running_service_take_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "models"
    shutil.copytree(model, folder / "a")
    service = ShopService.open(folder / "a", tmp_path / "live.sqlite", folder)
    service.store.add(habits()).result()
    with running(service) as address:
        arguments = ["refit", str(folder / "a"), "--store", str(tmp_path / "live.sqlite")]
        code = run([*arguments, "--holdout", "0.25", "--activate", address])
        said = capsys.readouterr().out
        assert code == 0, said
        assert "accepted: better than a" in said
        assert httpx.get(f"{address}/api/models").json()["active"].startswith("model-")
        assert httpx.get(f"{address}/api/recommend/p9?n=1").status_code == 200
