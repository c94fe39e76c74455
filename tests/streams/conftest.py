"""The fixtures of a served model: streams end in a service."""

from tests.serve.conftest import address, model, postgres, service

__all__ = ["address", "model", "postgres", "service"]
