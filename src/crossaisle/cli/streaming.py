"""Commands that feed a running service: `consume`, `replay`."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from crossaisle.cli.output import AsJson, show_json, show_table

To = Annotated[str, typer.Option("--to", help="Address of the service.", metavar="URL")]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="CROSSAISLE_KEY",
        help="API key with the scope write; better in the environment than in the list of processes.",
        metavar="KEY",
        show_envvar=True,
    ),
]
HERE = "http://127.0.0.1:8080"


def consume(
    url: Annotated[
        str, typer.Argument(help="redis://HOST:PORT, unix://PATH or kafka://HOST:PORT,...", metavar="BROKER")
    ],
    stream: Annotated[str, typer.Option(help="Stream or topic to read.", metavar="NAME")],
    to: To = HERE,
    key: Key = None,
    group: Annotated[str, typer.Option(help="Consumer group.", metavar="NAME")] = "crossaisle",
    consumer: Annotated[
        str | None,
        typer.Option(help="Name in the group (Redis); by default host and process.", metavar="NAME"),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Move the group: beginning, end, an entry's id (Redis) or an offset (Kafka). "
            "By default it goes on where it was.",
            metavar="WHERE",
        ),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="Lines name=value with settings of librdkafka.", metavar="FILE")
    ] = None,
    batch: Annotated[int, typer.Option(help="Most messages sent at once.", min=1, max=10_000)] = 500,
    until_empty: Annotated[bool, typer.Option(help="Stop when nothing more is waiting.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take events from a Redis stream or a Kafka topic into a running service.

    \b
    crossaisle consume redis://localhost:6379 --stream events --to http://127.0.0.1:8080
    """
    from dataclasses import asdict

    from crossaisle.progress import bar
    from crossaisle.serve.consume import consume, open_source
    from crossaisle.serve.sender import Sender

    stop = _on_signals()
    sender = Sender(to, key=key, stop=stop)
    source = open_source(
        url,
        stream,
        group=group,
        consumer=consumer,
        start=start,
        settings=None if settings is None else _settings(settings),
        stop=stop,
    )
    try:
        with bar(f"events from {stream}", None, show=not as_json) as advance:
            total = consume(source, sender, batch=batch, until_empty=until_empty, advance=advance)
    finally:
        source.close()
        sender.close()
    if as_json:
        show_json(asdict(total))
    else:
        show_table(list(asdict(total)), [list(asdict(total).values())])


def _on_signals() -> threading.Event:
    """Set by the first SIGINT or SIGTERM; the second SIGINT interrupts."""
    stop = threading.Event()

    def told(number: int, _: FrameType | None) -> None:
        print("crossaisle: finishing what is under way", file=sys.stderr)
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told)
    return stop


def _settings(file: Path) -> dict[str, str]:
    from crossaisle.errors import ConfigError

    out = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            name, equals, value = text.partition("=")
            if not equals:
                raise ConfigError(f"{file}, line {number}: a setting is name=value")
            out[name.strip()] = value.strip()
    return out
