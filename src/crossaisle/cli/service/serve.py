"""The command `serve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from crossaisle.serve.server.logs import LogFormat


def serve(
    model: Annotated[
        str | None,
        typer.Argument(
            help="Folder of a saved model, or its address in a bucket (s3://..., gs://..., file://...).",
            metavar="[MODEL]",
            show_default=False,
        ),
    ] = None,
    shops: Annotated[
        Path | None,
        typer.Option(help="Serve several shops: a TOML file with a table per shop.", metavar="FILE"),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.", metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535, metavar="N")] = 8080,
    store: Annotated[
        str | None,
        typer.Option(
            help="Store for events, changed items and keys: a SQLite file (default: MODEL.sqlite) or "
            "postgresql://USER:PASSWORD@HOST/DATABASE.",
            metavar="FILE|URL",
        ),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(help="Folder of saved models to switch between, or its address.", metavar="DIR|URL"),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Maximum requests per second from one client.", min=0.001, metavar="N"),
    ] = None,
    image_hosts: Annotated[
        str,
        typer.Option(
            help="Hosts of the shop's pictures: the page may show pictures from them, and those of "
            "new items are fetched. Default: none.",
            metavar="HOST,...",
            show_default=False,
        ),
    ] = "",
    behind_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="Address or network of a proxy whose X-Forwarded-For is trusted (repeatable), such as "
            "127.0.0.1. Needs an API key.",
            metavar="ADDRESS",
        ),
    ] = None,
    origins: Annotated[
        str,
        typer.Option(
            help="Origins of the shop's own pages, which may use keys with the scope visitor. Default: none.",
            metavar="URL,...",
            show_default=False,
        ),
    ] = "",
    log_format: Annotated[
        str, typer.Option(help="text, or json (one object per line, for log collectors).", metavar="FORMAT")
    ] = "text",
    traces: Annotated[
        bool,
        typer.Option(
            "--traces",
            help="Trace requests with OpenTelemetry; its OTEL_... variables say where to send traces.",
        ),
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            help="Worker processes, one per core; they share the model and the store.",
            min=1,
            max=64,
            metavar="N",
        ),
    ] = 1,
) -> None:
    """Serve a model over HTTP, with a demo page at /.

    \b
    crossaisle serve demo/model
    crossaisle serve demo/model --workers 4
    crossaisle serve s3://shop/models/may --store postgresql://shop@db.example/main
    crossaisle serve --shops shops.toml
    crossaisle serve demo/model --behind-proxy 127.0.0.1
    curl localhost:8080/api/recommend/1609?placement=discover
    """
    # One request is too small to split across cores: BLAS threads would only wait for each other.
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
        image_hosts=_listed(image_hosts),
        behind_proxy=behind_proxy or (),
        origins=_listed(origins),
        log_format=_log_format(log_format),
        traces=traces,
    )


def _log_format(text: str) -> LogFormat:
    if text == "json":
        return "json"
    if text != "text":
        raise typer.BadParameter(f"--log-format must be text or json (found {text!r})")
    return "text"


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
