"""Checks that torch and transformers, which are optional, are installed."""

from __future__ import annotations

from crossaisle.errors import MissingDependencyError

EXPORTING = ("onnx", "onnxscript")
"""Packages that torch needs to export a model for serving without torch."""


def require(purpose: str = "training", *, exports: bool = False) -> None:
    """Raises `MissingDependencyError` with the install command unless `crossaisle[train]` is installed.

    `exports`: also checks what the export for serving without torch needs, so that it does not fail after a
    long training.
    """
    import importlib.util

    for library in ("torch", "transformers", "safetensors", *(EXPORTING if exports else ())):
        if importlib.util.find_spec(library) is None:
            raise MissingDependencyError(library, "train", purpose)
