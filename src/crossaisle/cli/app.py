"""All commands, in the order in which a newcomer meets them."""

from __future__ import annotations

from typing import Annotated

import typer

from crossaisle import __version__
from crossaisle.cli import (
    cleaning,
    compress,
    data,
    importing,
    improving,
    keys,
    knowledge,
    models,
    pipeline,
    recommend,
    refit,
    runs,
    serve,
    streams,
    training,
)

app = typer.Typer(
    name="crossaisle",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"crossaisle {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Cross-category product recommendation.

    \b
    crossaisle demo                        see it work, on a year of a retailer's purchases
    crossaisle run CONFIG.toml --out DIR   do the same with your own data
    """


app.command()(pipeline.demo)
app.command()(pipeline.run)
app.command()(importing.init)
app.command("import")(importing.import_)
app.command()(cleaning.clean)
app.command()(pipeline.describe)
app.command()(pipeline.fit)
app.command()(pipeline.evaluate)
app.command()(runs.runs)
app.command()(improving.tune)
app.command()(improving.improve)
app.command()(recommend.recommend)
app.command("goes-with")(recommend.goes_with)
app.command()(recommend.similar)
app.command()(recommend.explain)
app.command()(serve.serve)
app.command()(refit.refit)
app.command()(streams.consume)
app.command()(streams.replay)
app.command()(training.pretrain)
app.command()(training.train)
app.command()(pipeline.benchmark)
app.command()(compress.compress)
app.add_typer(data.app, name="data", help="List and fetch known data sets.")
app.add_typer(models.app, name="models", help="List and fetch pretrained weights.")
app.add_typer(knowledge.app, name="knowledge", help="Rules of what goes together: draft, ask, check.")
app.add_typer(keys.app, name="keys", help="Add, list and revoke the API keys of a service.")
