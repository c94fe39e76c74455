"""A typed client of the service: `from crossaisle.client import Client`."""
