"""`tune`: the hyper-parameters of every part, searched for the same number of minutes each, on validation.

Each part is judged alone on one half of the validation cases, by the mean of NDCG@10 and recall@10. What was
found goes into the blend if it helps there, and the other half says what it gained.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crossaisle.config import RunConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.profile.fingerprint import fingerprint
from crossaisle.errors import ConfigError, MissingDependencyError
from crossaisle.evaluate.files import write_json
from crossaisle.execution.executor import Executor, LocalExecutor
from crossaisle.models.base import Scorer
from crossaisle.models.defaults import with_settings
from crossaisle.models.space import Choice, Range, nested, searched, value_of
from crossaisle.models.tuning import GAIN
from crossaisle.pipeline.improving.improved import (
    Improved,
    Step,
    begun,
    blends,
    merged,
    replace_parts,
    verdict_of,
    write_improved,
)
from crossaisle.pipeline.improving.tables import Table
from crossaisle.pipeline.improving.trials import Trials
from crossaisle.pipeline.improving.workbench import Question, Workbench
from crossaisle.progress import Say, silent

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

JOURNAL = "trials.journal"
DATA = "data"
"""Attribute of a study: the fingerprint of what its trials were measured on."""
DEFAULT = "default"
"""Attribute of the trial of the settings that the search starts from."""
SECONDS = "seconds"
"""Attribute of a trial: what it took where it ran."""


@dataclass(frozen=True)
class Tried:
    """One trial of one part."""

    part: str
    number: int
    values: Mapping[str, Any]
    quality: float | None
    """Mean of NDCG@10 and recall@10 of the part alone; None where it could not be fitted."""
    seconds: float
    default: bool
    note: str = ""


def tune(
    dataset: Dataset,
    config: RunConfig,
    out: Path,
    *,
    minutes: float,
    known: bool = False,
    executor: Executor | None = None,
    say: Say = silent,
) -> Improved:
    """Searches and writes `best.toml`, `trials.json`, `trials.md`, `trials.html` and the journal of trials.

    `minutes` are shared out evenly among the parts; those that an earlier call spent in `out` count. The
    default settings are always measured. `executor`: where trials run; the minutes are those of all its
    workers together. `known`: the data are a known data set, which a configuration
    cannot name.
    """
    _optuna()
    bench = begun(dataset, config, out, minutes)
    has_time = bench.split.train.has_time
    spaces: dict[str, dict[str, Range | Choice]] = {}
    for name, part in bench.parts.items():
        found = searched(part.space, part.settings(), has_time=has_time)
        if found and bench.question_of(name) is not None:
            spaces[name] = found
    untouched = [name for name in bench.parts if name not in spaces]
    if untouched:
        say(f"nothing to search for in {', '.join(untouched)}")
    share = minutes * 60.0 / max(len(spaces), 1)
    measured_on = f"{fingerprint(dataset)} {config.split} {config.model}"
    trials: list[Tried] = []
    for name, space in spaces.items():
        study = _study(out, name, measured_on, config.model.seed)
        say(f"{name}: {share / 60:.1f} minutes for {', '.join(space)}")
        question = bench.question_of(name)
        assert question is not None
        _search(study, Trials(bench, bench.parts[name], question), executor or LocalExecutor(), space, share)
        tried = list(_trials(study, name, bench.parts[name], space))
        trials += tried
        first, best = next(one for one in tried if one.default), max(tried, key=_quality)
        say(f"{name}: {_quality(first):.4f} by default, {_quality(best):.4f} at best ({len(tried)} trials)")
    return _concluded(bench, config, out, trials, known, say)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingDependencyError("optuna", "tune", "crossaisle tune") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _study(out: Path, name: str, measured_on: str, seed: int) -> Study:
    """The study of a part, with the trials of earlier calls."""
    optuna = _optuna()
    from optuna.storages.journal import JournalFileBackend

    storage = optuna.storages.JournalStorage(JournalFileBackend(str(out / JOURNAL)))
    study: Study = optuna.create_study(
        study_name=name, storage=storage, direction="maximize", load_if_exists=True
    )
    before = study.user_attrs.get(DATA)
    if before is not None and before != measured_on:
        raise ConfigError(
            f"{out / JOURNAL}: its trials belong to other data, another split or other settings; "
            "choose another folder"
        )
    study.set_user_attr(DATA, measured_on)
    # Another seed after a break, or the first draws would come again.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    return study


def _search(
    study: Study,
    trials: Trials,
    executor: Executor,
    space: Mapping[str, Range | Choice],
    seconds: float,
) -> None:
    """Trials until their seconds are spent; the study hears of each before it is asked for more."""
    failed = _optuna().trial.TrialState.FAIL
    part = trials.part
    inside = _inside(part, space)
    default = not any(_is_default(trial) and trial.state.is_finished() for trial in study.trials)
    if default:  # the first, also where it is a value that no search would draw, such as none
        study.enqueue_trial({key: value for key, (value, _) in inside.items()})
    spent = sum(map(_seconds, study.trials))
    running: deque[Trial] = deque()

    def told(trial: Trial, quality: float, note: str, took: float) -> None:
        nonlocal spent
        trial.set_user_attr(SECONDS, took)
        if note:
            trial.set_user_attr("note", note)
        lost = np.isnan(quality)
        study.tell(trial, None if lost else quality, state=failed if lost else None)
        spent += took

    def asked() -> Iterator[Scorer]:
        nonlocal default
        while default or spent < seconds:
            trial, start = study.ask(), time.perf_counter()
            try:
                around = {key: values for key, (_, values) in inside.items()}
                values = _drawn(trial, around if default else space)
                if default:
                    trial.set_user_attr(DEFAULT, True)
                    values, default = {}, False
                tried = _with(part, values)
            except (ValueError, ConfigError) as error:
                told(trial, float("nan"), str(error)[:200], time.perf_counter() - start)
                continue
            running.append(trial)
            yield tried

    for quality, note, took in executor.map(trials, asked()):
        told(running.popleft(), quality, note, took)


def _seconds(trial: FrozenTrial) -> float:
    """What a trial took; 0 for one that was interrupted."""
    took = trial.user_attrs.get(SECONDS)
    if took is not None:
        return float(took)
    return 0.0 if trial.duration is None else trial.duration.total_seconds()


def _start(part: Scorer, space: Mapping[str, Range | Choice]) -> dict[str, Any]:
    """The default values; None where the scorer finds one itself."""
    settings = part.settings()
    return {key: value_of(settings, key) for key in space}


def _is_default(trial: FrozenTrial) -> bool:
    return bool(trial.user_attrs.get(DEFAULT))


def _inside(part: Scorer, space: Mapping[str, Range | Choice]) -> dict[str, tuple[Any, Range | Choice]]:
    """The default values that lie in the space, which the sampler is told, with their ranges."""
    return {
        key: (value, space[key])
        for key, value in _start(part, space).items()
        if value is not None and _lies_in(value, space[key])
    }


def _lies_in(value: Any, values: Range | Choice) -> bool:
    return value in values.values if isinstance(values, Choice) else values.low <= value <= values.high


def _drawn(trial: Trial, space: Mapping[str, Range | Choice]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, values in space.items():
        if isinstance(values, Choice):
            out[key] = trial.suggest_categorical(key, values.values)
        elif values.whole:
            out[key] = trial.suggest_int(key, int(values.low), int(values.high), log=values.log)
        else:
            drawn = trial.suggest_float(key, values.low, values.high, log=values.log)
            out[key] = float(f"{drawn:.4g}")
    return out


def _with(part: Scorer, values: Mapping[str, Any]) -> Scorer:
    return with_settings({"it": part}, {"it": merged(part, nested(values))})["it"]


def _trials(study: Study, name: str, part: Scorer, space: Mapping[str, Range | Choice]) -> Iterator[Tried]:
    for trial in study.trials:
        if not trial.state.is_finished() or trial.duration is None:
            continue  # a run was interrupted within it
        default = _is_default(trial)
        values = (
            _start(part, space)
            if default
            else {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in trial.params.items()}
        )
        yield Tried(
            name,
            trial.number,
            values,
            trial.value if trial.value is not None else None,
            _seconds(trial),
            default,
            trial.user_attrs.get("note", ""),
        )


def _quality(tried: Tried) -> float:
    return -1.0 if tried.quality is None else tried.quality


def _concluded(
    bench: Workbench, config: RunConfig, out: Path, trials: list[Tried], known: bool, say: Say
) -> Improved:
    """Puts the best settings into the blend, part by part, where they help; then asks the other half."""
    best: dict[str, Tried] = {}
    for tried in trials:
        if tried.part not in best or _quality(tried) > _quality(best[tried.part]):
            best[tried.part] = tried
    by_default = {tried.part: _quality(tried) for tried in trials if tried.default}
    promising = [
        one for name, one in best.items() if not one.default and _quality(one) > by_default[name] + GAIN
    ]
    promising.sort(key=lambda one: by_default[one.part] - _quality(one))
    settings: dict[str, Any] = {}
    steps: list[Step] = []
    say("trying the best settings in the blend")
    quality: dict[Question, float] = {}
    for tried in promising:
        question = bench.question_of(tried.part)
        assert question is not None
        if question not in quality:
            quality[question] = bench.tuned(bench.parts, question).quality
        change = settings | {tried.part: merged(bench.parts[tried.part], nested(tried.values))}
        found = bench.tuned(bench.with_settings(change), question).quality
        helps = found > quality[question] + GAIN
        steps.append(Step(f"{tried.part}: {_told(tried.values)}", question, found, quality[question], helps))
        if helps:
            settings, quality[question] = change, found
    verdict = {q: verdict_of(bench, bench.with_settings(settings), q) for q in blends(bench)}
    result = Improved(replace_parts(config, settings), verdict, steps)
    rows = [
        [t.part, t.number, _told(t.values), t.quality, t.seconds, "default" if t.default else t.note]
        for t in trials
    ]
    best_rows = [
        [
            name,
            by_default[name],
            _quality(one),
            "(default)" if one.default else _told(one.values),
            sum(t.part == name for t in trials),
            sum(t.seconds for t in trials if t.part == name),
        ]
        for name, one in best.items()
    ]
    tables = [
        Table("Each part alone", ["part", "default", "best", "settings", "trials", "seconds"], best_rows),
        Table("Trials", ["part", "trial", "settings", "quality", "seconds", ""], rows),
    ]
    write_improved(out, "best.toml", "trials", "What was tuned", result, tables, with_data=not known)
    write_json(out / "trials.json", {"verdict": result.to_dict(), "trials": [vars(t) for t in trials]})
    return result


def _told(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items()
    )
