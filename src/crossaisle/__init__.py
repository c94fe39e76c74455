"""Cross-category product recommendation with pretrained language models.

The names below are the public ones. They are imported on first use, so that `import crossaisle` costs
nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossaisle.config import RunConfig as RunConfig
    from crossaisle.config import load_config as load_config
    from crossaisle.data.dataset import Dataset as Dataset
    from crossaisle.data.datasets import load_catalogue as load_catalogue
    from crossaisle.data.ingest.importer import from_frames as from_frames
    from crossaisle.data.ingest.importer import import_dataset as import_dataset
    from crossaisle.data.ingest.importer import import_frames as import_frames
    from crossaisle.data.query import Query as Query
    from crossaisle.encoders.cache import pretrained as pretrained
    from crossaisle.errors import CrossaisleError as CrossaisleError
    from crossaisle.models.base import Scorer as Scorer
    from crossaisle.models.blend import Blend as Blend
    from crossaisle.recommend.recommender import Recommender as Recommender

__version__ = "0.1.0"

_HOME = {
    "Blend": "crossaisle.models.blend",
    "CrossaisleError": "crossaisle.errors",
    "Dataset": "crossaisle.data.dataset",
    "Query": "crossaisle.data.query",
    "Recommender": "crossaisle.recommend.recommender",
    "RunConfig": "crossaisle.config",
    "Scorer": "crossaisle.models.base",
    "from_frames": "crossaisle.data.ingest.importer",
    "import_dataset": "crossaisle.data.ingest.importer",
    "import_frames": "crossaisle.data.ingest.importer",
    "load_catalogue": "crossaisle.data.datasets",
    "load_config": "crossaisle.config",
    "pretrained": "crossaisle.encoders.cache",
}
"""Public name -> the module it lives in."""

__all__ = [
    "Blend",
    "CrossaisleError",
    "Dataset",
    "Query",
    "Recommender",
    "RunConfig",
    "Scorer",
    "from_frames",
    "import_dataset",
    "import_frames",
    "load_catalogue",
    "load_config",
    "pretrained",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'crossaisle' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
