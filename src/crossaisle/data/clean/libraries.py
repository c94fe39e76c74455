"""Libraries of the extra `clean`, imported when a step needs them."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from typing import Any

from crossaisle.errors import MissingDependencyError

EXTRA = "clean"


def library(name: str, purpose: str) -> Any:
    """Imports a module; `MissingDependencyError` with the install command if it is not installed."""
    try:
        with warnings.catch_warnings():
            # some of these libraries emit deprecation warnings on import
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        if error.name is not None and error.name.split(".")[0] != name.split(".")[0]:
            raise
        raise MissingDependencyError(name.split(".")[0].replace("_", "-"), EXTRA, purpose) from None


def installed(name: str) -> bool:
    """Whether a library is installed; does not import it."""
    return importlib.util.find_spec(name) is not None
