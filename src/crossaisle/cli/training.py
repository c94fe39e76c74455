"""`train`: a language model learns the shop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossaisle.cli.building import Overrides, say, say_what_was_set_aside
from crossaisle.cli.output import AsJson, show_json


def train(
    source: Annotated[str, typer.Argument(help="CONFIG.toml or a known data set.", metavar="SOURCE")],
    out: Annotated[Path, typer.Option(help="Folder for the model.", metavar="DIR")],
    overrides: Overrides = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint that an interrupted training left.")
    ] = False,
    root: Annotated[
        Path | None, typer.Option(help="Folder that holds the files of the data sets.", metavar="DIR")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a text encoder on a shop's events before validation; needs crossaisle[train].

    \b
    crossaisle train shop.toml --out models/encoder
    crossaisle train shop.toml --out models/encoder --set train.moves=full --set train.epochs=3
    crossaisle train s3rec-beauty --out models/encoder --resume
    """
    from crossaisle.config import load_config, overridden
    from crossaisle.data.catalogues import CATALOGUES, load_catalogue
    from crossaisle.data.importer import import_dataset
    from crossaisle.pipeline.fine_tuning import default_split, fine_tune

    if source in CATALOGUES and not Path(source).exists():
        settings = overridden(source, overrides or [], split=default_split(source))
        imported = load_catalogue(source, root=root, progress=True)
    else:
        settings = load_config(source, overrides or [])
        imported = import_dataset(settings.data, progress=True)
        say_what_was_set_aside(imported.report)
    summary = fine_tune(
        imported.dataset, settings.split, settings.train, out, resume=resume, progress=True, say=say
    )
    if as_json:
        show_json(summary)
        return
    print(
        f"validation NDCG@10 (sample) {summary['ndcg_before']:.4f} before, {summary['ndcg_after']:.4f} after "
        f"step {summary['best_step']} of {summary['steps']}"
    )
    print(f"{summary['model']}  {summary['seconds']:.0f} s, {summary['peak_mb']:,.0f} MB")
