"""Every scorer that can be saved keeps the contract."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

import tests.models.scorers
from crossaisle.models.registry import ELSEWHERE, SCORERS
from tests.models.contract import ScorerContract


def test_every_scorer_of_the_registry_has_a_contract_test() -> None:
    for module in pkgutil.walk_packages(tests.models.scorers.__path__, "tests.models.scorers."):
        import_module(module.name)
    tested = " ".join(inspect.getsource(contract.make) for contract in ScorerContract.__subclasses__())
    names = {scorer.__name__ for kind, scorer in SCORERS.items() if kind not in ELSEWHERE}
    missing = {name for name in names if f"{name}(" not in tested}
    assert not missing, f"no subclass of ScorerContract makes {', '.join(sorted(missing))}"
