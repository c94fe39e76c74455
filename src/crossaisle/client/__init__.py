"""A typed client of the service: `from crossaisle.client import Client`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossaisle.client.client import Client as Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    # Late: the service reads the types of the answers from here and needs no client for that.
    if name != "Client":
        raise AttributeError(f"module 'crossaisle.client' has no attribute {name!r}")
    from crossaisle.client.client import Client

    return Client
