"""The command for a merchandiser's rules: `rules check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossaisle.cli.output import AsJson, show_json, show_table, tell

if TYPE_CHECKING:
    from crossaisle.data.merchandising.shown import Checked

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def rules() -> None:
    """A merchandiser's rules: what is never shown, pinned, boosted or kept apart."""


@app.command("check")
def check_file(
    file: Annotated[Path, typer.Argument(help="File of rules.", metavar="FILE.toml")],
    model: Annotated[Path, typer.Argument(help="Folder of a saved model.", metavar="MODEL")],
    as_json: AsJson = False,
) -> None:
    """Show what rules match, what matches nothing, and what conflicts. Exits with 1 if a name is unknown.

    \b
    crossaisle rules check rules.toml demo/model
    """
    from crossaisle.data.merchandising.shown import check
    from crossaisle.recommend.recommender import Recommender

    found = check(file, Recommender.load(model).dataset)
    if as_json:
        show_json(found.to_dict())
    else:
        _show(found)
    if found.unknown:
        raise typer.Exit(1)


def _show(found: Checked) -> None:
    rows = [
        [rule["id"], rule["action"], _state(rule), rule["matches"], "; ".join(rule["examples"]) or "nothing"]
        for rule in found.rules
    ]
    if rows:
        show_table(["rule", "action", "today", "items", "such as"], rows)
    else:
        tell("the file has no rules")
    _some("unknown, so the file is refused", found.unknown)
    silent = [
        f"rule {rule['id']!r}: {one}"
        for rule in found.rules
        for one in rule["notices"]
        if not any(one in line for line in found.unknown)
    ]
    _some("worth checking", silent)
    _some("contradictions", found.contradictions)


def _state(rule: dict[str, Any]) -> str:
    state = {"holds": "holds", "over": f"ended on {rule['until']}", "later": f"starts on {rule['since']}"}
    return state[rule["state"]]


def _some(title: str, lines: Sequence[str]) -> None:
    if lines:
        tell(f"{title}: {len(lines)}")
        for line in lines:
            tell(f"  {line}")
