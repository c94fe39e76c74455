"""Commands that start from a shop's data: `describe`, ..."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossaisle.cli.output import AsJson, show, show_json

if TYPE_CHECKING:
    from crossaisle.data.importer import Imported

Source = Annotated[
    str, typer.Argument(help="CONFIG.toml, or the name of a known data set.", metavar="SOURCE")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting: section.key=value (repeatable).", metavar="KEY=VALUE"),
]


def describe(
    source: Annotated[
        str, typer.Argument(help="CONFIG.toml, a known data set, or a model folder.", metavar="SOURCE")
    ],
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show what a data set (or a saved model) holds: counts, categories, gaps, what was set aside.

    \b
    crossaisle describe shop.toml
    crossaisle describe completejourney
    crossaisle describe demo/model
    """
    from crossaisle.data.describe import describe as facts_of
    from crossaisle.data.describe import describe_table

    extra: dict[str, Any]
    if Path(source).is_dir():
        from crossaisle.recommend import Recommender

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
    else:
        say_what_was_set_aside(extra["import"])


def import_source(source: str, overrides: list[str], *, out: Path | None = None) -> Imported:
    """Imports what a configuration file describes, or a known data set."""
    from crossaisle.config import load_config
    from crossaisle.data.catalogues import CATALOGUES, load_catalogue
    from crossaisle.data.importer import import_dataset

    if source in CATALOGUES and not Path(source).exists():
        if overrides:
            raise typer.BadParameter(f"--set changes a configuration file; {source} is a known data set")
        return load_catalogue(source, progress=True)
    return import_dataset(load_config(source, overrides).data, out=out, progress=True)


def say_what_was_set_aside(report: dict[str, Any]) -> None:
    """The import's counts and warnings, on stderr."""
    for name, table in report["tables"].items():
        if table["set_aside"]:
            rules = ", ".join(f"{rule} {n:,}" for rule, n in table["set_aside"].items())
            kept = f"{table['rows_kept']:,} of {table['rows_read']:,} rows kept"
            print(f"{name}: {kept}; set aside: {rules}", file=sys.stderr)
    for warning in report["warnings"]:
        print(f"note: {warning}", file=sys.stderr)
