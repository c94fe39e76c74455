"""Types of the service's responses. The OpenAPI document is built from them; the client returns them."""

from __future__ import annotations

from crossaisle.api_types.catalogue import (
    CategorySize,
    CleanedField,
    Difference,
    Differences,
    Dropped,
    Product,
    ProductPage,
    Shop,
    Taken,
)
from crossaisle.api_types.console import (
    CategoryLinks,
    Console,
    CoverageOfLists,
    EventTotals,
    InterestPoint,
    ListTotals,
    PastItem,
    ShownByPlacement,
    ShownProducts,
    Totals,
    Visitor,
)
from crossaisle.api_types.experiments import ArmResult, Comparison, ExperimentResults, PolicyEstimate
from crossaisle.api_types.lists import (
    Counted,
    InExperiment,
    RankedList,
    Recommended,
    RecommendedList,
    VisitorItem,
    VisitorList,
)
from crossaisle.api_types.rules import RulesInForce, StoredRule
from crossaisle.api_types.state import AuditLine, Health, Models, Problem
from crossaisle.api_types.users import Forgotten, KeptEvent, NumberedList, ShownList, UserRecord
from crossaisle.decode import read

__all__ = [
    "ArmResult",
    "AuditLine",
    "CategoryLinks",
    "CategorySize",
    "CleanedField",
    "Comparison",
    "Console",
    "Counted",
    "CoverageOfLists",
    "Difference",
    "Differences",
    "Dropped",
    "EventTotals",
    "ExperimentResults",
    "Forgotten",
    "Health",
    "InExperiment",
    "InterestPoint",
    "KeptEvent",
    "ListTotals",
    "Models",
    "NumberedList",
    "PastItem",
    "PolicyEstimate",
    "Problem",
    "Product",
    "ProductPage",
    "RankedList",
    "Recommended",
    "RecommendedList",
    "RulesInForce",
    "Shop",
    "ShownByPlacement",
    "ShownList",
    "ShownProducts",
    "StoredRule",
    "Taken",
    "Totals",
    "UserRecord",
    "Visitor",
    "VisitorItem",
    "VisitorList",
    "read",
]
