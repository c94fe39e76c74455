"""Commands that send events to a running service: `consume`, `replay`."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import closing
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
        help="API key with the scope write. Safer in the environment than in the process list.",
        metavar="KEY",
        show_envvar=True,
    ),
]
Shop = Annotated[
    str | None,
    typer.Option(
        "--shop",
        envvar="CROSSAISLE_SHOP",
        help="Shop to address, where the service has several.",
        metavar="NAME",
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
    shop: Shop = None,
    group: Annotated[str, typer.Option(help="Consumer group.", metavar="NAME")] = "crossaisle",
    consumer: Annotated[
        str | None,
        typer.Option(help="Name within the group (Redis). Default: host and process.", metavar="NAME"),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Move the group to: beginning, end, an entry id (Redis) or an offset (Kafka). "
            "Default: continue where it left off.",
            metavar="WHERE",
        ),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="librdkafka settings, one name=value per line.", metavar="FILE")
    ] = None,
    batch: Annotated[
        int, typer.Option(help="Messages per request, at most.", min=1, max=10_000, metavar="N")
    ] = 500,
    until_empty: Annotated[bool, typer.Option(help="Exit when no message is waiting.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send events from a Redis stream or a Kafka topic to a running service.

    \b
    crossaisle consume redis://localhost:6379 --stream events --to http://127.0.0.1:8080
    """
    from dataclasses import asdict

    from crossaisle.progress import bar
    from crossaisle.streams.consume import Consumed, consume, open_source
    from crossaisle.streams.sender import Sender, Stopped

    stop = _on_signals()
    with closing(Sender(to, key=key, shop=shop, stop=stop)) as sender:
        try:
            source = open_source(
                url,
                stream,
                group=group,
                consumer=consumer,
                start=start,
                settings=None if settings is None else settings_of(settings),
                stop=stop,
            )
        except Stopped:  # while it waited for its broker
            total = Consumed()
        else:
            with closing(source), bar(f"events from {stream}", None, show=not as_json) as advance:
                total = consume(source, sender, batch=batch, until_empty=until_empty, advance=advance)
    if as_json:
        show_json(asdict(total))
    else:
        show_table(list(asdict(total)), [list(asdict(total).values())])


def replay(
    file: Annotated[Path, typer.Argument(help="Events: CSV, TSV, JSONL or parquet.", metavar="FILE")],
    speed: Annotated[
        str, typer.Option(help="Speed relative to the log: 10x, or max for no pauses.", metavar="N")
    ] = "1x",
    to: To = HERE,
    key: Key = None,
    shop: Shop = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Rename a column: item_id=product (repeatable).", metavar="NAME=COLUMN"),
    ] = None,
    time_unit: Annotated[
        str | None, typer.Option(help="Unit of times: s, ms, us, ns or a format.", metavar="UNIT")
    ] = None,
    longest_gap: Annotated[
        float | None, typer.Option(help="Shorten longer pauses to this.", min=0, metavar="SECONDS")
    ] = None,
    now: Annotated[
        bool, typer.Option(help="Send events with the current time, not the time in the log.")
    ] = False,
    patience: Annotated[
        float,
        typer.Option(help="Wait this long for a service that does not answer.", min=0, metavar="SECONDS"),
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Replay a log of events to a running service. Run it again to continue where it stopped.

    \b
    crossaisle replay events.csv --speed 10x --to http://127.0.0.1:8080
    """
    from dataclasses import asdict

    from crossaisle.progress import bar
    from crossaisle.streams.replay import read_log, replay
    from crossaisle.streams.sender import Sender

    factor = speed_of(speed)
    columns = _pairs(column or [], "--column")
    log = read_log(file, columns=columns, time_unit=time_unit, progress=not as_json)
    sender = Sender(to, key=key, shop=shop, stop=_on_signals(), patience=patience)
    try:
        with bar(f"events of {file.name}", len(log), show=not as_json) as advance:
            total = replay(
                log, sender, speed=factor, longest_gap=longest_gap, log_times=not now, advance=advance
            )
    finally:
        sender.close()
    if as_json:
        show_json(asdict(total))
        return
    counts = ("events", "sent", "accepted", "duplicates", "forgotten", "refused")
    names = (*counts, "seconds", "behind_seconds")
    show_table([n.replace("_", " ") for n in names], [[getattr(total, n) for n in names]])
    rows = [("refused", reason, n) for reason, n in total.reasons.items()]
    rows += [("not read", rule, n) for rule, n in total.set_aside.items()]
    if rows:
        show_table(["", "reason", "events"], rows)
    if not total.finished:
        print("crossaisle: stopped before the end; run the same command to continue", file=sys.stderr)


def speed_of(text: str) -> float | None:
    """`10x` as a factor; None for `max`."""
    from crossaisle.errors import ConfigError

    if text == "max":
        return None
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ConfigError(f"--speed {text!r}: must be a number above 0, such as 10x, or max")
    return speed


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    from crossaisle.errors import ConfigError

    for text in texts:
        if "=" not in text:
            raise ConfigError(f"{option} {text!r}: must be NAME=COLUMN")
    return dict(text.split("=", 1) for text in texts)


def _on_signals() -> threading.Event:
    """Set by the first SIGINT or SIGTERM; the second SIGINT interrupts."""
    stop = threading.Event()

    def on_signal(number: int, _: FrameType | None) -> None:
        print("crossaisle: finishing the current request", file=sys.stderr)
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


def settings_of(file: Path) -> dict[str, str]:
    """Settings from a file of lines `name=value`; blank lines and `#` comments are skipped."""
    from crossaisle.errors import ConfigError

    out = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            name, equals, value = text.partition("=")
            if not equals:
                raise ConfigError(f"{file}, line {number}: a setting must be name=value")
            out[name.strip()] = value.strip()
    return out
