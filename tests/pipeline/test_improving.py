"""`tune` and `improve`: what is better is found, proves itself on cases held back, and `run` reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossaisle.config import DataConfig, ModelConfig, RunConfig, SplitConfig, load_config
from crossaisle.data.dataset import Dataset
from crossaisle.data.profile.fingerprint import fingerprint
from crossaisle.errors import ConfigError, MissingDependencyError
from crossaisle.models.defaults import default_parts
from crossaisle.models.scorers.frequency import Frequency
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.pipeline.fit import fit
from crossaisle.pipeline.improving import improve as improving
from crossaisle.pipeline.improving.improve import improve
from crossaisle.pipeline.improving.improved import Improved, Step
from crossaisle.pipeline.improving.tune import tune
from crossaisle.pipeline.improving.workbench import Gain, Workbench
from crossaisle.pipeline.improving.written_config import write_config
from tests.pipeline.shops import supermarket

pytest.importorskip("optuna")
BAD = {"frequency": {"decay": {"half_life_days": 0.01}}}
"""Everything but the last minutes is forgotten: any value of the search space is better."""


def config(**model: object) -> RunConfig:
    return RunConfig(data=DataConfig(), model=ModelConfig(encoder="none", **model))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return supermarket(600, repeated=0.5)


@pytest.fixture(scope="module")
def bench(shop: Dataset) -> Workbench:
    return Workbench.of(shop, SplitConfig(), config().model)


def test_the_halves_share_no_case(bench: Workbench) -> None:
    users = [set(bench.tasks["open", half].cases.histories.user) for half in ("choosing", "confirming")]
    assert users[0]
    assert len(users[0]) == len(users[1])
    assert not users[0] & users[1]


def test_a_part_is_fitted_once_however_often_it_is_asked(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[object] = []
    real = Popularity.fit

    def counted(self: Popularity, dataset: Dataset) -> Popularity:
        fitted.append(self.half_life_days)
        return real(self, dataset)

    monkeypatch.setattr(Popularity, "fit", counted)
    for days in (3.0, 4.0, 3.0):
        changed = bench.with_settings({"popularity": {"half_life_days": days}})
        bench.tuned(changed)
        bench.alone(changed["popularity"])
    assert fitted == [3.0, 4.0]


def test_scores_are_those_of_a_fit_on_the_training_events(bench: Workbench) -> None:
    part = Popularity(half_life_days=9.0)
    task = bench.tasks["open", "choosing"]
    scores = bench._scores(part, "users").halves["choosing"]
    expected = replace(part).fit(bench.split.train).score_rows(task.cases.histories)
    np.testing.assert_array_equal(scores, expected)


def test_a_gain_is_the_paired_difference_on_the_confirming_half(bench: Workbench) -> None:
    one, other = {"it": Frequency()}, {"it": Popularity()}
    weights = {"it": 1.0}
    gain = bench.gain((one, weights), (other, weights))
    values = [bench.values(parts, weights, "confirming") for parts in (one, other)]
    assert gain.difference == pytest.approx(np.nanmean(values[0]) - np.nanmean(values[1]), abs=1e-6)
    assert gain.low < gain.difference < gain.high
    assert gain.value - gain.before == pytest.approx(gain.difference, abs=1e-6)
    same = bench.gain((one, weights), (one, weights))
    assert (same.difference, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)


def test_what_gets_worse_is_said_beside_what_gets_better() -> None:
    better = Gain(0.01, 0.005, 0.015, 0.0, 0.3, 0.29, 100)
    worse = Gain(-0.02, -0.03, -0.01, 0.0, 0.1, 0.12, 100)
    steps = [Step("ease: ridge 3", "open", 0.3, 0.29, True)]
    said = Improved(config(), {"open": better, "cart": worse}, steps).statement
    assert said.startswith("1 change: mean of NDCG@10 and recall@10 +0.0100 [+0.0050, +0.0150]")
    assert said.endswith("; worse: what goes with a cart")
    assert "worse" not in Improved(config(), {"open": better}, steps).statement


def test_too_few_cases_are_named() -> None:
    with pytest.raises(ConfigError, match="at least 40 are needed, half of them to choose"):
        Workbench.of(supermarket(20), SplitConfig(), config().model)


@pytest.mark.slow
def test_tune_finds_what_is_better_and_goes_on_where_it_was(shop: Dataset, tmp_path: Path) -> None:
    given = config(parts=BAD, leave_out=["item_knn", "ease", "category_link", "tfidf"])
    found = tune(shop, given, tmp_path, minutes=0.1)
    assert found.verdict["open"].low > 0
    assert "1 change" in found.statement
    trials = json.loads((tmp_path / "trials.json").read_text())["trials"]
    frequency = [t for t in trials if t["part"] == "frequency"]
    assert frequency[0]["default"]
    assert frequency[0]["values"] == {"decay.half_life_days": 0.01}
    assert max(t["quality"] for t in frequency) > frequency[0]["quality"]
    for part in ("popularity", "frequency"):  # 3 seconds each
        assert 3.0 <= sum(t["seconds"] for t in trials if t["part"] == part) < 10
    assert "half_life_days" in (tmp_path / "trials.md").read_text()
    assert "default" in (tmp_path / "trials.html").read_text()

    again = tune(shop, given, tmp_path, minutes=0.1)  # the minutes are spent: nothing is added
    assert json.loads((tmp_path / "trials.json").read_text())["trials"] == trials
    assert again.config == found.config
    tune(shop, given, tmp_path, minutes=0.12)
    assert len(json.loads((tmp_path / "trials.json").read_text())["trials"]) > len(trials)
    with pytest.raises(ConfigError, match="other data, another split or other settings"):
        tune(supermarket(500, repeated=0.5), given, tmp_path, minutes=0.1)


def test_a_kill_within_the_first_trial_costs_no_more_than_that_trial(shop: Dataset, tmp_path: Path) -> None:
    from crossaisle.pipeline.improving import tune as tuning

    given = config(leave_out=["item_knn", "ease", "category_link", "tfidf", "frequency"])
    measured_on = f"{fingerprint(shop)} {given.split} {given.model}"
    tuning._study(tmp_path, "popularity", measured_on, 0).ask()  # and killed
    tune(shop, given, tmp_path, minutes=0.001)
    first, *more = json.loads((tmp_path / "trials.json").read_text())["trials"]
    assert first["default"]
    assert first["values"] == {"half_life_days": 30.0}
    assert not any(trial["default"] for trial in more)


def test_improve_brings_back_what_is_missing_and_says_what_else_it_tried(
    shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(improving, "FURTHER", {"frequency": {"kind": "frequency"}})
    given = config(leave_out=["frequency", "ease", "tfidf", "item_knn"])
    said: list[str] = []
    found = improve(shop, given, tmp_path, minutes=5, say=said.append)
    kept = [step.change for step in found.steps if step.kept]
    assert "with frequency" in kept
    for step in found.steps:
        if step.kept:
            assert step.confirmed is not None
            assert step.confirmed.low > 0
    assert found.verdict["open"].low > 0
    assert any(step.change.startswith("without ") for step in found.steps)
    told = json.loads((tmp_path / "improve.json").read_text())
    assert told["not_tried"] == 0
    assert len(told["steps"]) == len(found.steps) == len(said) - 1
    table = (tmp_path / "improve.md").read_text()
    assert "with frequency" in table
    assert all(f"| {name} | the open list |" in table for name in ("weights chosen", "equal say"))
    assert "with frequency" in (tmp_path / "improve.html").read_text()


@pytest.mark.slow
def test_improve_keeps_nothing_that_does_not_prove_itself(
    shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise that is better on the choosing half is found out by the other one."""
    real = Workbench.tuned

    def flattered(self: Workbench, parts: Mapping[str, object], question: str = "open") -> object:
        found = real(self, parts, question)  # type: ignore[arg-type]
        return replace(found, quality=found.quality + (parts != self.parts))

    monkeypatch.setattr(Workbench, "tuned", flattered)
    monkeypatch.setattr(improving, "PROMISING", 1.0)
    monkeypatch.setattr(improving, "FURTHER", {"chance": {"kind": "popularity", "half_life_days": 500.0}})
    found = improve(shop, config(leave_out=["ease", "tfidf"]), tmp_path, minutes=5)
    asked = [step for step in found.steps if step.confirmed is not None]
    assert len(asked) > 5
    assert not any(step.kept for step in asked if step.confirmed and step.confirmed.difference <= 0)
    assert all(step.confirmed.low > 0 for step in asked if step.kept and step.confirmed)
    assert any("not confirmed" in step.note for step in asked)


def test_what_is_found_is_a_configuration_that_fits(shop: Dataset, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "events.csv").write_text("user_id,item_id\n")
    source = tmp_path / "shop" / "shop.toml"
    source.write_text(
        '[data]\nname = "my \\"shop\\""\nnulls = ["-"]\n[data.events]\npath = "events.csv"\n'
        '[data.kinds]\nwish = "favourite"\nlook = { means = "view", weight = 0.1 }\n'
        '[split]\ntest = 2024-03-01\n[model]\nencoder = "none"\nleave_out = ["tfidf"]\n'
        '[model.parts.frequency.decay]\nhalf_life_days = 9\n[model.parts.more]\nkind = "ease"\n'
    )
    before = load_config(source)
    written = tmp_path / "out" / "best.toml"
    write_config(written, before, ["a note"])
    after = load_config(written)
    assert after.data.events.path is not None
    assert before.data.events.path is not None
    assert after.data.events.path.resolve() == before.data.events.path.resolve()
    assert replace(after, data=before.data) == before
    assert after.data.name == 'my "shop"'
    assert written.read_text().startswith("# a note\n")
    write_config(written, before, [], with_data=False)
    assert "[data]" not in written.read_text()
    parts = default_parts(shop, encoder="none", settings=after.model.parts, leave_out=after.model.leave_out)
    assert set(parts) > {"more", "frequency"}


@pytest.mark.slow
def test_a_shop_with_changed_parts_is_fitted_and_measured(shop: Dataset) -> None:
    model = ModelConfig(
        encoder="none", leave_out=("ease", "category_link"), parts={"factors": {"kind": "als", "factors": 8}}
    )
    fitted = fit(shop, split_config=SplitConfig(), model_config=model)
    assert "factors" in fitted.past.blend.parts
    assert not {"ease", "category_link"} & set(fitted.past.blend.parts)


def test_the_extra_is_named(shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[tune\]'"):
        tune(shop, config(), tmp_path, minutes=1)


@pytest.mark.parametrize("command", [tune, improve])
def test_minutes_are_above_zero(command: object, shop: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--minutes must be above 0"):
        command(shop, config(), tmp_path, minutes=0.0)  # type: ignore[operator]
