"""Traces of requests for OpenTelemetry; where they go is said by its standard environment variables."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from crossaisle.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from opentelemetry.sdk.trace import TracerProvider

EXPORTER, PROTOCOL, NAME = "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_SERVICE_NAME"
UNTRACED = "api/health/,metrics$"
"""Requests that say nothing: addresses, as regular expressions."""
SENT = ("url.path", "url.query", "url.full", "http.target", "http.url")
"""Attributes that would hold ids of users and keys of pages."""


def needs_otel() -> None:
    """`MissingDependencyError` without the extra."""
    for library in ("opentelemetry.sdk", "opentelemetry.instrumentation.fastapi"):
        try:
            found = find_spec(library)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise MissingDependencyError("OpenTelemetry", "otel", "tracing")


def trace(app: FastAPI, provider: TracerProvider | None = None) -> None:
    """A span for each request, named by its route, with the context of the caller (`traceparent`).

    `provider`: by default one that sends to `OTEL_EXPORTER_OTLP_ENDPOINT`. Raises `ConfigError` for an
    exporter that is not there, `MissingDependencyError` without the extra. Spans hold no ids of users or
    items, no keys and no bodies.
    """
    needs_otel()
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=provider or _provider(),
        server_request_hook=_without_ids,
        excluded_urls=UNTRACED,
        exclude_spans=["receive", "send"],
    )


def _provider() -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

    named = NAME in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    provider = TracerProvider(resource=Resource.create({} if named else {"service.name": "crossaisle"}))
    chosen = os.environ.get(EXPORTER, "otlp")
    exporter: SpanExporter
    if chosen == "console":
        exporter = ConsoleSpanExporter()
    elif chosen == "otlp":
        if (protocol := os.environ.get(PROTOCOL, "http/protobuf")) != "http/protobuf":
            raise ConfigError(f"{PROTOCOL} must be http/protobuf (found {protocol!r})")
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter()
    else:
        raise ConfigError(
            f"{EXPORTER} must be otlp or console (found {chosen!r}): leave --traces out for none"
        )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _without_ids(span: Any, scope: dict[str, Any]) -> None:
    """The route in place of the path, which may hold ids; no query, which may hold a key."""
    known = span.attributes or {}
    route = known.get("http.route", "")
    for name in SENT:
        if name in known:
            span.set_attribute(name, "" if name.endswith("query") else route)
