"""Commands of the service: `serve`, `keys`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossaisle.cli.output import AsJson, show_json, show_table
from crossaisle.errors import ConfigError, shown

if TYPE_CHECKING:
    from crossaisle.serve.store.store import Store

keys = typer.Typer(no_args_is_help=True)
StorePath = Annotated[
    str,
    typer.Argument(
        help="The service's store: a SQLite file, postgresql://... or shops.toml#SHOP", metavar="STORE"
    ),
]


def serve(
    model: Annotated[
        Path | None, typer.Argument(help="Folder of a saved model.", metavar="[MODEL]", show_default=False)
    ] = None,
    shops: Annotated[
        Path | None,
        typer.Option(help="Several shops: a TOML file with a table for each.", metavar="FILE"),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8080,
    store: Annotated[
        str | None,
        typer.Option(
            help="Where events, changed items and keys are kept: a SQLite file (by default MODEL.sqlite) or "
            "postgresql://USER:PASSWORD@HOST/DATABASE.",
            metavar="FILE|URL",
        ),
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder of saved models to switch between.", metavar="DIR")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Most requests per second and client.", metavar="N")
    ] = None,
    image_hosts: Annotated[
        str,
        typer.Option(
            help="Hosts that pictures of new items may be fetched from (none unless named).",
            metavar="HOST,...",
            show_default=False,
        ),
    ] = "",
    behind_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="Address or network of the proxy in front, whose X-Forwarded-For is believed (repeatable): "
            "127.0.0.1 for one on this machine. Needs an API key.",
            metavar="ADDRESS",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            help="Processes that answer, one for each core; they share model and store.", min=1, max=64
        ),
    ] = 1,
) -> None:
    """Serve a model over HTTP, with a page to try it at /.

    \b
    crossaisle serve demo/model
    crossaisle serve demo/model --workers 4
    crossaisle serve --shops shops.toml
    crossaisle serve demo/model --behind-proxy 127.0.0.1
    curl localhost:8080/api/recommend/1609?placement=discover
    """
    # One request is too small to share among cores: threads of BLAS would only wait for each other.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    from crossaisle.serve.server.launch import needs_extra

    needs_extra()
    from crossaisle.serve.server.launch import serve

    serve(
        model,
        shops=shops,
        store=store,
        models=models,
        host=host,
        port=port,
        rate=rate,
        workers=workers,
        image_hosts=[name.strip() for name in image_hosts.split(",") if name.strip()],
        behind_proxy=behind_proxy or (),
    )


@keys.command("add")
def add(
    store: StorePath,
    name: Annotated[str, typer.Argument(help="What to call the key.", metavar="NAME")],
    scope: Annotated[
        list[str] | None, typer.Option(help="read, write or admin (repeatable).", metavar="SCOPE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key; it is shown once. A running service knows it within two seconds.

    \b
    crossaisle keys add demo/model.sqlite webshop --scope read --scope write
    """
    from crossaisle.serve.store.api_keys import add_key
    from crossaisle.serve.store.store import Store
    from crossaisle.serve.tenants import place_of

    opened = Store(place_of(store))
    scopes = scope or ["read"]
    try:
        token = add_key(opened, name, scopes)
    finally:
        opened.close()
    if as_json:
        show_json({"name": name, "scopes": scopes, "key": token})
        return
    print("keep it now, it cannot be shown again:", file=sys.stderr)
    print(token)


@keys.command("list")
def show(store: StorePath, as_json: AsJson = False) -> None:
    """List names and scopes of all keys.

    \b
    crossaisle keys list demo/model.sqlite
    """
    from crossaisle.serve.store.api_keys import list_keys

    opened = _existing(store)
    try:
        rows = [
            (name, scopes, "revoked" if revoked else "in use") for name, scopes, revoked in list_keys(opened)
        ]
    finally:
        opened.close()
    if as_json:
        show_json([{"name": name, "scopes": s.split(","), "state": state} for name, s, state in rows])
    else:
        show_table(["name", "scopes", ""], rows)


@keys.command("revoke")
def revoke(
    store: StorePath,
    name: Annotated[str, typer.Argument(help="Which key.", metavar="NAME")],
    as_json: AsJson = False,
) -> None:
    """Have a key refused from now on.

    \b
    crossaisle keys revoke demo/model.sqlite webshop
    """
    from crossaisle.serve.store.api_keys import revoke_key

    opened = _existing(store)
    try:
        revoke_key(opened, name)
    finally:
        opened.close()
    if as_json:
        show_json({"name": name, "state": "revoked"})


def _existing(store: str) -> Store:
    """The store, which must be there: a mistyped name must not make a new one."""
    from crossaisle.serve.store.store import Store
    from crossaisle.serve.tenants import place_of

    place = place_of(store)
    if "://" not in place and not Path(place).is_file():
        raise ConfigError(
            f"{shown(place)}: no such store; the service makes it when it first serves, and so does keys add"
        )
    return Store(place)
