"""The command `encode`: vectors of a catalogue's texts, ahead of a fit."""

from __future__ import annotations

import time
from dataclasses import asdict

from crossaisle.cli.output import AsJson, On, show_json
from crossaisle.cli.pipeline import Overrides, Root, say
from crossaisle.cli.training import Source, source_of
from crossaisle.errors import ConfigError
from crossaisle.execution.opening import LOCAL, opened


def encode(
    source: Source,
    overrides: Overrides = None,
    root: Root = None,
    on: On = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Encode the texts of a catalogue into the cache, where fit, run and tune find them.

    Each distinct text is encoded once, by any run; one that was interrupted goes on where it stopped.

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
        raise ConfigError("model.encoder is none: these settings read no texts with a language model")
    start = time.perf_counter()
    with opened(on) as executor:
        done = encode_ahead(dataset.item_texts, executor, name, progress=True)
    seconds = time.perf_counter() - start
    if as_json:
        show_json({**asdict(done), "encoder": name, "seconds": seconds})
    else:
        print(f"{done.texts:,} texts, {done.fresh:,} of them encoded now with {name}; {seconds:.1f} s")
