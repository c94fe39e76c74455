"""The one door to torch and transformers, which are optional."""

from __future__ import annotations

from crossaisle.errors import MissingDependencyError


def require(purpose: str = "training") -> None:
    """Raises `MissingDependencyError` with the install command unless `crossaisle[train]` is there."""
    import importlib.util

    for library in ("torch", "transformers", "safetensors"):
        if importlib.util.find_spec(library) is None:
            raise MissingDependencyError(library, "train", purpose)
