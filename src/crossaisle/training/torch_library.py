"""The one door to torch and transformers, which are optional."""

from __future__ import annotations

from crossaisle.errors import MissingDependencyError

EXPORTING = ("onnx", "onnxscript")
"""What torch needs to write a model that serves without it."""


def require(purpose: str = "training", *, exports: bool = False) -> None:
    """Raises `MissingDependencyError` with the install command unless `crossaisle[train]` is there.

    `exports`: the result is to serve without torch, which is not found out only after the training.
    """
    import importlib.util

    for library in ("torch", "transformers", "safetensors", *(EXPORTING if exports else ())):
        if importlib.util.find_spec(library) is None:
            raise MissingDependencyError(library, "train", purpose)
