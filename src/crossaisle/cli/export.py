"""The command `export`: lists for many users at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossaisle.cli.controls import Controls, query, with_controls
from crossaisle.cli.output import AsJson, On, show_json, tell
from crossaisle.cli.recommend import Model, ids_in
from crossaisle.errors import shorten
from crossaisle.execution.opening import LOCAL, opened


@with_controls
def export(
    model: Model,
    controls: Controls,
    out: Annotated[Path, typer.Option(help="File for the lists: .parquet, .csv or .jsonl.", metavar="FILE")],
    placement: Annotated[
        str, typer.Option(help="for_you, discover, buy_again or trending.", metavar="PLACE")
    ] = "for_you",
    users: Annotated[
        Path | None,
        typer.Option(help="Text file with a user id per line. Default: all users.", metavar="FILE"),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Throw away what an interrupted export left.")
    ] = False,
    on: On = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Write a list for every user, one row per item. An export that was interrupted goes on where it stopped.

    \b
    crossaisle export demo/model --placement discover --out discover.parquet
    crossaisle export demo/model --users friday.txt -n 6 --explain --out friday.csv
    crossaisle export demo/model --out lists.parquet --on ray
    """
    from crossaisle.pipeline.export_lists import export_lists

    with opened(on) as executor:
        done = export_lists(
            model,
            out,
            query(placement, controls),
            users=None if users is None else ids_in(users),
            restart=restart,
            executor=executor,
            progress=True,
        )
    if done.unknown:
        named = ", ".join(map(shorten, done.unknown[:3]))
        tell(
            f"note: no list for {len(done.unknown):,} users the model does not know: {named}",
            on_the_side=True,
        )
    if as_json:
        show_json(done.to_dict())
        return
    empty = f", {done.without:,} users without one" if done.without else ""
    print(f"{done.path}: {done.lists:,} lists of {done.rows:,} items{empty}; {done.seconds:.1f} s")
