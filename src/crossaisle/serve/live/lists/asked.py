"""`Asked`: a query that is to be scored; `Scored`: the rows that its list is made from."""

from __future__ import annotations

from typing import NamedTuple

from crossaisle.data.history import Floats
from crossaisle.data.query import Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.request import ResolvedQuery
from crossaisle.serve.live.lists.ranking_cache import Version


class Asked(NamedTuple):
    """A query in rows, with what had happened when it was asked."""

    query: Query
    request: ResolvedQuery
    version: Version
    """Of the moment before the history was read."""
    by: object
    """The `LiveRecommender` that was asked: another one has other rows."""


class Scored(NamedTuple):
    """What a list is made from."""

    rows: Rows
    """int32 (n,), ascending"""
    scores: Floats
    """float32 (n,)"""
    allowed: bool = False
    """Whether these are rows that the filters of one query allow."""
    whole: bool = False
    """Whether there are no more of them."""
    every: bool = False
    """Whether these are all rows that have a score."""
