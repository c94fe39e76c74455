"""Commands that make a shop's model better: `tune`, `improve`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossaisle.cli.output import AsJson, On, show_json
from crossaisle.cli.pipeline import Overrides, Root, say
from crossaisle.cli.training import Source, source_of
from crossaisle.execution.opening import LOCAL, opened

if TYPE_CHECKING:
    from crossaisle.pipeline.improving.improved import Improved

Out = Annotated[
    Path, typer.Option(help="Folder for the settings and a record of what was tried.", metavar="DIR")
]
Minutes = Annotated[float, typer.Option(help="Time to spend, in minutes.", metavar="M")]


def tune(
    source: Source,
    out: Out,
    minutes: Minutes = 30.0,
    overrides: Overrides = None,
    root: Root = None,
    on: On = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Tune the hyper-parameters of every part on validation; needs crossaisle[tune].

    The minutes are divided evenly among the parts. Run the same command with the same folder to resume an
    interrupted search, or with more minutes to extend it. Several workers share the minutes.

    \b
    crossaisle tune shop.toml --minutes 30 --out runs/tuned
    crossaisle run runs/tuned/best.toml --out runs/better
    """
    from crossaisle.pipeline.improving import tune as searching

    with opened(on) as executor:
        search = partial(searching.tune, executor=executor)
        _search(search, "best.toml", source, out, minutes, overrides, root, as_json)


def improve(
    source: Source,
    out: Out,
    minutes: Minutes = 30.0,
    overrides: Overrides = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Try changes to the blend and keep those that prove better on held-back validation cases.

    Changes are: parts left out or added, and other decays, regularisation and features.

    \b
    crossaisle improve shop.toml --minutes 30 --out runs/improved
    crossaisle run runs/improved/improved.toml --out runs/better
    """
    from crossaisle.pipeline.improving import improve as searching

    _search(searching.improve, "improved.toml", source, out, minutes, overrides, root, as_json)


def _search(
    search: Callable[..., Improved],
    name: str,
    source: str,
    out: Path,
    minutes: float,
    overrides: list[str] | None,
    root: Path | None,
    as_json: bool,
) -> None:
    """Searches, and shows what was found and where its settings stand."""
    from crossaisle.data.datasets import is_known

    settings, dataset = source_of(source, overrides or [], root)
    found = search(dataset, settings, out, minutes=minutes, known=is_known(source), say=say)
    if as_json:
        show_json({**found.to_dict(), "config": out / name})
    else:
        print(found.statement)
        print(out / name)
