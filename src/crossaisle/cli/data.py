"""Commands for known data sets: `data list`, `data pull`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from crossaisle.cli.output import AsJson, show_json, show_table
from crossaisle.cli.pipeline import Root

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_data(root: Root = None, as_json: AsJson = False) -> None:
    """List the data sets known by name, and say which are on this machine.

    \b
    crossaisle data list
    """
    from crossaisle.data.datasets import list_catalogues

    rows = list_catalogues(root)
    if as_json:
        show_json(rows)
    else:
        show_table(list(rows[0]), [list(row.values()) for row in rows])


@app.command("pull")
def pull_data(
    name: Annotated[str, typer.Argument(help="A known name; see  crossaisle data list.")],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the files of a data set once, and print their folder.

    \b
    crossaisle data pull completejourney
    """
    from crossaisle.data.datasets import find_catalogue, pull_catalogue

    folder = pull_catalogue(name, root)
    print(f"{name}: {find_catalogue(name).terms}", file=sys.stderr)
    if as_json:
        show_json({"name": name, "folder": folder})
    else:
        print(folder)
