"""The public names: few, importable, documented, and only those."""

from __future__ import annotations

import subprocess
import sys

import pytest

import crossaisle
from crossaisle.models import registry, scorers


@pytest.mark.parametrize("name", crossaisle.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(crossaisle, name)
    assert found.__name__ == name
    assert found.__doc__
    assert found.__module__ == crossaisle._HOME[name]


def test_there_are_a_dozen_at_most_and_dir_knows_them() -> None:
    assert crossaisle.__all__ == sorted(crossaisle._HOME)
    assert len(crossaisle.__all__) <= 14
    assert set(crossaisle.__all__) <= set(dir(crossaisle))


def test_scorers_that_can_be_saved_can_be_imported_by_name() -> None:
    saved = {cls.__name__: cls for cls in registry.SCORERS.values() if "scorers" in cls.__module__}
    assert {name: getattr(scorers, name) for name in scorers.__all__} == saved
    assert set(scorers.__all__) <= set(dir(scorers))
    with pytest.raises(AttributeError, match="has no attribute 'Ease'"):
        assert scorers.Ease


def test_naming_the_scorers_loads_none_of_them() -> None:
    code = "import sys, crossaisle.models.scorers; print([m for m in sys.modules if 'models.scorers.' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Recomender'"):
        assert crossaisle.Recomender


def test_a_star_import_works_in_a_fresh_process() -> None:
    code = "from crossaisle import *; print(Query(user='u', n=3).n, Recommender.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "3 Recommender\n", done.stderr
