"""Commands for much at once: `encode`, the texts of a catalogue; `export`, lists for many users."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from crossaisle.cli.controls import Controls, query, with_controls
from crossaisle.cli.output import AsJson, On, show_json, tell
from crossaisle.cli.pipeline import Overrides, Root, say
from crossaisle.cli.recommend import Model, ids_in
from crossaisle.cli.training import Source, source_of
from crossaisle.errors import ConfigError, shorten
from crossaisle.execution.opening import LOCAL, opened


def encode(
    source: Source,
    overrides: Overrides = None,
    root: Root = None,
    on: On = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Encode the texts of a catalogue into the cache, where fit, run and tune find them.

    Each distinct text is encoded only once. An interrupted run resumes where it stopped.

    \b
    crossaisle encode shop.toml
    crossaisle encode shop.toml --on ray
    crossaisle encode shop.toml --on ray://head.example.com:10001
    """
    from crossaisle.encoders.spread import encode_ahead
    from crossaisle.pipeline.languages import chosen_encoder

    settings, dataset = source_of(source, overrides or [], root)
    name, notes = chosen_encoder(dataset, settings.model.encoder)
    for note in notes:
        say(note)
    if name == "none":
        raise ConfigError("model.encoder is 'none', so there are no texts to encode: name an encoder")
    start = time.perf_counter()
    with opened(on) as executor:
        done = encode_ahead(dataset.item_texts, executor, name, progress=True)
    seconds = time.perf_counter() - start
    if as_json:
        show_json({**asdict(done), "encoder": name, "seconds": seconds})
    else:
        print(f"{done.texts:,} texts, {done.fresh:,} of them newly encoded with {name}; {seconds:.1f} s")


@with_controls
def export(
    model: Model,
    controls: Controls,
    out: Annotated[
        Path,
        typer.Option(
            help="File for the lists: .parquet, .csv or .jsonl; for a catalogue: .xml or .tsv.",
            metavar="FILE",
        ),
    ],
    catalogue: Annotated[
        bool,
        typer.Option(
            "--catalogue", help="Write the model's catalogue instead: a product feed in Google's format."
        ),
    ] = False,
    placement: Annotated[
        str, typer.Option(help="for_you, discover, buy_again or trending.", metavar="PLACE")
    ] = "for_you",
    users: Annotated[
        Path | None,
        typer.Option(help="Text file with a user id per line. Default: all users.", metavar="FILE"),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard what an interrupted export left, and start over.")
    ] = False,
    on: On = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Export a list for every user, one row per item, or the catalogue as a product feed.

    An interrupted export of lists resumes where it stopped.

    \b
    crossaisle export demo/model --placement discover --out discover.parquet
    crossaisle export demo/model --users friday.txt -n 6 --explain --out friday.csv
    crossaisle export demo/model --catalogue --out feed.xml
    crossaisle export demo/model --out lists.parquet --on ray
    """
    if catalogue:
        if controls or users is not None or restart or on != LOCAL or placement != "for_you":
            raise typer.BadParameter("--catalogue can only be combined with --out and --json")
        _export_catalogue(model, out, as_json)
        return
    from crossaisle.pipeline.exports.lists import export_lists

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
    empty = f", {done.without:,} users without a list" if done.without else ""
    print(f"{done.path}: {done.lists:,} lists, {done.rows:,} items{empty}; {done.seconds:.1f} s")


def _export_catalogue(model: Path, out: Path, as_json: bool) -> None:
    from crossaisle.pipeline.exports.catalogue import export_catalogue

    done = export_catalogue(model, out)
    if as_json:
        show_json(asdict(done) | {"path": str(done.path)})
        return
    lacking = [
        f"{n:,} without {what}"
        for n, what in ((done.without_price, "a price"), (done.without_link, "an address"))
        if n
    ]
    print(f"{done.path}: {done.items:,} products{''.join(f', {one}' for one in lacking)}")
