"""The command `refit`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossaisle.cli.output import AsJson, show_json, tell
from crossaisle.cli.service.keys import existing

if TYPE_CHECKING:
    from crossaisle.errors import CrossaisleError
    from crossaisle.serve.refit import Refit

NOT_ACCEPTED = 3
"""Exit code: the old model stays."""


def refit(
    model: Annotated[Path, typer.Argument(help="Folder of the model to start from.", metavar="MODEL")],
    store: Annotated[
        str,
        typer.Option(
            help="The service's store: a SQLite file, postgresql://... or shops.toml#SHOP", metavar="STORE"
        ),
    ],
    models: Annotated[
        Path | None,
        typer.Option(help="Folder for the new model. Default: the one that holds MODEL.", metavar="DIR"),
    ] = None,
    holdout: Annotated[
        float,
        typer.Option(
            help="Share of the store's latest events held out to compare the models on.",
            min=0.01,
            max=0.5,
            metavar="NUMBER",
        ),
    ] = 0.1,
    activate: Annotated[
        str | None,
        typer.Option(help="Address of a running service that should switch to the new model.", metavar="URL"),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="CROSSAISLE_KEY", help="API key with the scope admin.", metavar="KEY", show_envvar=True
        ),
    ] = None,
    shop: Annotated[
        str | None,
        typer.Option(
            envvar="CROSSAISLE_SHOP", help="Shop to address, where the service has several.", metavar="NAME"
        ),
    ] = None,
    every: Annotated[
        str | None, typer.Option(help="Repeat at this interval: 24h, 30m.", metavar="TIME")
    ] = None,
    incremental: Annotated[
        bool,
        typer.Option("--incremental", help="Only add the new events; slow parts stay as they are."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Random seed.", min=0, metavar="N")] = 0,
    as_json: AsJson = False,
) -> None:
    """Refit a model with the store's events; keep the new model if it is no worse on the latest ones.

    Exit code 3: the new model was worse and was not kept.

    \b
    crossaisle refit models/first --store first.sqlite --activate http://127.0.0.1:8080
    """
    from crossaisle.errors import CrossaisleError
    from crossaisle.serve.server.launch import needs_extra

    needs_extra()
    from crossaisle.serve import refit as work

    pause = None if every is None else work.seconds_of(every)
    folder = models or model.resolve().parent
    opened = existing(store)

    def once(base: Path) -> Refit:
        with opened.engine.only("refit"):
            found = work.refit(
                base,
                opened,
                folder,
                holdout=holdout,
                seed=seed,
                incremental=incremental,
                progress=True,
            )
        if found.accepted and activate:
            from crossaisle.client import Client

            with Client(activate, key=key, shop=shop, timeout=300.0) as client:
                client.activate(found.name)
        return found

    try:
        rounds: Iterator[Refit | CrossaisleError]
        rounds = iter([once(model)]) if pause is None else work.periodically(pause, once, model)
        for found in rounds:
            if isinstance(found, CrossaisleError):
                tell(str(found), on_the_side=True)
                continue
            for line in found.lines:
                tell(line, on_the_side=True)
            if as_json:
                show_json(found.to_dict())
            else:
                print(f"{found.name}: {found.reason}")
                print(f"report: {found.report}")
            if pause is None and not found.accepted:
                raise typer.Exit(NOT_ACCEPTED)
    finally:
        opened.close()
