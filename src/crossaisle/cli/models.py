"""Commands for pretrained weights: `models list`, `models pull`, `models export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crossaisle.cli.output import AsJson, show_json, show_table
from crossaisle.errors import shown

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the pretrained encoders known by name.

    \b
    crossaisle models list
    """
    from crossaisle.encoders.weights import REGISTRY, local_folder

    rows = [
        {
            "name": model.name,
            "what": model.what,
            "dimension": model.dimension,
            "download_mb": model.megabytes,
            "licence": model.licence,
            "here": local_folder(model.name) is not None,
        }
        for model in REGISTRY.values()
    ]
    if as_json:
        show_json(rows)
    else:
        show_table(list(rows[0]), [list(row.values()) for row in rows])


@app.command("pull")
def pull_model(
    name: Annotated[str, typer.Argument(help="A known name, a folder, or owner/name on the hub.")],
    as_json: AsJson = False,
) -> None:
    """Fetch the weights of an encoder once, and print their folder.

    \b
    crossaisle models pull minilm
    """
    from crossaisle.encoders.weights import IMAGE, REGISTRY, local_folder, pull

    if local_folder(name) is None:
        print(f"fetching {shown(name)} ...", file=sys.stderr)
    if name == IMAGE:
        from crossaisle.training.images.image_weights import pull_image_encoder

        folder = pull_image_encoder()
    else:
        folder = pull(name)
        if any(folder.glob("*.gguf")) and name in REGISTRY:  # training starts from its unpacked form
            from crossaisle.training.text.gguf import unpacked

            folder = unpacked(name)
    if as_json:
        show_json({"name": name, "folder": folder})
    else:
        print(folder)


@app.command("export")
def export_model(
    name: Annotated[
        str, typer.Argument(help="A folder with an image model (CLIP, ViT ...), or owner/name on the hub.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the picture encoder.", metavar="DIR")],
    as_json: AsJson = False,
) -> None:
    """Export an image model as a picture encoder that runs without torch; needs crossaisle[train].

    \b
    crossaisle models export openai/clip-vit-base-patch32 --out models/clip
    """
    from crossaisle.training.torch_library import require

    require("exporting an image model")
    from crossaisle.training.images.vision import export_vision

    cosine = export_vision(name, out)
    if as_json:
        show_json({"model": out, "mean_cosine": cosine})
    else:
        print(out)
