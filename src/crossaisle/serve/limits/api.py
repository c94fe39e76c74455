"""`ApiLimits`: what one request, one client and all clients together may cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ApiLimits:
    """Limits of the HTTP API that hold whatever a shop sets."""

    body_seconds: float = 20.0
    """Seconds that the service waits for the next part of a body."""
    body_bytes_per_second: int = 10_000
    """Bytes of a body that earn another second of waiting."""
    all_bodies_bytes: int = 256_000_000
    """Bytes of the bodies of all requests under way; beyond, clients are told to come back."""
    client_bodies_bytes: int = 64_000_000
    """The same for one key, or one address where there is no key, so that others get their turn."""
    query_parameters: int = 256
    """Parameters of one query: 100 categories to include, 100 to exclude, and the rest."""
    remembered_queries: int = 512
    """Query strings of a route that need not be checked again; the ones not asked for longest are dropped."""
    remembered_bytes: int = 500
    """Bytes of a query string that is remembered."""
    inline_bytes: int = 100_000
    """Bytes of JSON that are parsed in the event loop; larger bodies are parsed in a thread."""
    json_values: int = 500_000
    """Values of one body; 10,000 items with 30 attributes each have about as many."""
    json_depth: int = 32
    """Levels of nested lists and objects; no body that the service knows needs more than six."""
    json_scan_bytes: int = 1 << 20
    """Bytes that are scanned for quotes at a time, which bounds the memory that takes."""
    stream_lines: int = 500_000
    """Lines of one NDJSON request: a line may be two bytes, and each costs the work of one."""
    stream_line_bytes: int = 64_000
    """Bytes of a line; an event with all its fields has less than 10,000."""
    stream_commit_lines: int = 1_000
    """Lines of a stream that are committed together."""
    rated_clients: int = 10_000
    """Clients whose request rate is tracked; the ones not seen for longest are dropped."""
    visitor_rate: float = 20.0
    """Requests per second with a publishable key from one address, even where `--rate` sets no limit."""
    visitor_body_bytes: int = 64_000
    """Bytes of a body with a publishable key; a browser sends no beacon of more."""
    reopen_seconds: float = 30.0
    """Seconds until a shop that could not be opened is tried again."""
    log_again_seconds: float = 10.0
    """The same error of the store is logged once in so many seconds."""


DEFAULT = ApiLimits()
