"""Settings of networks that are learned in a fraction of a second."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, Any] = {
    "encoder": "none",
    "dimensions": 8,
    "hidden": 8,
    "length": 5,
    "dropout": 0.1,
    "learning_rate": 1e-2,
    "epochs": 4,
}
