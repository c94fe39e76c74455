"""The command `compress`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossaisle.cli.output import AsJson, show_json, show_table
from crossaisle.cli.pipeline import Root, say

COLUMNS = ("variant", "ndcg", "share", "megabytes", "titles_per_second", "bytes_per_item")


def compress(
    model: Annotated[
        str, typer.Argument(help="A checkpoint with torch weights: a name, a folder or owner/name.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the smaller models.", metavar="DIR")],
    on: Annotated[
        str,
        typer.Option(help="Known data set, or CONFIG.toml of a shop, to train and to measure on."),
    ] = "completejourney",
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", help="int8, layers, static or vectors (repeatable). Default: all."),
    ] = None,
    layers: Annotated[int, typer.Option(help="Layers to keep.", min=1, metavar="N")] = 3,
    dimension: Annotated[
        int, typer.Option(help="Dimensions of the static model's vectors.", min=1, metavar="N")
    ] = 256,
    steps: Annotated[
        int, typer.Option(help="Distillation steps after removing layers.", min=0, metavar="N")
    ] = 300,
    seed: Annotated[int, typer.Option(help="Random seed.", min=0, metavar="N")] = 0,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Make a text encoder smaller in several ways and measure each: quality, size, speed.

    \b
    crossaisle compress minilm-torch --on s3rec-beauty --out runs/small
    crossaisle compress models/tuned --on shop.toml --out runs/small --method int8
    """
    from crossaisle.pipeline import compress

    rows = compress.compress(
        model,
        out,
        on=on,
        root=root,
        methods=methods or compress.METHODS,
        layers=layers,
        dimension=dimension,
        steps=steps,
        seed=seed,
        progress=True,
        say=say,
    )
    if as_json:
        show_json(rows)
    else:
        show_table(list(COLUMNS), [[row[name] for name in COLUMNS] for row in rows])
        print(out / "compression.json")
