"""Files that are complete or not there: strict JSON and text, swapped in under their name."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.errors import ArtifactError


def write_text(path: str | Path, text: str) -> None:
    """UTF-8, atomically: a full disk or a kill leaves the old file as it was."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ArtifactError(f"{path}: could not be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Strict JSON: NaN and infinity become null, numpy values plain ones."""
    write_text(path, json.dumps(strict(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def strict(value: Any) -> Any:
    """Plain dicts, lists, numbers and text from whatever holds them; NaN and infinity become None."""
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [strict(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
