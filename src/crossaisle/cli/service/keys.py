"""Commands for the API keys of a service: `keys add`, `keys list`, `keys revoke`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossaisle.cli.output import AsJson, show_json, show_table
from crossaisle.errors import ConfigError, shown

if TYPE_CHECKING:
    from crossaisle.serve.store.store import Store

app = typer.Typer(no_args_is_help=True)
StorePath = Annotated[
    str,
    typer.Argument(
        help="The service's store: a SQLite file, postgresql://... or shops.toml#SHOP", metavar="STORE"
    ),
]


@app.command("add")
def add(
    store: StorePath,
    name: Annotated[str, typer.Argument(help="Name of the key.", metavar="NAME")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="visitor (for the shop's pages), read, write, merchandise or admin (repeatable).",
            metavar="SCOPE",
        ),
    ] = None,
    sign: Annotated[
        bool,
        typer.Option(
            "--sign",
            help="With --scope visitor: also print a secret with which the shop's server must sign visitors.",
        ),
    ] = False,
    create: Annotated[bool, typer.Option("--create", help="Create the store if there is none yet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create an API key and print it, once. A running service accepts it within two seconds.

    \b
    crossaisle keys add demo/model.sqlite webshop --scope read --scope write
    crossaisle keys add demo/model.sqlite pages --scope visitor
    """
    from crossaisle.serve.store.api_keys import add_key, new_secret

    opened = existing(store, create=create)
    scopes, secret = scope or ["read"], new_secret() if sign else None
    try:
        token = add_key(opened, name, scopes, secret=secret)
    finally:
        opened.close()
    if as_json:
        signing = {} if secret is None else {"secret": secret}
        show_json({"name": name, "scopes": scopes, "key": token, **signing})
        return
    print("store it now, it cannot be shown again:", file=sys.stderr)
    print(token)
    if secret is not None:
        print("the secret, for the shop's server only:", file=sys.stderr)
        print(secret)


@app.command("list")
def show(store: StorePath, as_json: AsJson = False) -> None:
    """List the names and scopes of all keys.

    \b
    crossaisle keys list demo/model.sqlite
    """
    from crossaisle.serve.store.api_keys import list_keys

    opened = existing(store)
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


@app.command("revoke")
def revoke(
    store: StorePath,
    name: Annotated[str, typer.Argument(help="Name of the key.", metavar="NAME")],
    as_json: AsJson = False,
) -> None:
    """Revoke a key: requests with it are refused from now on.

    \b
    crossaisle keys revoke demo/model.sqlite webshop
    """
    from crossaisle.serve.store.api_keys import revoke_key

    opened = existing(store)
    try:
        revoke_key(opened, name)
    finally:
        opened.close()
    if as_json:
        show_json({"name": name, "state": "revoked"})


def existing(store: str, *, create: bool = False) -> Store:
    """The store, which must exist unless it may be created: a mistyped name must not make a new one."""
    from crossaisle.serve.store.store import Store
    from crossaisle.serve.tenants import place_of

    place = place_of(store)
    if "://" not in place and not Path(place).is_file() and not create:
        raise ConfigError(
            f"{shown(place)}: no such store; start the service, or run  keys add --create, to make one"
        )
    return Store(place)
