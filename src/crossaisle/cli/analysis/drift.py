"""`drift`: what moved since a model was fitted, and whether to fit again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossaisle.cli.output import AsJson, show_json, show_table, tell
from crossaisle.cli.pipeline import say
from crossaisle.cli.recommend import Model


def drift(
    model: Model,
    events: Annotated[Path, typer.Option("--events", help="Events since the fit.", metavar="FILE")],
    items: Annotated[
        Path | None, typer.Option("--items", help="New or changed items.", metavar="FILE")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Settings that say how to read both files. Default: by column names.", metavar="CONFIG.toml"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for drift.html and drift.md.", metavar="DIR")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare new events with those a model was fitted on: categories, prices, words, vectors, quality.

    \b
    crossaisle drift demo/model --events january.csv
    crossaisle drift models/shop --events orders.csv --items new.csv --config shop.toml --out drift
    """
    from crossaisle.config import load_config
    from crossaisle.pipeline.analysis.drift import Later, about, drift_since, write_drift
    from crossaisle.recommend.recommender import Recommender

    recommender = Recommender.load(model)
    data = None if config is None else load_config(config).data
    found = drift_since(recommender, Later.read(recommender, events, items, data), say=say)
    if out is not None:
        write_drift(found, out)
    if as_json:
        show_json(found.to_dict())
        return
    tell(about(found))
    cells = [
        [
            check.name,
            check.verdict,
            f"{check.effect:.3f}",
            f"{check.q:.2g}",
            "; ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in check.measures.items()),
            "; ".join(f"{name} {was:.1%} to {now:.1%}" for name, was, now in check.movers[:2]),
        ]
        for check in found.checks
    ]
    if cells:
        show_table(["", "verdict", "effect", "p, adjusted", "measured", "changed most"], cells)
    for name, why in found.skipped.items():
        tell(f"{name}: not compared: {why}")
    tell(found.advice)
    if out is not None:
        print(out / "drift.html")
