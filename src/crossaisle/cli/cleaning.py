"""`clean`: look at what cleaning a shop's data does, before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossaisle.cli.output import AsJson, show_json, show_table
from crossaisle.cli.pipeline import Config, Overrides, say


def clean(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder for report, review file and catalogue.", metavar="DIR")],
    taxonomy: Annotated[
        Path | None,
        typer.Option(help="CSV with a column `category`: a tree to map yours to.", metavar="FILE.csv"),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show what every step of [data.clean] does, or would do: counts, examples, what is left to people.

    \b
    crossaisle clean shop.toml --out runs/clean
    crossaisle clean shop.toml --out runs/clean --set data.clean.spelling=on
    crossaisle clean shop.toml --out runs/clean --taxonomy google-categories.csv
    """
    from crossaisle.config import load_config
    from crossaisle.pipeline.clean import clean as run

    settings = load_config(config, overrides or [])
    found = run(settings, out, taxonomy=taxonomy, progress=True, say=say)
    if as_json:
        show_json(found)
        return
    rows = [
        [s["step"], s["setting"], s["rows_in"], s["changed"], s["rows_out"], s["proposals"], s["applied"]]
        for s in found["steps"]
    ]
    show_table(["step", "setting", "rows in", "changed", "rows out", "proposals", "applied"], rows)
    print(f"{found['report']}  {found['review']}  {found['catalogue']}")
