"""Lists for many users: complete, equal to single ones, resumable."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from crossaisle.config import ModelConfig
from crossaisle.data.query import Query
from crossaisle.errors import ConfigError, DataError
from crossaisle.pipeline import export_lists as work
from crossaisle.pipeline.export_lists import export_lists
from crossaisle.pipeline.fit import fit_all
from crossaisle.recommend.recommender import Recommender
from tests.shops import tiny_shop
