"""All commands."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from crossaisle import __version__
from crossaisle.cli import (
    batch,
    compress,
    data,
    importing,
    improving,
    knowledge,
    models,
    pipeline,
    recommend,
    rules,
    runs,
    training,
)
from crossaisle.cli.analysis import drift, features, labels, user
from crossaisle.cli.service import index, keys, refit, serve, streams
from crossaisle.decode import WHOLE

SECTIONS = {
    "Start": ("demo", "run", "init", "import"),
    "Data": ("describe", "clean", "labels", "features", "drift", "data"),
    "Models": ("fit", "evaluate", "runs", "tune", "improve", "benchmark"),
    "Lists": ("recommend", "goes-with", "similar", "rank", "explain", "user", "export"),
    "Merchandising": ("knowledge", "rules"),
    "Service": ("serve", "keys", "refit", "index", "consume", "replay"),
    "Language models": ("models", "encode", "train", "pretrain", "compress", "federate"),
}
"""How the help groups the commands."""


class _Sections(TyperGroup):
    """Help with the commands in sections; what a command does is told in full."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, names in SECTIONS.items():
            with formatter.section(title):
                rows = [(name, self.commands[name].get_short_help_str(limit=200)) for name in names]
                formatter.write_dl(rows)


app = typer.Typer(
    name="crossaisle",
    cls=_Sections,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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
app.command()(importing.clean)
app.command()(pipeline.describe)
app.command()(batch.encode)
app.command()(pipeline.fit)
app.command()(pipeline.evaluate)
app.command()(runs.runs)
app.command()(labels.labels)
app.command()(features.features)
app.command()(drift.drift)
app.command()(improving.tune)
app.command()(improving.improve)
app.command()(recommend.recommend)
app.command("goes-with")(recommend.goes_with)
app.command()(recommend.similar)
app.command()(recommend.rank)
app.command()(recommend.explain)
app.command()(user.user)
app.command()(batch.export)
app.command()(index.index)
app.command()(serve.serve)
app.command()(refit.refit)
app.command()(streams.consume)
app.command()(streams.replay)
app.command()(training.pretrain)
app.command()(training.train)
app.command()(training.federate)
app.command()(pipeline.benchmark)
app.command()(compress.compress)
app.add_typer(data.app, name="data", help="List and fetch known data sets.")
app.add_typer(models.app, name="models", help="List and fetch pretrained weights.")
app.add_typer(knowledge.app, name="knowledge", help="Draft, generate and check a file of what goes together.")
app.add_typer(rules.app, name="rules", help="Check a file of merchandising rules.")
app.add_typer(keys.app, name="keys", help="Add, list and revoke the API keys of a service.")


_WORDS = {"<int>": "N", "<int range>": "N", "<float>": "NUMBER", "<float range>": "NUMBER", "<path>": "PATH"}
"""What the help calls the values of options that have no word of their own."""


class _Command(TyperCommand):
    """A command whose help names values in words, and whose numbers are finite and of a usual size."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        parameter: Any
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                argument: Any = parameter
                argument.metavar = argument.metavar or str(argument.name).upper()
                argument.get_usage_pieces = partial(_in_usage, argument)
            parameter.display_type_rich = partial(_shown_type, parameter, parameter.display_type_rich)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        left: list[str] = super().parse_args(ctx, args)
        parameter: Any
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise typer.BadParameter(f"must be a finite number (found {value})", ctx, parameter)
            if isinstance(value, int) and abs(value) > WHOLE:
                raise typer.BadParameter(f"must be at most {WHOLE} in size (found {value})", ctx, parameter)
        return left


def _in_usage(parameter: Any, ctx: Any) -> list[str]:
    """An argument in the usage line, in brackets where it may be left out."""
    name = str(parameter.metavar)
    if name.startswith("["):
        return [name]
    name += "..." if parameter.nargs != 1 else ""
    return [name if parameter.required else f"[{name}]"]


def _shown_type(parameter: Any, of_typer: Callable[..., str | None], ctx: Any) -> str | None:
    """The value of an option in a word; nothing beside an argument, whose name stands there."""
    if isinstance(parameter, TyperArgument):
        return None
    shown = of_typer(ctx=ctx)
    return _WORDS.get(shown, "TEXT") if shown and shown.startswith("<") else shown


for _group in (app, data.app, models.app, knowledge.app, rules.app, keys.app):
    for _command in _group.registered_commands:
        _command.cls = _Command
