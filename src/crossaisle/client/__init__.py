"""A typed client of the service: `from crossaisle.client import Client`."""

from crossaisle.client.client import Client

__all__ = ["Client"]
