"""Commands for what comes before a fit: settings for files (`import --from`, `init`), and `clean`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossaisle.cli.output import AsJson, show_json, show_table, tell
from crossaisle.cli.pipeline import Config, Overrides, say

if TYPE_CHECKING:
    from crossaisle.data.exports.files import Draft

Out = Annotated[Path, typer.Option(help="Settings file to write.", metavar="CONFIG.toml")]
Replace = Annotated[bool, typer.Option("--replace", help="Overwrite an existing file.")]


def import_(
    files: Annotated[list[Path], typer.Argument(help="Files, folders or zip files.", metavar="FILE")],
    known: Annotated[
        str,
        typer.Option(
            "--from",
            help="shopify, woocommerce, magento, google-merchant, ga4, retailrocket, instacart, olist, "
            "movielens, recbole, otto or amazon-reviews.",
            metavar="EXPORT",
        ),
    ],
    out: Out = Path("shop.toml"),
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Write settings for a known kind of export, to review, edit and run.

    \b
    crossaisle import --from shopify products_export.csv orders_export.csv --out shop.toml
    crossaisle import --from movielens ml-25m --out movies.toml
    """
    from crossaisle.data.exports.known import draft_of

    _write(draft_of(known, files), out, replace, as_json)


def init(
    folder: Annotated[Path, typer.Argument(help="Folder with the files.", metavar="FOLDER")],
    out: Out = Path("shop.toml"),
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Draft settings for a folder of files; whatever had to be guessed is marked UNSURE.

    \b
    crossaisle init exports/ --out shop.toml
    """
    from crossaisle.data.exports.known import draft_of_folder

    _write(draft_of_folder(folder), out, replace, as_json)


def _write(draft: Draft, out: Path, replace: bool, as_json: bool) -> None:
    from crossaisle.data.exports.toml import to_toml
    from crossaisle.errors import ConflictError, DataError

    if not draft.tables:
        raise DataError("no table was found: " + "; ".join(r.removeprefix("UNSURE: ") for r in draft.remarks))
    if out.exists() and not replace:
        raise ConflictError(f"{out}: already exists; add --replace to overwrite it")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(to_toml(draft, out.parent), encoding="utf-8")
    if as_json:
        show_json({"config": out, "tables": draft.tables, "data": draft.data, "remarks": draft.remarks})
        return
    for remark in draft.remarks:
        say(remark)
    tell(str(out))
    say(f"next: crossaisle describe {out}")


def clean(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder for report, review file and catalogue.", metavar="DIR")],
    taxonomy: Annotated[
        Path | None,
        typer.Option(
            help="CSV file with a column `category`: the category tree to map yours to.", metavar="FILE.csv"
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show what each step of [data.clean] does or would do: counts, examples, and cases left to you.

    \b
    crossaisle clean shop.toml --out runs/clean
    crossaisle clean shop.toml --out runs/clean --set data.clean.spelling=on
    crossaisle clean shop.toml --out runs/clean --taxonomy google-categories.csv
    """
    from crossaisle.config import load_config
    from crossaisle.pipeline.cleaning.clean import clean as run

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
